"""The page of one reader: an HTML file that needs no server and no network, and holds nothing of the truth."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from segue.errors import InputError
from segue.readers.answers import QUESTIONS
from segue.readers.draw import DrawnKit
from segue.readers.key import KitKey
from segue.readers.pictures import encoded_picture
from segue.readers.words import request_words

SCALE_ENDS = ("not at all", "fully")
LARGEST_PAGE = 200 * 2**20
"""Bytes of a page: a browser opens no more with ease."""
ASKED_WHOM = "the person who gave you this file"


@cache
def page_templates() -> Environment:
    """Jinja's environment: every value is escaped, and an undefined one is an error."""
    return Environment(
        loader=PackageLoader("segue.readers"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip


def reader_page(key: KitKey, reader: str, drawn: DrawnKit, requests: list[str], contact: str) -> str:
    """The page as HTML.

    Args:
        requests: of the second part, in words. contact: whom the reader may ask; "" for whoever gave the file.

    Raises:
        InputError: it would be too large for a browser.
    """
    content = page_content(key, reader, drawn, requests)
    templates, folder = page_templates(), Path(__file__).parent / "templates"
    script, style = ((folder / name).read_text(encoding="utf-8") for name in ("reader.js", "reader.css"))
    page = templates.get_template("reader.html.j2").render(
        content=content, script=script, style=style, questions=QUESTIONS, ends=SCALE_ENDS, contact=contact or ASKED_WHOM
    )
    if len(page) > LARGEST_PAGE:
        raise InputError(f"a page would have {len(page) >> 20} MiB, which browsers do not open; give fewer --cases")
    return page


def page_content(key: KitKey, reader: str, drawn: DrawnKit, requests: list[str]) -> dict[str, Any]:
    """What the page's script reads: pictures in the reader's order under random ids, and the requests in words."""
    height, width = drawn.pictures[0].shape
    sheet = key.sheets[reader]
    second = [
        {
            "id": one.id,
            "request": requests[one.request],
            "before": encoded_picture(drawn.before[one.request]),
            "after": encoded_picture(drawn.after[one.request][key.methods.index(one.method)]),
        }
        for one in sheet.second
    ]
    first = [{"id": one.id, "image": encoded_picture(drawn.pictures[one.case])} for one in sheet.first]
    return {"kit": key.kit, "reader": reader, "height": height, "width": width, "first": first, "second": second}


def requests_in_words(key: KitKey, sd: dict[str, float]) -> list[str]:
    """The requests of the second part; `sd` is that of each variable."""
    return [
        request_words(one["variable"], one["factual"], one["requested"], key.unit, sd=sd[one["variable"]])
        for one in key.requests
    ]
