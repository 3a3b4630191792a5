"""The page in a real browser: choose, slide, read, upload, download.

Without Chromium the tests are skipped, or fail where SEGUE_REQUIRE_BROWSER is set, as .ci/run does.
"""

import base64
import gzip
import io
import os
import shutil
from urllib.parse import urlparse

import nibabel
import numpy as np
import pytest
import small_study
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from test_serve import free_port

from segue.explorer.asking import ask
from segue.explorer.models import explored
from segue.explorer.serve import serve

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.xdist_group("explorer"),
    pytest.mark.skipif(
        CHROMIUM is None and "SEGUE_REQUIRE_BROWSER" not in os.environ, reason="no Chromium: apt-get install chromium"
    ),
]
MID, LABEL = "calcified_plaque@mid", "calcified plaque, mid"


@pytest.fixture(scope="module")
def opened():
    return explored(str(small_study.trained()[1]), methods=["pos_seg_cft", "no_cft"])


@pytest.fixture(scope="module")
def address(opened):
    address, close = serve(opened, port=free_port())
    yield address
    close()


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM is not None, "SEGUE_REQUIRE_BROWSER is set, but there is no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Open the page as a new user. In the end: nobody but this machine was asked for anything, no script failed."""
    foreign, failed, contexts = [], [], []

    def visit(**settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda r: urlparse(r.url).hostname in ("127.0.0.1", None, "") or foreign.append(r.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(address)
        expect(page.get_by_label(LABEL, exact=True)).to_be_visible()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert foreign == [] and failed == []


def choose(page, id):
    page.get_by_role("button", name=f"Choose {id}").click()
    expect(page.get_by_alt_text(f"Factual image, {id}")).to_be_visible()


def request(page, value, label=LABEL):
    """Type a value beside the slider, and wait for its answer."""
    number = page.get_by_label(f"{label}, value", exact=True)
    number.fill(str(value))
    number.press("Enter")
    expect(asked_row(page, label)).to_contain_text(f"{float(value):.2f}")


def asked_row(page, label=LABEL):
    return page.locator("tr.sg-asked", has_text=label)


def test_choose_slide_read_and_reproduce(visit, opened):
    page = visit()
    page.get_by_label("Search by id").fill(opened.source.ids[3])
    expect(page.get_by_role("button", name="Choose phantom")).to_have_count(1)
    choose(page, opened.source.ids[3])
    slider = page.get_by_label(LABEL, exact=True)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    value = float(slider.input_value())
    row = asked_row(page)
    expect(row).to_contain_text(f"{value:.2f}")
    answer = ask(opened, opened.choose(3).case, {MID: value}, ["pos_seg_cft"])
    expect(row.locator(".sg-guide")).to_have_text(f"{answer.readings[0].guide[MID]:.2f}")

    page.get_by_role("button", name="Download this counterfactual").click()
    page.get_by_role("button", name="Prepare files").click()
    files = page.get_by_role("list", name="Files to download").get_by_role("link")
    expect(files).to_have_count(6)
    contents = {}
    for link in files.all():
        with page.expect_download() as download:
            link.click()
        contents[download.value.suggested_filename] = download.value.path().read_bytes()
    nifti = next(content for name, content in contents.items() if name.endswith(".nii.gz"))
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(nifti)).get_fdata()
    np.testing.assert_allclose(image, answer.readings[0].image, rtol=1e-5, atol=0.01)
    code = next(content for name, content in contents.items() if name.endswith(".py")).decode()
    space: dict = {}
    exec(code, space)
    np.testing.assert_allclose(space["answers"]["pos_seg_cft"], image, atol=0.05)
    expect(page.locator("#sg-code")).to_contain_text("segue.load")


def shown(page, picture):
    """The pixels of a grey picture as the browser shows them, one per pixel of the image, 0 to 255."""
    canvas = page.locator(".sg-canvas").nth(picture)
    height, width = pixels(page, picture, 0).shape
    seen = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("L"), dtype=float)
    rows = ((np.arange(height) + 0.5) * seen.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * seen.shape[1] / width).astype(int)
    return seen[np.ix_(rows, columns)]


def pixels(page, picture, image):
    """The pixels of one of the image files of a picture."""
    source = page.locator(".sg-canvas").nth(picture).locator("img").nth(image).get_attribute("src")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))), dtype=float)


def test_each_picture_shows_the_image_that_its_title_names(visit):
    """Side by side, the factual image that *Compare* lays over the counterfactual must be invisible."""
    page = visit()
    request(page, 30)
    page.get_by_label("Region borders").uncheck()
    factual, counterfactual = pixels(page, 0, 0), pixels(page, 1, 0)
    np.testing.assert_array_equal(pixels(page, 1, 1), factual)  # laid over it
    changed = np.abs(counterfactual - factual) > 20
    assert changed.sum() > 5

    def misses(picture, expected):
        return np.abs(shown(page, picture) - expected)[changed].mean()

    over = page.locator(".sg-over").first
    expect(over).to_have_css("display", "none")
    assert misses(0, factual) < 2 and misses(1, counterfactual) < 2
    page.get_by_label("Compare", exact=True).select_option("onion")
    page.get_by_label("Share of the factual image").fill("100")
    expect(over).to_have_css("opacity", "1")
    assert misses(1, factual) < 2
    page.get_by_label("Share of the factual image").fill("0")
    expect(over).to_have_css("opacity", "0")
    assert misses(1, counterfactual) < 2
    page.get_by_label("Compare", exact=True).select_option("none")
    expect(over).to_have_css("display", "none")


