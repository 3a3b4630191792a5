"""The page of a reader: it tells nothing, and works in a real browser from a file, from consent to the analysis."""

import base64
import csv
import io
import json
import re

import numpy as np
import pytest
from chromium import axe_findings, needs_chromium
from playwright.sync_api import expect
from small_kit import METHODS, SHAPE, small_kit, small_page

from segue.readers.analysis import analyse
from segue.readers.draw import KitPlan
from segue.readers.key import KEY, REAL, TRUTH, write_key

PLAN = KitPlan(readers=2, cases=12, repeats=3, requests=2, contact="Dr A & <b>B</b>")


def content_of(page: str) -> dict:
    return json.loads(re.search(r'id="kit">(.*?)</script>', page, re.S)[1])


# ---- nothing tells -----------------------------------------------------------------------------------------------


def test_the_page_names_no_image_no_method_no_study_and_no_seed():
    page = small_page(PLAN)[0]
    for word in ("secret", "pos_seg", "Pos-Seg", "segue-", "seed", "kind", "counterfactual", "synthetic"):
        assert word not in page.replace("segue readers", ""), word
    content = content_of(page)
    assert set(content) == {"kit", "reader", "height", "width", "first", "second"}
    assert {tuple(sorted(one)) for one in content["first"]} == {("id", "image")}
    assert {tuple(sorted(one)) for one in content["second"]} == {("after", "before", "id", "request")}


def test_pictures_are_bare_bytes_of_one_length():
    content = content_of(small_page(PLAN)[0])
    texts = [one["image"] for one in content["first"]]
    texts += [one[name] for one in content["second"] for name in ("before", "after")]
    assert {len(base64.b64decode(text)) for text in texts} == {SHAPE[0] * SHAPE[1]}


def test_pictures_of_the_first_part_are_not_in_the_second():
    content = content_of(small_page(PLAN)[0])
    second = {one[k] for one in content["second"] for k in ("before", "after")}
    assert not second & {one["image"] for one in content["first"]}


def test_ids_are_random_and_differ_between_readers():
    _, _, key = small_kit(KitPlan(readers=3, cases=60, repeats=12, requests=20))
    of_reader = [[one.id for one in (*sheet.first, *sheet.second)] for sheet in key.sheets.values()]
    assert all(len(set(ids)) == len(ids) == 112 for ids in of_reader)
    assert len({tuple(ids[:5]) for ids in of_reader}) == 3
    kinds = np.array([case["kind"] == REAL for case in key.cases])
    for sheet in key.sheets.values():
        numbers = np.array([int(one.id, 16) for one in sheet.first])
        real = kinds[[one.case for one in sheet.first]]
        assert abs(np.corrcoef(numbers, real)[0, 1]) < 0.35  # 3 sd of 72
        assert abs(np.corrcoef(np.arange(72), real)[0, 1]) < 0.35
    orders = [[one.case for one in sheet.first] for sheet in key.sheets.values()]
    assert orders[0] != orders[1] != orders[2]


def test_the_same_seed_draws_the_same_kit_and_another_another():
    assert small_kit(PLAN)[2] == small_kit(PLAN)[2]
    other = small_kit(KitPlan(readers=2, cases=12, repeats=3, requests=2, seed=1))[2]
    assert other.kit != small_kit(PLAN)[2].kit


def test_the_page_asks_nobody_for_anything():
    page = small_page(PLAN)[0]
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")
    assert "Dr A &amp; &lt;b&gt;B&lt;/b&gt;" in page


