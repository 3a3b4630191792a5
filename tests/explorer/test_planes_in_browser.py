"""Volumes in a real browser: three planes, a slider for each axis, and a click that moves the planes to a voxel."""

import base64
import io

import numpy as np
import pytest
from chromium import needs_chromium
from PIL import Image
from playwright.sync_api import expect
from test_serve import free_port
from test_view import VOLUME, a_volume, volumes

from segue.explorer.pictures import display_grey
from segue.explorer.serve import serve

pytestmark = [pytest.mark.xdist_group("explorer"), needs_chromium]
expect.set_options(timeout=60_000)
SPACING = (1.0, 1.0, 2.0)  # of `a_volume`: its last axis is drawn twice as large
X, Y, Z = VOLUME
GAP = 2


class OneVolume:
    """A cohort of one volume whose voxels all differ."""

    ids = ("v",)

    def __init__(self):
        self.case = a_volume().case
        self.case.image[:] += np.random.default_rng(0).normal(0, 0.02, self.case.image.shape)

    def read(self, index):
        return self.case

    def identity(self):
        return self.ids


@pytest.fixture(scope="module")
def volume():
    return OneVolume()


@pytest.fixture(scope="module")
def address(volume):
    opened = volumes()
    opened.source = volume
    address, close = serve(opened, port=free_port())
    yield address
    close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, failed = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(address)
    expect(page.get_by_alt_text("Factual image, v")).to_be_visible()
    yield page
    context.close()
    assert failed == []


def factual(page):
    """The picture of the factual volume."""
    source = page.get_by_alt_text("Factual image, v").get_attribute("src")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def slice_along(page, axis):
    return page.get_by_label(f"Slice along axis {axis + 1}", exact=True)


def slide(page, axis, index):
    """Move a slider, and wait for its slice."""
    slice_along(page, axis).fill(str(index))
    expect(page.locator(f".sg-view[data-planes*='\"place\": [{index if axis == 0 else ''}']")).to_be_visible()


def place(page):
    return [int(slice_along(page, axis).input_value()) for axis in range(3)]


def test_three_planes_and_a_slider_for_each_axis(page, volume):
    image, window = volume.case.image[0], (-1.0, 1.0)
    assert factual(page).shape == (2 * Z + GAP + Y, X + GAP + Y)
    slide(page, 0, 6)
    assert place(page)[0] == 6
    sagittal = display_grey(image[6].T[::-1].repeat(2, axis=0), window)  # second axis to the right, third upwards
    np.testing.assert_array_equal(factual(page)[: 2 * Z, X + GAP :], sagittal)


def test_a_click_moves_the_planes_and_the_pointer_reads_the_voxel(page, volume):
    canvas = page.locator(".sg-canvas").first
    box = canvas.bounding_box()
    height, width = 2 * Z + GAP + Y, X + GAP + Y
    x, y = 5, 20  # a voxel of the lower plane, whose second axis goes upwards
    row, column = 2 * Z + GAP + (Y - 1 - y), x
    z = place(page)[2]
    at = {"x": box["width"] * (column + 0.5) / width, "y": box["height"] * (row + 0.5) / height}
    canvas.hover(position=at)
    said = page.locator(".sg-pixel").first
    expect(said).to_contain_text(f"voxel {x + 1}, {y + 1}, {z + 1}:")
    value = float(said.inner_text().split(":")[1].replace("−", "-"))
    assert value == pytest.approx(volume.case.image[0, x, y, z], abs=1e-3)
    canvas.click(position=at)
    expect(page.locator(f".sg-view[data-planes*='[{x}, {y}, {z}]']")).to_be_visible()
    assert place(page) == [x, y, z]
    coronal = display_grey(volume.case.image[0, :, y].T[::-1].repeat(2, axis=0), (-1.0, 1.0))
    np.testing.assert_array_equal(factual(page)[: 2 * Z, :X], coronal)


def test_the_planes_go_back_to_what_changed_most(page):
    before = place(page)
    slide(page, 0, 7 if before[0] != 7 else 1)
    page.get_by_role("button", name="Most changed").click()
    expect(slice_along(page, 0)).to_have_value(str(before[0]))
