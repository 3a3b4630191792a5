"""Where the project is: its folder, and its page."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def source_link(path: Path | str, line: int | None = None) -> str:
    """The address of a file of the repository, which must exist.

    Raises:
        ValueError: it does not.
    """
    if not (ROOT / path).exists():
        raise ValueError(f"a page links to {path}, which does not exist")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{path}" + (f"#L{line}" if line else "")
