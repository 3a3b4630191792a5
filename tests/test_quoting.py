"""Names of strangers stay names in what is generated: Python, shell, HTML, Markdown, Mermaid, CSV, YAML, figures."""

import ast
import csv
import io
import shlex
from html.parser import HTMLParser

import polars as pl
import pytest
import torch
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from PIL import Image
from report.fakes import fake_metrics
from rich.console import Console

from segue.causal.graph import causal_graph, mermaid
from segue.cli.effects import effects_table
from segue.cohort.survey import survey_folder
from segue.pipeline.exchange import request_table
from segue.quoting import csv_text, in_comment, in_markdown, in_python, plain_text
from segue.report.page import ReportContent, write_report
from segue.report.table import table1
from segue.study.draft import draft_study
from segue.yaml_text import load_yaml

HOSTILE = [
    'a"\nimport os; os.system("touch /tmp/owned")  #',
    "a'); import os #",
    "a\\",
    '"""',
    "{{ 7 * 7 }}{% raw %}",
    "$(touch /tmp/owned) `id` ; rm -rf ~ && echo",
    "--help",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "'\" onmouseover=alert(1) x='",
    "a | b | c\n| - | - |\n# heading",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "`code` ``` **bold** \\| pipe",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "a,b;c\td",
    "name: evil\ncohort: {folder: /}",
    "a\u2028b\x85c\rd",
    "\x1b[31mred\x07 \u202egnp.exe",
    "[red]x[/blue] [/]",
    "a$b$ $\\frac$",
    "x" * 300,
    "水 Größe 🫀",
]


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *(name for name, _ in attrs)))


def structure(value):
    """Metrics whose study, structures, regions, methods and notes are called `value`."""
    text = str(fake_metrics())
    found = ast.literal_eval(text)
    renamed = {"lumen@proximal": f"{value}@{value}", "other": value}

    def walk(node):
        if isinstance(node, dict):
            return {renamed.get(key, key): walk(one) for key, one in node.items()}
        if isinstance(node, list):
            return [walk(one) for one in node]
        return renamed.get(node, node) if isinstance(node, str) else node

    return walk(found) | {"study": value, "command": value, "commit": value}


