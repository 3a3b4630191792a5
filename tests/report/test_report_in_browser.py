"""The report in a real browser: a telephone, and A4 paper.

Without Chromium the tests are skipped, or fail where SEGUE_REQUIRE_BROWSER is set, as .ci/run does.
"""


import numpy as np
import pytest
from chromium import needs_chromium
from fakes import fake_metrics
from PIL import Image

from segue.report.page import ReportContent, write_report

pytestmark = needs_chromium
PAPER = 703  # CSS pixels between the margins of A4, at 96 to the inch
RIGHT_ENDS = "[...document.querySelectorAll('table, img, pre, p')].map(one => one.getBoundingClientRect().right)"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A report of ten methods whose names are long, with wide figures."""
    folder, metrics = tmp_path_factory.mktemp("report"), fake_metrics()
    for i, word in enumerate(("corrections", "shrinkage", "ensemble")):
        metrics["methods"][f"segue_without_{word}_at_once"] = metrics["methods"]["other"] | {"composition": 0.1 * i}
    assert len(metrics["methods"]) == 10
    Image.fromarray(np.zeros((400, 1800), np.uint8)).save(folder / "figure.png")
    path = folder / "report.html"
    write_report(path, ReportContent(metrics, folder / "figure.png", study_yaml="x: " + 300 * "long "))
    return path.as_uri()


def test_names_of_rows_stay_in_view_on_a_telephone(browser, address):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    table = page.get_by_role("region", name="Table: means over all variables, part 1")
    name, cell = table.get_by_role("rowheader", name="No-CFT"), table.locator("tbody td").first
    before, cell_before = name.bounding_box()["x"], cell.bounding_box()["x"]
    table.evaluate("one => one.scrollLeft = 120")
    assert name.bounding_box()["x"] == pytest.approx(before, abs=1)
    assert cell.bounding_box()["x"] == pytest.approx(cell_before - 120, abs=1)
    assert name.bounding_box()["width"] < 390 / 2
    page.close()


def test_paper_shows_every_column(browser, address):
    page = browser.new_page(viewport={"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    page.goto(address)
    assert max(page.evaluate(RIGHT_ENDS)) <= PAPER + 1
    page.close()


def test_the_verdict_is_what_is_seen_first(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    box = page.get_by_role("region", name="Verdict").bounding_box()
    assert box["y"] < 200 and box["height"] < 800
    page.get_by_role("link", name="Tables").click()
    assert 0 <= page.get_by_role("heading", name="Tables").bounding_box()["y"] < 800
    page.close()