def test_extrapolation_is_said_and_reset_takes_it_back(visit):
    page = visit()
    request(page, 60)
    expect(page.locator(".sg-cell", has_text="extrapolates")).to_have_count(1)
    expect(page.get_by_text("Outside the training data, so extrapolated")).to_be_visible()
    page.get_by_label(f"Reset {LABEL}").click()
    expect(page.get_by_text("Nothing is requested yet")).to_be_visible()
    expect(page.locator(".sg-cell", has_text="extrapolates")).to_have_count(0)
    page.get_by_label("Preset").select_option(label="+50% lumen, mid")
    expect(asked_row(page, "lumen, mid")).to_be_visible()
    page.get_by_role("button", name="Reset all").click()
    expect(page.get_by_text("Nothing is requested yet")).to_be_visible()


def test_bad_uploads_get_a_sentence_and_a_volume_its_slice_picker(visit, tmp_path):
    page = visit()
    page.get_by_role("tab", name="Upload").click()
    chooser = page.locator("input[type=file]")
    (tmp_path / "notes.png").write_bytes(b"not an image")
    chooser.set_input_files(tmp_path / "notes.png")
    expect(page.get_by_text("notes.png: is no PNG, NIfTI or DICOM file by its content")).to_be_visible()
    page.get_by_label("Clear").or_(page.get_by_label("Remove this file")).first.click()
    values = np.random.default_rng(0).normal(100, 200, (16, 48, 7)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([0.5, 0.5, 2, 1])), tmp_path / "scan.nii.gz")
    chooser.set_input_files(tmp_path / "scan.nii.gz")
    expect(page.get_by_text("scan.nii.gz was received with 7 slices")).to_be_visible()
    number = page.get_by_label("number input for Slice, along the last axis")
    number.fill("2")
    number.press("Enter")
    page.get_by_role("button", name="Use this image").click()
    expect(page.get_by_alt_text("Factual image, scan.nii.gz")).to_be_visible()
    request(page, 3)


def test_users_see_their_own_images(visit, opened):
    first, second = visit(), visit()
    choose(first, opened.source.ids[1])
    choose(second, opened.source.ids[2])
    request(first, 3)
    expect(first.get_by_alt_text(f"Factual image, {opened.source.ids[1]}")).to_be_visible()
    choose(first, opened.source.ids[1])  # the same again: as it was measured
    expect(first.get_by_text("Nothing is requested yet")).to_be_visible()
    assert first.locator(".sg-cell.sg-asked").count() == 0
    expect(second.get_by_text("Nothing is requested yet")).to_be_visible()
    request(second, 4)
    answer = ask(opened, opened.choose(2).case, {MID: 4.0}, ["pos_seg_cft"])
    expect(asked_row(second).locator(".sg-guide")).to_have_text(f"{answer.readings[0].guide[MID]:.2f}")


def test_methods_side_by_side_outlines_wipe_and_sweep(visit):
    page = visit()
    request(page, 3)
    page.get_by_label("No-CFT").check()
    expect(page.get_by_alt_text("Counterfactual by No-CFT")).to_be_visible()
    outline, legend = page.locator(".sg-outline").first, page.locator(".sg-legend")
    expect(outline).to_have_css("display", "none")
    expect(legend).to_be_hidden()
    page.get_by_label("Segmentation outlines").check()
    expect(outline).to_have_css("display", "inline")
    expect(legend).to_be_visible()
    page.get_by_label("Compare", exact=True).select_option("wipe")
    expect(page.locator(".sg-over").first).to_be_visible()
    page.get_by_role("button", name="Sweep one variable").click()
    page.get_by_role("button", name="Sweep", exact=True).click()
    expect(page.locator(".sg-frames img")).to_have_count(9)
    link = page.get_by_role("link", name="Download the GIF").get_attribute("href")
    assert base64.b64decode(link.split(",")[1]).startswith(b"GIF89a")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_control_has_a_name_text_is_legible_and_nothing_is_cut(visit, width, scheme):
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    request(page, 60)
    page.get_by_label("Segmentation outlines").check()
    assert page.evaluate("document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth")
    controls = {"button", "checkbox", "slider", "spinbutton", "combobox", "textbox", "link", "tab", "radio"}
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if not n["ignored"] and "role" in n]
    found = [(role, name) for role, name in named if role in controls]
    assert len(found) > 40 and [role for role, name in found if not name.strip()] == []
    ratios = page.evaluate(CONTRAST)
    assert len(ratios) > 30 and [one for one in ratios if one[0] < 4.5] == []


CONTRAST = """() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const opaque = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(e).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return numbers(getComputedStyle(document.body).backgroundColor).slice(0, 3);
  };
  const light = (rgb) => rgb.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const e of document.querySelectorAll('[class^=sg-], [class^=sg-] *')) {
    const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!text || !e.checkVisibility() || e.matches(':disabled, option')) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color).slice(0, 3)), light(opaque(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([ratio, e.className || e.tagName, e.textContent.trim().slice(0, 30)]);
  }
  return found;
}"""
