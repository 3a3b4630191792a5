"""A segmentor of few subjects: alone, with usual augmentation, with counterfactuals of several methods.

Counterfactuals of the run's methods come from a generator that has seen *all* of the guide's subjects and their masks,
also where the segmentor has a tenth of them. That favours them. Those of `untrained_warp` do not: their guide is the
segmentor that was trained alone, on the same few subjects.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from monai.metrics import compute_dice
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.use.record import Rows, by_name, fitted, interval, paired, parser, settings_of, write_results
from segue.anatomy import hard
from segue.baselines import BASELINES, BaselineParts
from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.engine.method import Method, Questions, of_mechanism
from segue.evaluation.shift import SHIFTS, shifted
from segue.hardware import channels_last
from segue.hub.runs import study_at
from segue.mechanisms.base import Moved
from segue.mechanisms.diffeomorphism import resample
from segue.nets.segmentor import Segmentor
from segue.pipeline.common import augmentation, grid_of, open_store
from segue.pipeline.recipes import Workshop, recipes
from segue.study.derived import variables
from segue.tensor_file import save_tensors
from segue.training.batches import Batch
from segue.training.objectives import Augmentation, Segmentation

Settings = Mapping[str, Any]
ALONE, USUAL, WARP = "alone", "usual augmentation", "untrained_warp"


class Pairs(NamedTuple):
    """Images and their masks, scaled and resized: (subject, channel, *space), or (subject, k, channel, *space)."""

    image: Tensor
    fractions: Tensor

    def of(self, rows: Tensor) -> "Pairs":
        """Those of some subjects."""
        return Pairs(self.image[rows], self.fractions[rows])


class Stream:
    """Batches by step number: a share of each from the counterfactuals of the same subjects."""

    def __init__(self, real: Pairs, made: Pairs | None, settings: Settings, seed: int) -> None:
        self.real, self.made, self.share, self.seed = real, made, settings["share"], seed
        self.batch_size: int = settings["training"]["batch_size"]

    def at(self, step: int) -> Batch:
        """The batch of a step."""
        random = np.random.default_rng((self.seed, step))
        rows = random.integers(len(self.real.image), size=self.batch_size)
        batch = self.real.of(torch.from_numpy(rows))
        if self.made is not None:
            image, fractions = batch.image.clone(), batch.fractions.clone()
            for i in np.flatnonzero(random.random(self.batch_size) < self.share):
                k = random.integers(self.made.image.shape[1])
                image[i], fractions[i] = self.made.image[rows[i], k], self.made.fractions[rows[i], k]
            batch = Pairs(image, fractions)
        return batch._asdict()


class Cohort:
    """The run's images: of the guide's subjects to train on, of the test subjects to judge."""

    def __init__(self, run: Path, settings: Settings) -> None:
        self.study = study_at(run)
        self.store, self.settings = open_store(self.study), settings
        self.grid = grid_of(self.study, self.store)
        self.full, self.test_raw = self.read("guide"), self.store.read(self.store.indices("test"))
        self.guide = resized(self.full, settings)
        self.tests = {shift: self.test(shift) for shift in (None, *settings["shifts"])}

    def read(self, split: str) -> Pairs:
        """A split's images, scaled, and masks."""
        found = self.store.read(self.store.indices(split))
        return Pairs(self.grid.scale(found["image"]), found["fractions"])

    def test(self, shift: str | None) -> Pairs:
        """The test images, under a shift."""
        raw, fractions = self.test_raw["image"], self.test_raw["fractions"]
        if shift is not None:
            torch.manual_seed(0)
            raw, fractions = shifted(SHIFTS[shift], raw, fractions)
        return resized(Pairs(self.grid.scale(raw), fractions), self.settings)


def resized(pairs: Pairs, settings: Settings) -> Pairs:
    """On the segmentor's grid; pixels are averaged."""
    size = settings["size"]
    image, fractions = (F.interpolate(one, size=size, mode="bilinear", antialias=True) for one in pairs)
    return Pairs(image, fractions.clamp(0, 1))


