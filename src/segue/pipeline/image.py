"""Stages: the image mechanism, pre-trained by its ELBO and fine-tuned with each guide."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from segue import processes
from segue.causal.parents import Conditioning, Parents
from segue.hardware import channels_last
from segue.mechanisms.hvae import ImageMechanism, elbo
from segue.nets.hvae import HVAE
from segue.nets.segmentor import Regressor, Segmentor
from segue.nets.weights import begin_as, load_pretrained
from segue.pipeline.common import (
    Result,
    device,
    in_order,
    load_measured,
    load_parents,
    open_store,
    panel_folders,
    per_image,
    stream,
    trained,
)  # fmt: skip
from segue.study.schema import Study, Variant
from segue.training.cft import (
    CounterfactualFineTuning,
    GuideKind,
    RegionGuide,
    RegressorGuide,
    StructureGuide,
)
from segue.training.objectives import Augment, Elbo, augmented

METHODS: dict[GuideKind, str] = {
    "none": "no_cft", "regressor": "reg_cft", "structure": "seg_cft", "region": "pos_seg_cft"
}  # fmt: skip


class Method(NamedTuple):
    """A row of the tables: a pre-trained model, and its fine-tuning, if any."""

    conditioning: Conditioning
    tuning: Variant | None
    directory: Path  # of its weights
    before: Path  # of those it began as

    @property
    def trained(self) -> bool:
        return (self.directory / "done.json").exists()


def methods(study: Study) -> dict[str, Method]:
    """Every method of a study by its key in metrics.json; parents as maps are the default and go unsaid."""
    tuning, root = study.finetune, study.directory
    tunings = {METHODS[guide]: None if guide == "none" else Variant(guide) for guide in tuning.guides} | tuning.variants
    found = {}
    for conditioning in study.hvae.conditioning:
        before = root / "pretrain" / conditioning
        directories: dict[Variant | None, Path] = {None: before}
        for stem, variant in tunings.items():
            name = stem + ("" if conditioning == "map" else f"_{conditioning}")
            directory = directories.setdefault(variant and variant.trained, root / "finetune" / name)
            found[name] = Method(conditioning, variant, directory, before)
    return found


def pretrain(conditioning: Conditioning) -> Callable[[Study, Path], Result]:
    """The stage that trains the image model by its ELBO, its parents entering by `conditioning`."""

    def stage(study: Study, directory: Path) -> Result:
        store, settings, parents = open_store(study), study.hvae, load_parents(study)
        torch.manual_seed(settings.budget.seed)
        net = HVAE(
            size=store.size,
            context=parents.context_channels(conditioning),
            channels=store.channels,
            widths=settings.widths,
            depths=settings.depths,
            latent=settings.latent,
            finest=settings.finest,
            reach=settings.reach,
            head=settings.head,
        )
        mechanism = ImageMechanism(model=net, parents=parents, conditioning=conditioning)
        objective = Elbo(
            mechanism,
            augment=Augment(**asdict(settings.augment)),
            free_bits=settings.free_bits,
            beta_warmup=settings.beta_warmup,
        )
        # Not the head: its scale is the other images' noise, and where theirs is less the first gradients are enormous.
        begun = {} if settings.start is None else begin_as(net, settings.start, leave="head.")
        batches = stream(study, store, "guide", settings.budget, extras=per_image(load_measured(study)))
        result = trained(
            study, net, objective, batches, directory, settings.budget,
            title=f"pretrain {conditioning}", ema=0.998, skip=1e3, validate_every=settings.validate_every,
            held_out=lambda: negative_elbo(study, mechanism, "validation", augment=Augment()),
        )  # fmt: skip
        measured = processes.alone(
            lambda: {
                "constraint": negative_elbo(study, mechanism, "guide", augment=objective.augment),
                "nelbo": negative_elbos(study, mechanism),
            }
        )
        return result | begun | measured

    return stage


def finetune(method: Method) -> Callable[[Study, Path], Result]:
    """The stage that fine-tunes the pre-trained model with one guide, its ELBO held at the pre-trained model's."""
    assert method.tuning is not None
    variant = method.tuning.trained

    def stage(study: Study, directory: Path) -> Result:
        store, settings, measured = open_store(study), study.finetune, load_measured(study)
        mechanism = load_mechanism(study, method.before, method._replace(tuning=variant))
        objective = CounterfactualFineTuning(
            mechanism,
            make_guide(study, variant.guide, mechanism.parents, measured["training"]),
            augment=Augment(**asdict(study.hvae.augment)),
            constraint=json.loads((method.before / "done.json").read_text())["constraint"],
            damping=settings.damping,
            rate=settings.rate,
            start=settings.multiplier,
            at_once=variant.at_once,
            outside=variant.outside,
        )
        batches = stream(study, store, "guide", settings.budget, extras=per_image(measured))
        result = trained(
            study, cast(nn.Module, mechanism.model), objective, batches, directory, settings.budget,
            title=directory.name, clip=settings.clip, skip=1e4 * settings.clip, ema=0.99,
        )  # fmt: skip
        return result | {"nelbo": processes.alone(lambda: negative_elbos(study, mechanism))}

    return stage


