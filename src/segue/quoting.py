"""Names of others in generated text: each language quotes them by its own means, so that they stay names.

A name comes from a file, a table or a study of somebody else. In HTML it is escaped by Jinja (`autoescape`), in a
shell's command by `shlex`, in YAML by `segue.yaml_text`; the others are here.
"""

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import polars as pl

__all__ = ["csv_text", "in_comment", "in_markdown", "in_mermaid", "in_python", "plain_text"]

_Given = ParamSpec("_Given")
_Drawn = TypeVar("_Drawn")
FORMULA = "=+-@\t\r"
"""What a cell begins with that a spreadsheet computes."""
NOT_SHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that are not shown, or end a line: controls, directions of writing, halves of pairs."""


def in_comment(text: str) -> str:
    """A text on one line without characters that are not shown, for a comment.

    >>> in_comment("two\\nlines\\u2028 \\x1b[31m")
    'two lines [31m'
    """
    shown = (" " if character.isspace() else character for character in text)
    return " ".join("".join(one for one in shown if unicodedata.category(one) not in NOT_SHOWN).split())


def in_python(text: str) -> str:
    """A string literal, in double quotes where nothing has to be escaped.

    >>> in_python("lumen@mid"), in_python('a"\\nimport os')
    ('"lumen@mid"', '\\'a"\\\\nimport os\\'')
    """
    literal = repr(text)
    return f'"{text}"' if literal == f"'{text}'" and '"' not in text else literal


def in_markdown(text: str) -> str:
    """A text in a line or a cell of Markdown: no HTML, no code, no link, no further column.

    >>> in_markdown("a | <b> `c` [d](e)")
    'a \\\\| \\\\<b> \\\\`c\\\\` [d]\\\\(e)'
    """
    return re.sub(r"[\\|<`]|(?<=\])\(", lambda found: "\\" + found[0], in_comment(text))


def in_mermaid(text: str) -> str:
    """A node's label in Mermaid: as it is where it is one word, else in quotes, with Mermaid's own entities.

    >>> in_mermaid("lumen@mid"), in_mermaid('a"] --> b[')
    ('lumen@mid', '"a#quot;] --#gt; b["')
    """
    if re.fullmatch(r"[\w@.-]+", text):
        return text
    entities = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}
    return '"' + "".join(entities.get(one, one) for one in in_comment(text)) + '"'


def csv_text(frame: "pl.DataFrame") -> str:
    """A table as CSV in which no text is a formula: one that a spreadsheet would compute begins with an apostrophe.

    >>> import polars as pl
    >>> print(csv_text(pl.DataFrame({"id": ["=1+1", "p1", "-2"], "n": [-1, 2, 3]})).strip())
    id,n
    '=1+1,-1
    p1,2
    -2,3
    """
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    cells = frame.with_columns(pl.col(name).map_elements(in_cell, return_dtype=pl.String) for name in texts)
    return cells.rename({name: in_cell(name) for name in frame.columns}).write_csv()


def in_cell(text: str) -> str:
    """A text as a cell of a spreadsheet: a number stays one."""
    if not text.startswith(tuple(FORMULA)) or re.fullmatch(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?", text):
        return text
    return f"'{text}"


def plain_text(draw: Callable[_Given, _Drawn]) -> Callable[_Given, _Drawn]:
    """Have a function draw dollar signs as they are: matplotlib takes two of them for mathematics, and may fail.

    >>> from matplotlib.figure import Figure
    >>> plain_text(lambda text: Figure().text(0, 0, text))("a$\\\\no$").get_parse_math()
    False
    """

    @functools.wraps(draw)
    def drawn_plainly(*args: _Given.args, **more: _Given.kwargs) -> _Drawn:
        import matplotlib

        with matplotlib.rc_context({"text.parse_math": False}):
            return draw(*args, **more)

    return drawn_plainly
