"""What is timed: the networks of the coronary phantom's study, untrained (speed is the same), on its images."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.as_published import AsPublished
from benchmarks.machine import ROOT
from benchmarks.settings import SETTINGS, Name
from segue.anatomy import AxisPartition, Variables
from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.cohort.intensity import make_intensity
from segue.engine.predict import abduct, predict
from segue.mechanisms.deformation import Deformation, DeformationSettings, build_velocity
from segue.mechanisms.hvae import HVAEMechanism, build_hvae
from segue.mechanisms.refined import Refined, refined
from segue.nets.segmentor import Segmentor
from segue.phantom import ACROSS, ALONG, STRUCTURES, draw, render
from segue.pipeline.recipes import refinements
from segue.study import schema as settings
from segue.study.read import load_study
from segue.training.batches import Batch
from segue.training.finetune import Constraint, CounterfactualFineTuning, intervene
from segue.training.guides import RegionGuide
from segue.training.objectives import Augmentation, Pretraining, augmented
from segue.training.prices import Prices

Kind = Literal[
    "ELBO step",
    "fine-tuning step",
    "fine-tuning step with motion",
    "fine-tuning step as published",
    "abduction",
    "prediction",
]
Networks = Literal["default", "the study's", "the study's, segue's method"]
Image = Callable[[Parents, tuple[int, int]], HVAEMechanism]
KINDS: tuple[Kind, ...] = ("ELBO step", "fine-tuning step", "abduction", "prediction")
THIRDS = 3


@cache
def the_study(networks: Networks = "default") -> settings.Study:
    """The study of the phantom, with networks of the default widths; its own are thinner."""
    study = load_study(ROOT / "studies" / "coronary-phantom.yaml")
    if networks != "default":
        return study
    return dataclasses.replace(
        study,
        segmentor=dataclasses.replace(study.segmentor, width=settings.SegmentorSettings.width),
        hvae=dataclasses.replace(study.hvae, widths=settings.Hvae.widths, depths=settings.Hvae.depths),
        deformation=dataclasses.replace(study.deformation, widths=DeformationSettings.widths),
    )


def untrained_parents(size: tuple[int, int], regions: int, networks: Networks = "default") -> Parents:
    """Each structure in so many equal parts along the vessel, measured by an untrained segmentor of the study."""
    study = the_study(networks)
    partition = AxisPartition(regions=tuple(f"part{i}" for i in range(regions)), axis=1)
    variables = Variables(structures=STRUCTURES, partitions=dict.fromkeys(STRUCTURES, partition))
    return Parents(segmentor=untrained_segmentor(study.segmentor), variables=variables)


def untrained_segmentor(chosen: settings.SegmentorSettings) -> Segmentor:
    """A segmentor of the study: the guide's, one of its ensemble, or the judge."""
    net = Segmentor(
        arch=chosen.arch, spatial_dims=2, structures=len(STRUCTURES), width=chosen.width, patch=chosen.patch
    )
    return net.eval().requires_grad_(False)


def phantom_grid(size: Sequence[int]) -> Grid:
    """The phantom at this resolution, with the study's intensities."""
    pixel_area = ACROSS * ALONG / math.prod(size)
    return Grid(tuple(size), intensity=make_intensity(the_study().cohort.intensity), unit="mm2", pixel_area=pixel_area)


def phantom_batch(parents: Parents, images: int, size: tuple[int, int]) -> Batch:
    """Phantom images as a training step gets them; `parents` is fitted to what it measures on them."""
    grid = phantom_grid(size)
    raw, _ = render(draw(images, seed=0), size)
    x = grid.scale(torch.from_numpy(raw))
    pixel_area = torch.full((images,), grid.area(None))
    with torch.inference_mode():
        areas, frames = parents.factual(x, pixel_area)
    areas, frames = areas.clone(), frames.clone()
    parents.fit(areas)
    return {"image": x, "parents": areas, "frames": frames, "pixel_area": pixel_area}


