import pytest
import tiny
import torch

from segue.anatomy import ExtentPartition, Variables, hard
from segue.causal.parents import Parents
from segue.evaluation.measurement_error import measurement_error


def mask(*rows_columns):
    """A mask of 8 x 16 pixels that is 1 on a rectangle ((first, last), (first, last))."""
    (top, bottom), (left, right) = rows_columns
    image = torch.zeros(8, 16)
    image[top:bottom, left:right] = 1
    return image


TRUTH = torch.stack(
    [
        torch.stack([mask((0, 4), (2, 10)), mask((5, 8), (0, 16))]),
        torch.stack([mask((0, 2), (0, 16)), mask((4, 8), (8, 12))]),
    ]
)  # lumen left and right: 24, 8 and 16, 16; plaque: 24, 24 and 0, 16


class Moved(tiny.Channels):
    """Sees lumen two columns to the right, and no plaque."""

    def soft(self, image):
        soft = image.roll(2, -1).clone()
        soft[:, 1] = 0
        return soft


@pytest.fixture
def parents() -> Parents:
    parents = Parents(segmentor=tiny.Channels(), variables=tiny.variables("lumen", "plaque"))
    parents.sd.copy_(torch.tensor([1.0, 2, 4, 8]))
    return parents


def batches(area=1.0):
    for one in TRUTH.split(1):
        yield {"image": one, "fractions": one, "pixel_area": torch.tensor([area])}


def test_a_segmentor_that_is_right_has_dice_one_and_no_error(parents):
    found = measurement_error(tiny.Channels(), parents, batches())
    assert found["dice"] == pytest.approx({"lumen": 1, "plaque": 1})
    assert found["error"].keys() == found["error_sd"].keys() == set(parents.variables.names)
    assert max(found["error"].values()) < 1e-5 and max(found["error_sd"].values()) < 1e-5


def test_a_segmentor_that_errs_by_hand(parents):
    found = measurement_error(Moved(), parents, batches(area=0.5))
    # lumen overlaps 4 x 6 of 4 x 8 pixels in the first image, and all (it goes round the border) in the second
    assert found["dice"] == pytest.approx({"lumen": (24 / 32 + 1) / 2, "plaque": 0})
    # lumen left 24 becomes 16, right 8 becomes 16; plaque is missed: (24 + 0) / 2 and (24 + 16) / 2 pixels
    pixels = {"lumen@left": 4, "lumen@right": 4, "plaque@left": 12, "plaque@right": 20}
    assert found["error"] == pytest.approx({name: 0.5 * value for name, value in pixels.items()})
    assert found["error_sd"] == pytest.approx(
        {"lumen@left": 2, "lumen@right": 1, "plaque@left": 1.5, "plaque@right": 1.25}
    )


def test_an_image_without_the_structure_does_not_count_for_dice(parents):
    empty = TRUTH.clone()
    empty[1, 1] = 0
    found = measurement_error(
        tiny.Channels(), parents, iter([{"image": empty, "fractions": empty, "pixel_area": torch.ones(2)}])
    )
    assert found["dice"] == pytest.approx({"lumen": 1, "plaque": 1})


def test_the_judge_measures_in_the_guides_regions_and_the_truth_in_its_own():
    halves = ExtentPartition(regions=("near", "far"), axis=1)
    measured = Variables(structures=("lumen",), partitions={"lumen": halves})
    parents = Parents(segmentor=Moved(), variables=measured)
    one = {"image": TRUTH[:1], "fractions": TRUTH[:1, :1], "pixel_area": torch.ones(1)}

    class First(tiny.Channels):
        def soft(self, image):
            return image[:, :1]

    # the guide sees columns 4 to 12 and cuts at 8; the judge sees 2 to 10: 6 columns near and 2 far, instead of 4 and 4
    found = measurement_error(First(), parents, iter([one]))
    assert found["error"] == pytest.approx({"lumen@near": 8, "lumen@far": 8})


def test_hard_is_the_likeliest_class_background_first():
    soft = torch.tensor([[[[0.6, 0.3, 0.2]], [[0.3, 0.3, 0.7]]]])  # background: 0.1, 0.4, 0.1
    assert hard(soft)[0, :, 0].T.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
