"""HTML templates, style sheets and scripts of the page."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


@cache
def templates() -> Environment:
    """Jinja's environment: every value is escaped, and an undefined one is an error."""
    return Environment(
        loader=PackageLoader("segue.explorer"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def filled(template: str, **values: object) -> str:
    """A template as HTML, with its values filled in."""
    return templates().get_template(template).render(**values)


def asset(name: str) -> str:
    """A script, style sheet or piece of HTML that has no values."""
    return (TEMPLATES / name).read_text(encoding="utf-8")