# ---- in a browser ------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(browser, tmp_path):
    """Open the first reader's page from a file; in the end nothing was asked of a network, and no script failed."""
    asked, failed, contexts = [], [], []
    page_text, key = small_page(PLAN)
    path = tmp_path / "reader-1.html"
    path.write_text(page_text)

    def visit(**settings):
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda one: asked.append(one.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("console", lambda one: one.type == "error" and failed.append(one.text))
        page.goto(path.as_uri())
        return page

    yield visit, key
    for context in contexts:
        context.close()
    assert failed == [] and {url for url in asked if not url.startswith("blob:")} == {path.as_uri()}


def begin(page):
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.get_by_label("I have read this").check()
    page.get_by_role("button", name="Start").click()


def grey(page, id):
    """The pixels of a canvas."""
    found = page.evaluate(
        "(id) => { const c = document.getElementById(id);"
        " return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data] }", id
    )
    pixels = np.array(found).reshape(*SHAPE, 4)
    assert (pixels[..., :3] == pixels[..., :1]).all() and (pixels[..., 3] == 255).all()
    return pixels[..., 0]


@needs_chromium
def test_from_page_to_file_to_analysis_by_keyboard(opened, tmp_path):
    """A reader who knows the truth; the page is reloaded on the way."""
    visit, key = opened
    page = visit(accept_downloads=True)
    begin(page)
    sheet, kinds = key.sheets["reader-1"], [case["kind"] for case in key.cases]
    _, drawn, _ = small_kit(PLAN)
    for i, one in enumerate(sheet.first):
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Image {i + 1} of {len(sheet.first)}")
        np.testing.assert_array_equal(grey(page, "image"), drawn.pictures[one.case])
        page.keyboard.press("5")  # before the choice: it is the confidence all the same
        page.keyboard.press("Enter")  # not yet
        page.keyboard.press("r" if kinds[one.case] == REAL else "e")
        if i == 4:  # a reload, with an answer given and the case not left
            page.reload()
            expect(page.get_by_role("heading", level=1)).to_have_text(f"Image {i + 1} of {len(sheet.first)}")
            expect(page.get_by_role("radio", name="5")).to_be_checked()
        page.keyboard.press("4" if kinds[one.case] == "segue" else "5")
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The first part is done")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Begin the second part").click()
    for i, one in enumerate(sheet.second):
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Pair {i + 1} of {len(sheet.second)}")
        expect(page.locator("#request")).to_contain_text("Nothing else should change.")
        np.testing.assert_array_equal(grey(page, "before"), drawn.before[one.request])
        after = drawn.after[one.request][METHODS.index(one.method)]
        np.testing.assert_array_equal(grey(page, "after"), after)
        page.keyboard.press("f")
        np.testing.assert_array_equal(grey(page, "after"), drawn.before[one.request])
        page.keyboard.press("f")
        for digit in ("512" if one.method == "segue" else "345"):
            page.keyboard.press(digit)
        if i == 0:
            page.keyboard.press("b")  # nothing is before it: the first part is locked
            expect(page.get_by_role("heading", level=1)).to_have_text(f"Pair 1 of {len(sheet.second)}")
        page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download answers").click()
    assert download.value.suggested_filename == "reader-1-answers.csv"
    path = tmp_path / "reader-1-answers.csv"
    download.value.save_as(path)
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["case"] for row in rows] == [one.id for one in (*sheet.first, *sheet.second)]
    assert all(float(row["seconds"]) >= 0 for row in rows)

    (tmp_path / "kit" / TRUTH).mkdir(parents=True)
    write_key(tmp_path / "kit" / TRUTH / KEY, key)
    found = json.loads((analyse(tmp_path / "kit", [path], tmp_path / "out") / "analysis.json").read_text())
    assert {name: row["value"] for name, row in found["first"]["auc"].items()} == {
        "pos_seg_cft": 1, "segue": 1, "all edited images": 1
    }  # fmt: skip
    assert found["first"]["within_readers"]["reader-1"]["kappa"] == 1
    ratings = {name: [one["value"] for one in row.values()] for name, row in found["second"]["methods"].items()}
    assert ratings == {"segue": [5, 1, 2], "pos_seg_cft": [3, 4, 5]}

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove my answers").click()
    page.reload()
    expect(page.get_by_role("heading", name="Reading study")).to_be_visible()


@needs_chromium
def test_window_and_level_by_mouse_sliders_and_keys(opened):
    visit, _ = opened
    page = visit(viewport={"width": 1280, "height": 900})
    begin(page)
    plain = grey(page, "image")
    page.keyboard.press("]")
    assert grey(page, "image").mean() > plain.mean()
    page.keyboard.press("0")
    np.testing.assert_array_equal(grey(page, "image"), plain)
    page.get_by_label("Contrast").fill("75")
    strong = grey(page, "image").astype(int)
    assert ((strong == 0) | (strong == 255)).mean() > 0.5
    page.get_by_role("button", name="Reset").click()
    box = page.locator("#image").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 50, box["y"] + 20, steps=4)
    page.mouse.up()
    assert grey(page, "image").mean() > plain.mean()  # up is brighter
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_label("Brightness")).to_have_value("128")  # each image begins as all others do


@needs_chromium
def test_a_browser_that_saves_nothing_is_named_and_a_damaged_store_is_no_obstacle(opened):
    visit, _ = opened
    page = visit()
    expect(page.locator("#unsaved")).to_be_hidden()
    begin(page)
    page.evaluate("Object.keys(localStorage).forEach((key) => localStorage.setItem(key, '{\"screen\": 3}'))")
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full') } }")
    page.keyboard.press("r")
    expect(page.locator("#unsaved")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Reading study")).to_be_visible()


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_axe_finds_nothing(opened, width):
    visit, key = opened
    page = visit(viewport={"width": width, "height": 844})
    assert axe_findings(page) == []
    begin(page)
    assert axe_findings(page) == []
    for _ in key.sheets["reader-1"].first:
        page.keyboard.press("e")
        page.keyboard.press("2")
        page.keyboard.press("Enter")
    assert axe_findings(page) == []
    page.get_by_role("button", name="Begin the second part").click()
    assert axe_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
