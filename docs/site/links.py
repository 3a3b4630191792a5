"""Broken links of a built site: pages, anchors and pictures. Addresses elsewhere are not asked."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag in ("a", "link", "img", "script", "source"):
            self.references += [value for key in ("href", "src") if (value := given.get(key))]


def broken_links(site: Path) -> list[str]:
    """What leads nowhere, as `page: reference`."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site)}: {reference}"
        for path, page in pages.items()
        if path.name != "404.html"  # its addresses are those of the published site
        for reference in page.references
        if not leads_somewhere(path, reference, pages)
    ]


def foreign_files(site: Path) -> list[str]:
    """Scripts, styles and pictures that a page loads from another machine, as `page: address`."""
    found = []
    for path in sorted(site.rglob("*.html")):
        loads = Loads(path.read_text()).addresses
        found += [f"{path.relative_to(site)}: {one}" for one in loads if urlsplit(one).netloc]
    return found


class Loads(HTMLParser):
    """What a browser loads with a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("img", "script", "iframe") and given.get("src"):
            self.addresses.append(str(given["src"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.addresses.append(str(given["href"]))


def leads_somewhere(path: Path, reference: str, pages: dict[Path, Page]) -> bool:
    """Whether a reference of the page at `path` has a target; what is not of this site counts as found."""
    parts = urlsplit(reference)
    if parts.scheme or parts.netloc:
        return True
    target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors
