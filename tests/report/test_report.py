import base64
import os
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from fakes import METHODS, fake_metrics
from PIL import Image

from segue.errors import InputError
from segue.report.columns import method_title
from segue.report.page import WIDEST, ReportContent, duration, write_report
from segue.report.verdict_text import verdict_text

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Texts, attributes and table rows; fails on tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.rows = [], [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attr) for attr in attrs]
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.text.append(data.strip())
            if self.open[-1] in ("td", "th", "strong"):
                self.rows[-1].append(data.strip())


@pytest.fixture
def figure(tmp_path):
    Image.new("RGB", (40, 20), "red").save(tmp_path / "figure.png")
    return tmp_path / "figure.png"


def test_one_page_with_everything_and_no_request(tmp_path, figure):
    metrics = fake_metrics()
    yaml = "cohort: <phantom> & more\nseed: 1\n"
    path = tmp_path / "report.html"
    write_report(path, ReportContent(metrics, figure, study_yaml=yaml, extra_figures={"Losses": figure}))
    assert sorted(os.listdir(tmp_path)) == ["figure.png", "report.html"]
    html = path.read_text()
    page = Page(html)
    assert "http:" not in html and "https:" not in html and "url(" not in html and "@import" not in html
    assert not [one for one in page.attributes if one[0] in ("script", "link", "iframe")]
    *plots, first, _ = [value for tag, key, value in page.attributes if (tag, key) == ("img", "src")]
    assert len(plots) == 4  # of errors: their means, two structures, covariates
    assert base64.b64decode(first.removeprefix("data:image/png;base64,")) == figure.read_bytes()
    text = "\n".join(page.text)
    for word in (
        "lumen",
        "calcified plaque",
        "proximal",
        "distal",
        "age",
        "phantom <test>",
        "Losses",
        "2 h 3 min",
    ):
        assert word in text
    for word in (metrics["commit"], metrics["command"], yaml.strip()):
        assert word in text
    assert "segue run 'phantom <test>.yaml'" in text  # can be pasted into a shell
    study = next(value for tag, key, value in page.attributes if (tag, key) == ("a", "href") and "base64" in value)
    assert base64.b64decode(study.partition(",")[2]).decode() == yaml


def test_tables_hold_every_method_and_number(tmp_path, figure):
    metrics = fake_metrics()
    write_report(tmp_path / "report.html", ReportContent(metrics=metrics, figure=figure, study_yaml=""))
    rows = [row for row in Page((tmp_path / "report.html").read_text()).rows if row]
    for method in METHODS:
        by_region, means, *_ = [row for row in rows if row[0] == method_title(method)]
        errors = [float(cell) for cell in by_region[1:]]
        expected = [entry["error_sd"] for entry in metrics["methods"][method]["variables"].values()]
        assert errors == pytest.approx(expected, abs=5e-3)
        assert float(means[1]) == pytest.approx(metrics["methods"][method]["mean"]["error"], abs=5e-3)
    assert any(row[:2] == ["judge", "0.931"] for row in rows)
    for name in ("doing nothing", "facts alone"):
        assert name in [row[0] for row in rows]


def test_what_a_reader_has_to_know(tmp_path, figure):
    metrics = fake_metrics() | {"fallbacks": {"left_lung": 12, "heart": 0}}
    for i, method in enumerate(("no_cft", "pos_seg_cft")):
        metrics["methods"][method]["nelbo"] = {"guide": -2.5 - i, "validation": -2.25, "test": -2.25}
    path = tmp_path / "report.html"
    write_report(path, ReportContent(metrics=metrics, figure=figure, study_yaml="", notes="Outlines are <wide>.\n"))
    page = Page(path.read_text())
    text = "\n".join(page.text)
    assert "Outlines are <wide>." in text and "In 12 of 96 images" in text
    assert "left lung" in text and "regions of heart" not in text
    gaps = {row[0]: row[1:] for row in page.rows if row[0] in ("No-CFT", "Pos-Seg-CFT") and len(row) == 5}
    assert {name: [float(cell) for cell in row] for name, row in gaps.items()} == {
        "No-CFT": [-2.5, -2.25, -2.25, 0.25], "Pos-Seg-CFT": [-3.5, -2.25, -2.25, 1.25],
    }  # fmt: skip


def test_sparse_metrics_still_make_a_page(tmp_path):
    metrics = {"methods": {"no_cft": {"variables": {"heart@whole": {}}}}, "seconds": None}
    write_report(tmp_path / "report.html", ReportContent(metrics, figure=tmp_path / "none.png", study_yaml="a: 1"))
    page = Page((tmp_path / "report.html").read_text())
    assert "None" not in " ".join(page.text) and "No-CFT" in page.text
    assert not [one for one in page.attributes if one[0] == "img"]


def test_a_reader_finds_the_way(tmp_path, figure):
    """Headings in order, a contents list whose entries exist, names for what is seen, and no marks of Markdown."""
    page = written(tmp_path, fake_metrics(), figure, methods={"other": "Somebody's own."})
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    names = {value for _, key, value in page.attributes if key == "id"}
    links = [value for tag, key, value in page.attributes if (tag, key) == ("a", "href")]
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert len(anchors) >= 6 and anchors <= names
    for tag, attributes in page.tags:
        assert tag != "img" or attributes["alt"]
        assert tag != "th" or attributes["scope"] in ("col", "row", "colgroup")
    areas = [one for _, one in page.tags if "scroll" in one.get("class", "")]
    labels = [one["aria-label"] for one in areas]
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in areas) and len(set(labels)) == len(labels)
    assert not [text for text in page.text if "`" in text]
    assert "Somebody's own." in page.text


def test_no_table_is_wider_than_a_page(tmp_path, figure):
    metrics = fake_metrics()
    metrics["methods"] |= {f"segue_{i}": metrics["methods"]["other"] for i in range(10)}
    page = written(tmp_path, metrics, figure)
    assert max(len(row) for row in page.rows) <= 1 + WIDEST
    for method in metrics["methods"]:
        assert sum(method_title(method) in row for row in page.rows) >= 3


def test_a_method_below_the_oracle_is_explained_where_its_error_is_shown(tmp_path, figure):
    metrics = fake_metrics()
    for name, method in metrics["methods"].items():
        for entry in method["variables"].values():
            entry["error_sd"] = 0.1 if name == "oracle" else 0.5
    metrics["methods"]["other"]["variables"]["lumen@distal"]["error_sd"] = 0.05
    written(tmp_path, metrics, figure)
    html = (tmp_path / "report.html").read_text()
    errors = html[html.index('id="errors"') : html.index('id="tables"')]
    assert "other in 1 of 5 variables" in errors and "judge is too weak" in errors


def written(folder, metrics, figure, **more):
    write_report(folder / "report.html", ReportContent(metrics, figure, study_yaml="", **more))
    return Page((folder / "report.html").read_text())


def test_a_missing_extra_figure_is_named(tmp_path, figure):
    content = ReportContent(fake_metrics(), figure, study_yaml="", extra_figures={"Curves": tmp_path / "curves.png"})
    with pytest.raises(InputError, match=r"curves\.png"):
        write_report(tmp_path / "report.html", content)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (12.34, "12.3 s"), (600.0, "10 min"), (7384.0, "2 h 3 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_report_and_verdict_say_whose_images_were_judged(tmp_path):
    metrics = fake_metrics() | {"split": "validation"}
    assert "validation images" in str(verdict_text(metrics)) and "test images" not in str(verdict_text(metrics))
    write_report(tmp_path / "report.html", ReportContent(metrics, tmp_path / "none.png", ""))
    assert "For every validation image" in (tmp_path / "report.html").read_text()


def test_the_report_tells_of_no_folder(tmp_path, figure):
    command = "segue run /home/ada/studies/chest.yaml --cohort.folder /data/patients"
    write_report(tmp_path / "report.html", ReportContent(fake_metrics() | {"command": command}, figure, study_yaml=""))
    html = (tmp_path / "report.html").read_text()
    assert "segue run chest.yaml --cohort.folder patients" in html and "/home" not in html and "/data" not in html