def requests(pa: Tensor, sd: Tensor, settings: Settings, seed: int) -> list[Tensor]:
    """For each counterfactual pa*: some variables of each image changed by at most so many sd."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(settings["counterfactuals"]):
        change = settings["change"] * (2 * torch.rand(pa.shape, generator=generator) - 1) * sd
        chosen = torch.rand(pa.shape, generator=generator).argsort(1) < settings["variables"]
        found.append((pa + torch.where(chosen, change, 0.0)).clamp_min(0))
    return found


@torch.inference_mode()
def made_by(method: Method, parents: Parents, pairs: Pairs, settings: Settings, *, seed: int) -> Pairs:
    """Counterfactuals of images, with masks: the moved masks if the method only moves, else what the guide sees."""
    parts = []
    for first in range(0, len(pairs.image), 16):
        image, fractions = (one[first : first + 16] for one in pairs)
        pixel_area = torch.ones(len(image))
        areas, frames = parents.factual(image, pixel_area)
        facts = Facts(image, areas, parents.weights(frames, tuple(image.shape[2:])), pixel_area)
        asked = requests(areas, parents.sd, settings, seed + first)
        questions = Questions(tuple(map(str, range(len(image)))), facts, asked)
        answers = [(one.image, masks_of(one, fractions, parents)) for one in method.moved(questions)]
        made = [resized(Pairs(*one), settings) for one in answers]
        parts.append([torch.stack(one, dim=1) for one in zip(*made, strict=True)])
    return Pairs(*(torch.cat(one) for one in zip(*parts, strict=True)))


def masks_of(answer: Moved, fractions: Tensor, parents: Parents) -> Tensor:
    """Masks of an answer (batch, structure, *space): those of the factual image, moved, or else what the guide sees."""
    if answer.displacement is None:
        return parents.segmentor.soft(answer.image)
    return resample(fractions, answer.displacement).clamp(0, 1)


def made_by_run(cohort: Cohort, name: str, cache: Path) -> Pairs:
    """Counterfactuals of all of the guide's images by a method of the run: made once, and kept."""
    path = cache / f"{cohort.study.name}-{name}.safetensors"
    if not path.exists():
        workshop = Workshop(cohort.study)
        mechanism = workshop.mechanism(recipes(cohort.study)[name]).eval().requires_grad_(False)
        made = made_by(of_mechanism(mechanism), workshop.parents, cohort.full, cohort.settings, seed=0)
        save_tensors(made._asdict(), path)
    return Pairs(**load_file(path))


def made_by_warp(cohort: Cohort, guide: Segmentor, real: Pairs, *, seed: int) -> Pairs:
    """Counterfactuals by the untrained warp, whose guide has seen the same few subjects only."""
    parents = Parents(segmentor=guide, variables=variables(cohort.study))
    parents.fit(parents.factual(real.image, torch.ones(len(real.image))).areas)
    parts = BaselineParts(parents, Grid(tuple(cohort.settings["size"])), pretrained=lambda: None)  # type: ignore[arg-type,return-value]
    method = BASELINES[WARP](parts, bisections=6)
    return made_by(method, parents, real, cohort.settings, seed=seed)


def trained(real: Pairs, made: Pairs | None, augment: Augmentation, settings: Settings, seed: int) -> Segmentor:
    """A segmentor of some images, and a share of counterfactuals of them."""
    torch.manual_seed(seed)
    net = Segmentor(spatial_dims=2, structures=real.fractions.shape[1], **settings["segmentor"])
    channels_last(net, dims=2)
    stream = Stream(real, made, settings, seed)
    return fitted(net, Segmentation(net, augment), stream, settings["training"], seed, title="segmentor")