@pytest.mark.parametrize("name", HOSTILE)
def test_python_holds_the_name_and_nothing_else(name):
    source = f"print({in_python(name)})"
    assert ast.literal_eval(in_python(name)) == name and len(source.splitlines()) == 1
    (call,) = ast.parse(source).body
    assert isinstance(call.value.args[0], ast.Constant)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_model_card_holds_names_in_its_python_and_in_its_text(name):
    environment = Environment(loader=PackageLoader("segue.hub"), trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"python": in_python, "markdown": in_markdown}
    settings = {"name": name, "study": name, "segue": "0.1.0", "structures": [name], "covariates": [name]}
    settings |= {"size": [8, 8], "channels": 1, "intensity": [0, 1], "conditioning": "map"}
    said = environment.get_template("model_card.md.j2").render(
        settings=settings, title=name, variable=name, license=name, examples=1, unit="px",
        weights={"image": 1, "segmentor": 1}, metrics={}, covariates_given=f", covariates={ {name: 1.0} }",
    )  # fmt: skip
    code = said.split("```python")[1].split("\n```")[0]
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    known = {"segue.load", "model.counterfactual", "model.examples", "print"}
    assert {ast.unparse(call.func) for call in calls} == known
    assert name in [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    rest = said.replace(code, "")
    assert "<script" not in rest.replace("\\<script", "") and "](javascript" not in rest and "](http://evil" not in rest
    assert "\n# heading" not in rest and "\x1b" not in rest


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_has_the_tags_of_any_report(name, tmp_path, monkeypatch):
    monkeypatch.setattr("segue.report.page.error_plots", lambda metrics: {})
    write_report(tmp_path / "a.html", ReportContent(structure(name), tmp_path / "none", name, notes=name))
    write_report(tmp_path / "b.html", ReportContent(structure("plain"), tmp_path / "none", "plain", notes="plain"))
    pages = [(tmp_path / one).read_text() for one in ("a.html", "b.html")]
    assert {tag[0] for tag in Tags(pages[0]).found} == {tag[0] for tag in Tags(pages[1]).found}
    assert {tag for tag in Tags(pages[0]).found if any(one[:2] == "on" for one in tag[1:])} == set()
    again = next(line for line in pages[0].splitlines() if "segue run" in line)
    assert "touch /tmp/owned" not in again or "&#39;" in again  # one quoted word of the shell


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_in_markdown_has_its_rows_and_columns(name):
    tables = [table1(structure(one)).splitlines() for one in (name, "plain")]
    for line, plain in zip(*tables, strict=True):
        bars = [one.replace("\\\\", "").replace("\\|", "").count("|") for one in (line, plain)]
        assert bars[0] == bars[1]
        assert "<" not in line.replace("\\<", "") and "](" not in line


@pytest.mark.parametrize("name", HOSTILE)
def test_a_graph_in_mermaid_has_a_line_for_each_variable(name):
    lines = mermaid(causal_graph({"b": [name]}, [name, "b"])).splitlines()
    assert len(lines) == 4 and lines[3] == "  v0 --> v1" and "<" not in lines[1] and lines[1].count('"') in (0, 2)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_of_a_table_is_a_formula(name):
    texts = [csv_text(pl.DataFrame({name: [1.0], "id": [name]}))]
    texts.append(csv_text(request_table([name], [name], torch.zeros(1, 1), torch.ones(1, 1), name)))
    for text in texts:
        header, row = csv.reader(io.StringIO(text, newline=""))
        assert len(header) == len(row)
        assert not [cell for cell in (*header, *row) if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        assert {name, f"'{name}"} & set(row)


def test_numbers_and_requests_of_a_table_stay_as_they_are():
    frame = pl.DataFrame({"a": ["-1.5", "+20", "p-1"], "b": [-1.0, 2.0, 3.0]})
    assert csv_text(frame) == "a,b\n-1.5,-1.0\n+20,2.0\np-1,3.0\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_comment_is_one_line(name):
    assert load_yaml(f"# {in_comment(name)}\na: 1") == {"a": 1}
    assert in_comment(name).isprintable() or "水" in name


def test_a_drafted_study_holds_names_of_files_as_names(tmp_path):
    folder = tmp_path / 'scans"\nname: evil #'
    for kind, value in (("images", 7), ("masks", 1)):
        (folder / kind).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (32, 32), value).save(folder / kind / f"p{i}.png")
    (folder / "table.csv").write_text('name,"age\nname: evil"\n')
    draft = draft_study(survey_folder(folder), folder, tmp_path / "a\nname: evil; rm -rf ~.yaml")
    read = load_yaml(draft)
    assert read["name"] == "scans-name-evil" and read["cohort"]["folder"] == str(folder)
    command = next(line for line in draft.splitlines() if "segue run" in line).split("segue run ")[1]
    assert len(shlex.split(command)) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_on_the_terminal_takes_no_markup(name):
    stream = io.StringIO()
    Console(file=stream, width=400, markup=False).print(effects_table([fake_effects(name)], (name,), name))
    assert name[:20].strip().split("\n")[0] in stream.getvalue() or not name.isprintable()


def fake_effects(name):
    """An answer of one variable."""
    values = {name: torch.zeros(1)}
    answer = type("Answer", (), {"factual": values, "achieved": values})()
    ways = type("Ways", (), dict.fromkeys(("total", "direct", "indirect"), torch.zeros(1, 1)))()
    return type("Effects", (), {"total": answer, "direct": answer, "variables": ways})()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_figure_draws_the_name(name, tmp_path):
    @plain_text
    def draw():
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().set_title(name)
        figure.savefig(tmp_path / "a.png")

    draw()
    assert (tmp_path / "a.png").stat().st_size > 0
