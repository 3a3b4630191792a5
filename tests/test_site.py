"""The site without its tutorials, which `make docs` runs in the gate; warnings and broken links are errors."""

import json
import re

import pytest

from docs.site.__main__ import build
from docs.site.api import PACKAGES
from docs.site.commands import parser_of
from docs.site.links import broken_links, foreign_files
from docs.site.notebooks import cells_of, run_notebook
from docs.site.pages import TUTORIALS, new_address
from docs.site.project import DOCS, REPOSITORY, ROOT, Path
from segue.cli.registry import COMMANDS, DATA, MODEL, STAGES

SHORT = """# %% [markdown]
# # Short
# %%
from pathlib import Path
Path("here").touch()
1 + 2
# %% language="bash"
# segue --version
# %%
from matplotlib.figure import Figure
Figure(figsize=(1, 1))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("site"), tutorials=False)


@pytest.mark.xdist_group("site")
def test_every_page_is_in_the_site_and_in_its_contents(site):
    settings = (DOCS / "site" / "zensical.toml").read_text()
    for page in DOCS.glob("*.md"):
        address = "" if page.stem == "index" else page.stem
        assert (site / address / "index.html").is_file() and f'"{page.name}"' in settings
    assert {page.stem for page in (DOCS / "tutorials").glob("*.py")} == set(TUTORIALS)


def test_a_tutorial_shows_what_it_computed(tmp_path):
    script = tmp_path / "short.py"
    script.write_text(SHORT)
    run_notebook(script, tmp_path / "pages", tmp_path / "work")
    page = (tmp_path / "pages" / "short.md").read_text()
    assert page.startswith("# Short\n\n*[This page as a notebook](short.ipynb)") and "```text\n3\n```" in page
    assert "```text\nsegue 0." in page and "![What this cell shows](short-3-0.png)" in page
    assert (tmp_path / "pages" / "short-3-0.png").read_bytes().startswith(b"\x89PNG")
    notebook = json.loads((tmp_path / "pages" / "short.ipynb").read_text())
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["markdown", "code", "code", "code"]
    assert notebook["cells"][1]["outputs"][0]["text"] == "3\n" and notebook["cells"][2]["source"].startswith("%%bash\n")
    assert (tmp_path / "work" / "here").exists() and not Path("here").exists()


def test_a_cell_that_fails_stops_the_site(tmp_path):
    script = tmp_path / "short.py"
    for cell, error in [("# %%\n1 / 0", ZeroDivisionError), ('# %% language="bash"\n# segue nothing', RuntimeError)]:
        script.write_text(cell)
        with pytest.raises(error):
            run_notebook(script, tmp_path / "pages", tmp_path)


@pytest.mark.xdist_group("site")
def test_the_api_has_signatures_examples_and_sources(site):
    text = (site / "api" / "segue" / "index.html").read_text()
    plain = re.sub("<[^>]*>", "", text)
    assert "model: Path | str" in plain and "&gt;&gt;&gt; load(" in plain
    line, path = re.search(rf'{REPOSITORY}/blob/main/(src/segue/hub/load.py)#L(\d+)', text).groups()[::-1]
    assert (ROOT / path).read_text().splitlines()[int(line) - 1].startswith("def load(")
    folders = {path.name for path in (ROOT / "src" / "segue").iterdir() if (path / "__init__.py").exists()}
    assert folders - set(PACKAGES) == {"cli", "explorer"}  # these are no library


@pytest.mark.xdist_group("site")
def test_the_commands_are_those_of_the_parsers(site):
    text = (site / "commands" / "index.html").read_text()
    assert all(f"segue {name}" in text for name in COMMANDS)
    for name in {*MODEL, *DATA} - {"readers"}:
        for action in parser_of(name)._actions:
            shown = [option for option in action.option_strings if option not in ("-h", "--help")]
            assert all(option in text for option in shown), name
    assert len(STAGES) > 5 and "hvae.budget.steps" in (site / "study" / "index.html").read_text()


def test_a_broken_link_is_seen(tmp_path):
    pages = {"index.html": '<a href="a/#here">', "b.html": '<a href="a/">'}
    pages["a/index.html"] = '<p id="here"><a href="../">'
    for name, text in pages.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert broken_links(tmp_path) == [] == foreign_files(tmp_path)
    bad = '<a href="nowhere/">x</a><a href="a/#no-such">y</a><img src="a.png"><script src="https://x.org/a.js">'
    (tmp_path / "b.html").write_text(bad)
    assert broken_links(tmp_path) == ["b.html: nowhere/", "b.html: a/#no-such", "b.html: a.png"]
    assert foreign_files(tmp_path) == ["b.html: https://x.org/a.js"]


def test_links_lead_to_pages_or_to_the_source():
    docs = Path("docs")
    assert new_address("data.md#a", docs) == "data.md#a"
    assert new_address("../results/chest-zones/table1.md", docs) == "results/chest-zones/table1.md"
    assert new_address("../studies/chest-zones.yaml", docs) == f"{REPOSITORY}/blob/main/studies/chest-zones.yaml"
    assert new_address("docs/data.md", Path()) == "data.md"
    with pytest.raises(ValueError, match=r"studies/none\.yaml"):
        new_address("../studies/none.yaml", docs)


def test_cells():
    cells = cells_of('# %% [markdown]\n# # Title\n#\n# text\n# %%\nx = 1\nx\n# %% language="bash"\n# segue studies\n')
    assert cells == [("markdown", "# Title\n\ntext"), ("python", "x = 1\nx"), ("bash", "segue studies")]