@torch.inference_mode()
def judged(net: Segmentor, test: Pairs) -> dict[str, float]:
    """Mean Dice of the structures, and error of their areas in sd of the test subjects."""
    soft = net.soft(test.image)
    dice = compute_dice(hard(soft), hard(test.fractions), include_background=False, ignore_empty=True)
    found, true = (one.flatten(2).sum(2) for one in (soft, test.fractions))
    return {"dice": float(dice.nanmean(0).mean()), "area_error_sd": float(((found - true).abs() / true.std(0)).mean())}


def measured(cohort: Cohort, net: Segmentor) -> dict[str, float]:
    """In-domain, and the mean over shifts."""
    settings = cohort.settings
    own = judged(net, cohort.tests[None])
    others = [judged(net, cohort.tests[shift]) for shift in settings["shifts"]]
    return own | {f"{key}_shifted": float(np.mean([one[key] for one in others])) for key in own}


def subset(cohort: Cohort, fraction: float, seed: int) -> Tensor:
    """Which of the guide's subjects the segmentor has; those of a smaller fraction are among those of a larger one."""
    count = len(cohort.guide.image)
    return torch.from_numpy(np.random.default_rng(seed).permutation(count)[: max(2, round(fraction * count))])


def cell(cohort: Cohort, rows: Rows, fraction: float, seed: int, cache: Path) -> None:
    """All arms of one fraction and seed."""
    settings, own, usual = cohort.settings, Augmentation(), augmentation(cohort.study, cohort.study.segmentor.augment)
    chosen = subset(cohort, fraction, seed)
    real = cohort.guide.of(chosen)
    alone: list[Segmentor] = []

    def arm(name: str, made: Any = lambda: None, augment: Augmentation = own) -> None:
        def make() -> dict[str, float]:
            net = trained(real, made(), augment, settings, seed)
            alone.append(net)
            return {"subjects": len(chosen), **measured(cohort, net)}

        rows.add({"fraction": fraction, "seed": seed, "arm": name}, make)

    def warped() -> Pairs:
        guide = alone[0] if alone else trained(real, None, own, settings, seed)
        return made_by_warp(cohort, guide, real, seed=seed)

    arm(ALONE)
    arm(WARP, warped)
    arm(USUAL, augment=usual)
    for name in settings["methods"]:
        arm(name, lambda name=name: made_by_run(cohort, name, cache).of(chosen))  # type: ignore[misc]
    last = settings["methods"][-1]
    arm(f"{USUAL} and {last}", lambda: made_by_run(cohort, last, cache).of(chosen), usual)


def summary(rows: Rows, settings: Settings) -> list[dict[str, Any]]:
    """Each arm at each fraction: numbers over seeds, and their paired difference to the segmentor alone."""
    numbers = [f"{key}{end}" for key in ("dice", "area_error_sd") for end in ("", "_shifted")]
    found = []
    for fraction in settings["fractions"]:
        at = [row for row in rows.rows if row["fraction"] == fraction]
        by_arm = by_name(at)
        for arm, own in by_arm.items():
            entry: dict[str, Any] = {"fraction": fraction, "subjects": own[0]["subjects"], "arm": arm}
            for number in numbers:
                entry[number] = interval(row[number] for row in own)
                entry[f"{number}_over_alone"] = paired(own, by_arm[ALONE], number)
            found.append(entry)
    return found


def main() -> None:
    """Train every segmentor that is not trained yet, and write results/use/augmentation.json."""
    options = parser("augmentation", __doc__).parse_args()
    settings = settings_of("augmentation")
    cache = options.cache or options.runs / "use"
    rows = Rows(cache / "augmentation.jsonl", ("fraction", "seed", "arm"))
    cohort = Cohort(options.runs / settings["run"], settings)
    for seed in settings["seeds"] if options.seeds is None else options.seeds:
        for fraction in settings["fractions"]:
            cell(cohort, rows, fraction, seed, cache)
    write_results("augmentation", {"settings": settings, "arms": summary(rows.anew(), settings)})


if __name__ == "__main__":
    main()
