"""axe-core finds nothing serious or moderate on the page and on the report."""

from pathlib import Path

import pytest
import small_study
from chromium import axe_findings as found
from test_browser import address, opened, pytestmark, request, visit  # noqa: F401  (fixtures)


def test_axe_itself_finds_what_is_wrong(browser):
    page = browser.new_page()
    page.set_content("<html><body><img src='x.png'><input></body></html>")
    assert {"image-alt", "label"} <= {rule for rule, _, _ in found(page)}
    page.close()


def test_colours_are_looked_at_when_they_have_settled(browser):
    page = browser.new_page()
    page.set_content(
        """<html lang="en"><head><title>a</title></head><body><main><h1 id="a">Text</h1></main>
        <style>h1 { background: #fff; color: #eee; transition: color 1s steps(1, end) }
        #a.b { color: #000 }</style></html>"""
    )
    assert [rule for rule, _, _ in found(page)] == ["color-contrast"]
    page.evaluate("document.querySelector('#a').className = 'b'")
    assert found(page) == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page(visit, width, scheme):  # noqa: F811
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    request(page, 60)
    for name in ("Sweep one variable", "The same request of many images", "Download this counterfactual"):
        page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Prepare files").click()
    page.get_by_role("list", name="Files to download").wait_for()
    page.get_by_role("button", name="Sweep", exact=True).click()
    page.locator(".sg-frames").wait_for()
    assert found(page) == []


def test_the_report(browser):
    (report,) = Path(small_study.trained()[1]).glob("report/*.html")
    page = browser.new_page()
    page.goto(report.as_uri())
    assert found(page) == []
    page.close()
