"""What is timed: the networks of the coronary phantom's study, untrained (speed is the same), on its images."""

import dataclasses
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
from segue.cohort.grid import scaled
from segue.engine.model import predict
from segue.mechanisms.hvae import ImageMechanism
from segue.nets.hvae import HVAE
from segue.nets.segmentor import Segmentor
from segue.phantom import ACROSS, ALONG, STRUCTURES, draw, render
from segue.pipeline.image import answering
from segue.study import schema as settings
from segue.study.read import load_study
from segue.training.batches import Batch
from segue.training.cft import CounterfactualFineTuning, RegionGuide, intervene
from segue.training.objectives import Augment, Elbo

Kind = Literal["ELBO step", "fine-tuning step", "fine-tuning step as published", "abduction", "prediction"]
Networks = Literal["default", "the study's", "the study's, segue's method"]
Image = Callable[[Parents, tuple[int, int]], ImageMechanism]
KINDS: tuple[Kind, ...] = ("ELBO step", "fine-tuning step", "abduction", "prediction")
THIRDS = 3


@cache
def the_study(networks: Networks = "default") -> settings.Study:
    """The study of the phantom, with networks of the default size; its own are thinner."""
    study = load_study(ROOT / "studies" / "coronary-phantom.yaml")
    if networks != "default":
        return study
    return dataclasses.replace(
        study,
        segmentor=dataclasses.replace(study.segmentor, width=settings.Segmentor.width),
        hvae=dataclasses.replace(study.hvae, widths=settings.Hvae.widths, depths=settings.Hvae.depths),
    )


def untrained_parents(size: tuple[int, int], regions: int, networks: Networks = "default") -> Parents:
    """Each structure in so many equal parts along the vessel, measured by an untrained segmentor of the study."""
    study = the_study(networks)
    partition = AxisPartition(regions=tuple(f"part{i}" for i in range(regions)), axis=1)
    variables = Variables(structures=STRUCTURES, partitions=dict.fromkeys(STRUCTURES, partition))
    return Parents(segmentor=untrained_segmentor(study.segmentor), variables=variables)


def untrained_segmentor(chosen: settings.Segmentor) -> Segmentor:
    """A segmentor of the study: the guide's, one of its panel, or the judge."""
    net = Segmentor(
        arch=chosen.arch, spatial_dims=2, structures=len(STRUCTURES), width=chosen.width, patch=chosen.patch
    )
    return net.eval().requires_grad_(False)


def phantom_batch(parents: Parents, images: int, size: tuple[int, int]) -> Batch:
    """Phantom images as a training step gets them; `parents` is fitted to what it measures on them."""
    raw, _ = render(draw(images, seed=0), size)
    x = scaled(torch.from_numpy(raw), the_study().cohort.intensity)
    pixel_area = torch.full((images,), ACROSS * ALONG / (size[0] * size[1]))
    with torch.inference_mode():
        areas, frames = parents.factual(x, pixel_area)
    areas, frames = areas.clone(), frames.clone()
    parents.fit(areas)
    return {"image": x, "parents": areas, "frames": frames, "pixel_area": pixel_area}


def shipped_image(parents: Parents, size: tuple[int, int], networks: Networks = "default") -> ImageMechanism:
    """The study's image mechanism, parents painted on their regions; answers plain, or as segue's method makes them."""
    study = the_study(networks)
    shape = dataclasses.asdict(study.hvae)
    chosen = {key: shape[key] for key in ("widths", "depths", "latent", "finest", "reach", "head")}
    net = HVAE(size=size, context=parents.context_channels("map"), **chosen)
    own: dict[str, Any] = {}
    if networks == "the study's, segue's method":
        panel = [untrained_segmentor(member) for member in study.panel.values()]
        own = answering(study.finetune.variants["segue"]) | {"panel": panel}
    return ImageMechanism(model=net, parents=parents, conditioning="map", **own)


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
        return partial(how.step(*objective(kind, mechanism)), data)
    return answer(kind, mechanism.to(memory_format=how.layout), data)  # type: ignore[call-overload]


def objective(kind: Kind, mechanism: ImageMechanism) -> tuple[nn.Module, float, float]:
    """(objective, learning rate, clip) of a training, as the study's stages have them."""
    study = the_study()
    if kind == "ELBO step":
        elbo = Elbo(mechanism, augment=Augment(), free_bits=study.hvae.free_bits, beta_warmup=study.hvae.beta_warmup)
        return elbo, study.hvae.budget.lr, 1.0
    tuning = study.finetune
    objective = (AsPublished if kind == "fine-tuning step as published" else CounterfactualFineTuning)(
        mechanism, RegionGuide(mechanism.parents), augment=Augment(), constraint=0.0,
        damping=tuning.damping, rate=tuning.rate, start=tuning.multiplier,
    )  # fmt: skip
    return objective, tuning.budget.lr, tuning.clip


def answer(kind: Kind, mechanism: ImageMechanism, data: Batch) -> Callable[[], None]:
    """Abduction of z and u alone, or a whole counterfactual: abduction, action, prediction."""
    mechanism.eval().requires_grad_(False)
    x, pa = data["image"], data["parents"]
    weights = mechanism.parents.weights(data["frames"], tuple(x.shape[2:]))
    requested = intervene(pa, weights.shape[1])
    facts = Facts(x, pa, weights, data["pixel_area"])

    @torch.inference_mode()
    def call() -> None:
        if kind == "abduction":
            mechanism.abduct(x, pa, weights, sample=False)[1].noise(x)
        else:
            predict(mechanism, facts, [requested])

    return call
