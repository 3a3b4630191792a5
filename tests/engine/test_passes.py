"""Each image goes through each segmentor once, however many look at what it says."""

from collections import Counter

import pytest
import tiny
import torch
from test_verdict import Taller

from segue.causal.facts import Facts
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.engine.answer import abduct_images, check_inputs, predict_all
from segue.engine.image_statistics import model_statistics
from segue.engine.model import Model
from segue.mechanisms.refined import Refined

SEEN: Counter[str] = Counter()


class Counted(tiny.Tones):
    """Counts its images."""

    def __init__(self, name: str, width: float) -> None:
        super().__init__(0.5, width=width)
        self.name = name

    def soft(self, image):
        SEEN[self.name] += len(image)
        return super().soft(image)


@pytest.fixture
def images() -> torch.Tensor:
    image = torch.full((2, 1, *tiny.SIZE), -0.8)
    image[..., :3, 4:12] = 0.5
    image[..., :4, 20:28] = 0.5
    SEEN.clear()
    return image


def model(corrections: int) -> Model:
    members = [Counted("first", 0.2), Counted("second", 0.4)]
    mechanism = Refined(Taller(tiny.bar_parents(), 0.5), corrections=corrections, ensemble=members)
    grid = Grid(tiny.SIZE, intensity=Intensity((-1.0, 1.0)), unit="px", pixel_area=1.0)
    return Model(mechanism, grid, marginal=torch.arange(0.0, 65, 8)[:, None].expand(-1, 2))


@pytest.mark.parametrize("corrections", [0, 1, 2])
def test_the_ensemble_sees_each_image_once(images, corrections):
    asked = model(corrections)
    known = abduct_images(asked, check_inputs(asked, images))
    model_statistics(known, asked.mechanism)
    assert dict(SEEN) == {"first": 2, "second": 2}
    predict_all(asked, known, torch.tensor([0, 1, 1]), known.facts.pa[[0, 1, 1]] + 8)
    answers = 3 * (corrections + 1)
    assert dict(SEEN) == dict.fromkeys(("first", "second"), 2 + answers)


def test_what_the_ensemble_measured_gives_the_same_answers(images):
    asked = model(2)
    with torch.inference_mode():
        known = abduct_images(asked, check_inputs(asked, images))
        unmeasured = Facts(*known.facts[:4])
        given = [
            asked.mechanism.predict(facts, known.posteriors[0], [facts.pa + 8])
            for facts in (known.facts, unmeasured)
        ]
    assert known.facts.by_ensemble.shape == (2, 2, 2) and unmeasured.by_ensemble is None
    assert torch.equal(given[0][0], given[1][0]) and not torch.equal(given[0][0], known.facts.image)