def facts_of(parents: Parents, data: Batch) -> Facts:
    """The facts of a batch, its images not augmented."""
    return augmented(data, Augmentation(), parents)


def shipped_image(parents: Parents, size: tuple[int, int], networks: Networks = "default") -> HVAEMechanism:
    """The study's image mechanism, parents painted on their regions."""
    return build_hvae(the_study(networks).hvae, parents, phantom_grid(size), "map")


def answering(mechanism: HVAEMechanism, networks: Networks) -> HVAEMechanism | Refined:
    """The mechanism, its answers plain, or refined as segue's method in the study refines them."""
    if networks != "the study's, segue's method":
        return mechanism
    study = the_study(networks)
    ensemble = [untrained_segmentor(member) for member in study.panel.values()]
    return Refined(mechanism, ensemble=ensemble, **refinements(study.finetune.variants["segue"]))


def work(
    kind: Kind,
    setting: Name,
    *,
    batch: int,
    size: Sequence[int],
    regions: int = THIRDS,
    image: Image = shipped_image,
) -> Callable[[], None]:
    """One call does `kind` once for a batch of images under a setting."""
    how = SETTINGS[setting]
    how.process()
    torch.manual_seed(0)
    grid = (size[0], size[1])
    parents = untrained_parents(grid, regions)
    data = phantom_batch(parents, batch, grid)
    mechanism = image(parents, grid)
    if kind not in ("abduction", "prediction"):
        return partial(how.step(*objective(kind, mechanism, grid)), data)
    return answer(kind, mechanism.to(memory_format=how.layout), data)  # type: ignore[call-overload]


def objective(
    kind: Kind, mechanism: HVAEMechanism, size: Sequence[int], networks: Networks = "default"
) -> tuple[nn.Module, float, float]:
    """(objective, learning rate, clip) of a training, as the study's stages have them."""
    study, augment = the_study(networks), Augmentation()
    if kind == "ELBO step":
        return Pretraining(mechanism, augment=augment), study.hvae.budget.lr, 1.0
    tuning, parents = study.finetune, mechanism.parents
    constraint = Constraint(bound=0.0, damping=tuning.damping, rate=tuning.rate, start=tuning.multiplier)
    how: dict[str, Any] = {"augment": augment, "constraint": constraint}
    computed = AsPublished if kind == "fine-tuning step as published" else CounterfactualFineTuning
    if kind == "fine-tuning step with motion":
        mover, extras = moving(mechanism, size, study)
        return computed(mover, RegionGuide(parents), **how, **extras), tuning.budget.lr, tuning.clip
    return computed(mechanism, RegionGuide(parents), **how), tuning.budget.lr, tuning.clip


def moving(
    painter: HVAEMechanism, size: Sequence[int], study: settings.Study
) -> tuple[Refined, dict[str, Any]]:
    """segue's own method, which moves before it paints, around this painter; and how its objective differs."""
    variant, motion = study.finetune.variants["segue"], study.deformation
    velocity = build_velocity(motion, painter.parents, phantom_grid(size))
    mover = Deformation(painter, velocity, squarings=motion.squarings, carried=motion.carried)
    prices = Prices(variant.outside, variant.painting, variant.smoothness, motion.energy)
    return refined(mover, **refinements(variant)), {"at_once": variant.at_once, "prices": prices}


def answer(kind: Kind, mechanism: HVAEMechanism, data: Batch) -> Callable[[], None]:
    """Abduction of z and u alone, or a whole counterfactual: abduction, action, prediction."""
    mechanism.eval().requires_grad_(False)
    facts = facts_of(mechanism.parents, data)
    requested = intervene(facts.pa, facts.measured)

    @torch.inference_mode()
    def call() -> None:
        if kind == "abduction":
            mechanism.abduct(facts).factual.noise(facts.image)
        else:
            predict(mechanism, facts, abduct(mechanism, facts), [requested])

    return call
