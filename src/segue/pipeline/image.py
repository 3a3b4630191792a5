"""Stages: the image mechanism, pre-trained by its own loss and fine-tuned with each guide."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from segue import processes
from segue.causal.parents import Conditioning
from segue.mechanisms import MECHANISMS
from segue.mechanisms.base import ImageMechanism, Likelihood, Trainable, offered
from segue.nets.segmentor import Regressor
from segue.nets.weights import begin_as, load_pretrained
from segue.pipeline.common import (
    Result,
    augmentation,
    device,
    grid_of,
    in_order,
    load_measured,
    load_parents,
    open_store,
    per_image,
    stream,
    trained,
)
from segue.pipeline.recipes import Recipe, Workshop
from segue.sealed import DONE, read_json
from segue.study.schema import Study
from segue.training.finetune import Constraint, CounterfactualFineTuning
from segue.training.guides import GUIDES, GuideParts
from segue.training.objectives import Augmentation, Pretraining, augmented
from segue.training.prices import Prices

PLAIN = Augmentation()


def pretrain(kind: str, conditioning: Conditioning) -> Callable[[Study, Path], Result]:
    """The stage that trains an image mechanism, its parents entering by `conditioning`."""

    def stage(study: Study, directory: Path) -> Result:
        store, settings = open_store(study), getattr(study, kind)
        parents = load_parents(study)
        torch.manual_seed(settings.budget.seed)
        mechanism = MECHANISMS[kind].build(settings, parents, grid_of(study, store), conditioning)
        objective = Pretraining(mechanism, augment=augmentation(study, settings.augment))
        # Not the head: its scale is the other images' noise, and where theirs is less the first gradients are enormous.
        begun = getattr(settings, "start", None)
        start = {} if begun is None else begin_as(mechanism.model, begun, leave="head.")
        batches = stream(study, store, "guide", settings.budget, extras=per_image(load_measured(study)))
        result = trained(
            study, mechanism.networks(), objective, batches, directory, settings.budget,
            title=f"pretrain {directory.name}", ema=0.998, skip=1e3, validate_every=settings.validate_every,
            held_out=lambda: infidelity(study, mechanism, "validation", augment=PLAIN),
        )  # fmt: skip
        return result | start | processes.alone(lambda: measured_fidelity(study, mechanism, objective.augment))

    return stage


def measured_fidelity(study: Study, mechanism: ImageMechanism, augment: Augmentation) -> dict[str, Any]:
    """What fine-tuning must keep, measured as training sees the images; and the same of every split, on plain ones."""
    constraint = infidelity(study, mechanism, "guide", augment=augment)
    return {"constraint": constraint, fit_key(mechanism): infidelity_by_split(study, mechanism)}


def fit_key(mechanism: ImageMechanism) -> str:
    """What -fidelity is called in done.json: where there is a likelihood it is the negative ELBO, in nats."""
    return "infidelity" if offered(mechanism, Likelihood) is None else "nelbo"


def finetune(recipe: Recipe) -> Callable[[Study, Path], Result]:
    """The stage that fine-tunes a pre-trained mechanism with one guide, its fidelity held at the pre-trained one's."""
    assert recipe.tuning is not None
    variant = recipe.tuning.trained

    def stage(study: Study, directory: Path) -> Result:
        store, settings, measured = open_store(study), study.finetune, load_measured(study)
        workshop = Workshop(study)
        mechanism = workshop.mechanism(recipe._replace(tuning=variant, ensemble=()), recipe.start)
        parts = GuideParts(
            workshop.parents, measured["training"], lambda: trained_regressor(study), lambda: workshop.ensemble
        )
        trainable = cast(Trainable, offered(mechanism, Trainable))
        bound = read_json(recipe.before / DONE, keys=["constraint"])["constraint"]
        constraint = Constraint(bound, settings.damping, settings.rate, settings.multiplier)
        objective = CounterfactualFineTuning(
            mechanism,
            GUIDES[variant.guide].build(parts),
            augment=augmentation(study, getattr(study, recipe.kind).augment),
            constraint=None if variant.moves_only else constraint,
            at_once=variant.at_once,
            prices=Prices(variant.outside, variant.painting, variant.smoothness, study.deformation.energy),
        )
        budget = variant.budget or settings.budget
        batches = stream(study, store, "guide", budget, extras=per_image(measured))
        result = trained(
            study, trainable.networks(), objective, batches, directory, budget,
            title=directory.name, clip=settings.clip, skip=1e4 * settings.clip, ema=0.99,
        )  # fmt: skip
        return result | {fit_key(mechanism): processes.alone(lambda: infidelity_by_split(study, mechanism))}

    return stage


def trained_regressor(study: Study) -> Regressor:
    """The guide of Reg-CFT."""
    return load_pretrained(Regressor, study.directory / "regressor")


def infidelity_by_split(study: Study, mechanism: ImageMechanism) -> dict[str, float]:
    """The mean of -fidelity on each split (an HVAE's negative ELBO); the gap between splits is over-fitting."""
    store = open_store(study)
    splits = [split for split in ("guide", "validation", "test") if len(store.indices(split))]
    return {split: infidelity(study, mechanism, split, augment=PLAIN) for split in splits}


@torch.no_grad()
def infidelity(
    study: Study, mechanism: ImageMechanism, split: str, *, augment: Augmentation, most: int = 1024
) -> float:
    """The mean of -fidelity over a split (its first `most` images), one posterior sample an image.

    The constraint of fine-tuning is measured with training's own `augment`: those images are harder than plain ones.
    """
    trainable = offered(mechanism, Trainable)
    assert trainable is not None
    store, measured = open_store(study), load_measured(study)
    chosen = store.indices(split)[:most]
    torch.manual_seed(0)
    mechanism.to(device())  # type: ignore[attr-defined]
    total = 0.0
    for batch in in_order(study, store, chosen, title=f"fidelity on {split}", extras=per_image(measured)):
        facts = augmented(batch, augment, mechanism.parents)
        total += float(-trainable.fidelity(facts, mechanism.abduct(facts, sample=True)).sum())
    return total / len(chosen)
