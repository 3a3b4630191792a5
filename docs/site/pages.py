"""The pages of the site in one folder: those of docs/, the root's, the tutorials', and those that are written here."""

import json
import re
import shutil
from pathlib import Path

from docs.site.api import api_pages
from docs.site.commands import commands_page, study_page
from docs.site.equations import with_equations
from docs.site.notebooks import run_notebook
from docs.site.project import DOCS, ROOT, source_link
from segue.hub.locate import shipped
from segue.report.table import table1

ROOT_PAGES = {name: f"{name.lower()}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")}
TUTORIALS = ["first-counterfactual", "your-own-data", "trust", "causal-graph", "augmentation", "another-method"]
"""In this order: the last needs the run of the second."""
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
COPIED = (".png", ".md")
RESULTS = ROOT / "results"


def write_pages(pages: Path, *, work: Path, tutorials: bool = True) -> None:
    """Write all pages to the folder `pages`; the tutorials run in `work`.

    Args:
        tutorials: without them the site has pages that only name them: seconds instead of a minute.
    """
    for path in sorted(DOCS.glob("*.md")):
        put(pages, path.name, moved(path.read_text(), Path("docs")))
    for path in sorted(DOCS.glob("*.png")):
        shutil.copy(path, pages / path.name)
    shutil.copy(DOCS / "site" / "extra.css", pages / "extra.css")
    for name, page in ROOT_PAGES.items():
        put(pages, page, moved((ROOT / f"{name}.md").read_text(), Path()))
    for name in shipped():
        put(pages, f"models/{name}.md", card(name))
    put_results(pages)
    for name, text in api_pages().items():
        put(pages, f"api/{name}.md", text)
    put(pages, "commands.md", commands_page())
    put(pages, "study.md", study_page())
    for name in TUTORIALS:
        script = DOCS / "tutorials" / f"{name}.py"
        if tutorials:
            run_notebook(script, pages / "tutorials", work)
        else:
            put(pages, f"tutorials/{name}.md", f"# {name}\n")


def put(pages: Path, name: str, text: str) -> None:
    """Write a page."""
    (pages / name).parent.mkdir(parents=True, exist_ok=True)
    (pages / name).write_text(with_equations(text))


def card(name: str) -> str:
    """The card of a shipped model, without its front matter."""
    text = (ROOT / "src/segue/models" / name / "README.md").read_text()
    return moved(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL), Path("src/segue/models") / name)


def put_results(pages: Path) -> None:
    """The pictures and pages of results/; each table of methods is written from its metrics.json."""
    for path in sorted(RESULTS.rglob("*")):
        name = path.relative_to(ROOT)
        if path.suffix == ".png":
            (pages / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, pages / name)
        if path.suffix == ".md":
            text = study_table(path.parent) if path.name == "table1.md" else path.read_text()
            put(pages, str(name), moved(text, name.parent))


def study_table(folder: Path) -> str:
    """Everything that a metrics.json says of its methods, with the figures beside it."""
    metrics = json.loads((folder / "metrics.json").read_text())
    said = f"From `{folder.relative_to(ROOT)}/metrics.json`: revision `{metrics.get('commit', 'unknown')}`."
    figures = [f"![{one}]({one}.png)" for one in ("figure1", "extremes") if (folder / f"{one}.png").exists()]
    return "\n\n".join([f"# {folder.name}", said, *figures, table1(metrics)])


def moved(text: str, folder: Path) -> str:
    """A page of the repository's `folder` as it stands in the site: its links lead to pages or to the source."""
    return LINK.sub(lambda found: found[1] + new_address(found[2], folder) + found[3], text)


def new_address(address: str, folder: Path) -> str:
    """Where a link of a page in `folder` leads to in the site."""
    path, mark, anchor = address.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return address
    target = resolved(folder / path)
    here = place(folder / "page.md")
    there = place(target)
    if there is None:
        return source_link(target)
    up = "../" * (len(here.parts) - 1) if here is not None else ""
    return f"{up}{there.as_posix()}{mark}{anchor}"


def resolved(path: Path) -> Path:
    """A path of the repository without `..`."""
    return Path(*(ROOT / path).resolve().relative_to(ROOT).parts)


def place(path: Path) -> Path | None:
    """Where a file of the repository stands in the site; None for files that are only in the repository."""
    name = path.as_posix()
    if path.suffix == ".py" and path.parent == Path("docs/tutorials"):
        return Path("tutorials") / f"{path.stem}.md"
    if name == "README.md":
        return Path("index.md")
    if path.suffix == ".md" and path.stem in ROOT_PAGES and len(path.parts) == 1:
        return Path(ROOT_PAGES[path.stem])
    if name.startswith("src/segue/models/") and len(path.parts) == 5:
        return Path("models") / f"{path.parts[3]}.md"
    if path.suffix not in COPIED or path.parts[0] not in ("docs", "results"):
        return Path("page.md") if len(path.parts) == 1 and path.name == "page.md" else None
    return path.relative_to("docs") if path.parts[0] == "docs" else path