def make_guide(study: Study, guide: GuideKind, parents: Parents, training: Tensor) -> nn.Module:
    """The frozen predictor of a fine-tuning."""
    if guide == "regressor":
        return RegressorGuide(parents, load_pretrained(Regressor, study.directory / "regressor"))
    return StructureGuide(parents, training) if guide == "structure" else RegionGuide(parents)


def load_mechanism(study: Study, directory: Path, method: Method) -> ImageMechanism:
    """The method's image model, of the weights in `directory`, with its parents."""
    variant = method.tuning or Variant()
    mechanism = ImageMechanism(
        model=load_pretrained(HVAE, directory),
        parents=load_parents(study),
        conditioning=method.conditioning,
        panel=[load_pretrained(Segmentor, folder) for folder in panel_of(study, method)],
        **answering(variant),
    )
    return channels_last(mechanism, len(study.cohort.size))


def answering(variant: Variant) -> dict[str, Any]:
    """What a mechanism does to its answers, as `ImageMechanism` takes it."""
    return {
        "shrinkage": 2 * variant.shrinkage,  # the networks see a range of 2
        "blur": variant.blur,
        "corrections": variant.corrections,
    }


def panel_of(study: Study, method: Method) -> list[Path]:
    """The folders of the segmentors that look at the method's answers with the guide."""
    looks = method.tuning is not None and method.tuning.panel
    return list(panel_folders(study).values()) if looks else []


def negative_elbos(study: Study, mechanism: ImageMechanism) -> dict[str, float]:
    """The negative ELBO on each split that the model may be asked about: the gap between them is over-fitting."""
    store = open_store(study)
    splits = [split for split in ("guide", "validation", "test") if len(store.indices(split))]
    return {split: negative_elbo(study, mechanism, split, augment=Augment()) for split in splits}


@torch.no_grad()
def negative_elbo(
    study: Study, mechanism: ImageMechanism, split: str, *, augment: Augment, most: int = 1024
) -> float:
    """The mean negative ELBO in nats per pixel over a split (its first `most` images), one posterior sample each.

    The constraint of fine-tuning is measured with training's own `augment`: harder images than the plain ones.
    """
    store, measured = open_store(study), load_measured(study)
    chosen = store.indices(split)[:most]
    torch.manual_seed(0)
    mechanism.to(device())
    total = 0.0
    for batch in in_order(study, store, chosen, title=f"ELBO on {split}", extras=per_image(measured)):
        ready = augmented(batch, augment, mechanism.parents)
        x = ready["image"]
        total += float(-elbo(x, *mechanism.abduct(x, ready["parents"], ready["weights"], sample=True)).sum())
    return total / len(chosen)
