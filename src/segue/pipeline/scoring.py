"""Every method, and the oracle where there is one, on what was asked: the numbers of metrics.json."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from segue.engine.method import Method, of_mechanism
from segue.errors import InputError
from segue.evaluation.asked import Asked, translated, turn
from segue.evaluation.bootstrap import Bootstrap
from segue.evaluation.comparison import IDEAL, compare
from segue.evaluation.effect import distance_rows
from segue.evaluation.judge import Judge, Judged, axioms_of, factual_crops, factual_features, judged
from segue.evaluation.local_realism import LocalTest, draw_pairs
from segue.evaluation.metrics import summarise
from segue.evaluation.minimality import latent_divergence
from segue.evaluation.truth import summarise_distances
from segue.evaluation.two_sample import FEWEST, realism
from segue.mechanisms.base import ImageMechanism
from segue.pipeline.asking import Examination
from segue.pipeline.baselines import baseline_method, baseline_stages
from segue.pipeline.common import device
from segue.pipeline.costs import answering_cost, training_seconds
from segue.pipeline.recipes import Recipe, Workshop, recipes
from segue.sealed import DONE, read_json
from segue.study.schema import Study
from segue.tensor_file import read_table, read_tensors, save_table, save_tensors

FEATURES, PICTURES, LOCAL = "features", "pictures", "local"


@dataclass(frozen=True)
class Candidate:
    """A method to be judged: how it is opened, and what is known of its training."""

    open: Callable[[], tuple[Method, ImageMechanism | None]]
    training: dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """`methods`, `doing_nothing` and `realism_of_facts` of metrics.json, and every method's pictures."""

    methods: dict[str, Any]
    doing_nothing: dict[str, Any]
    realism_of_facts: dict[str, Any] | None
    pictures: dict[str, np.ndarray]


def candidates(study: Study, workshop: Workshop) -> dict[str, Candidate]:
    """The study's own methods, and its baselines."""

    def trained_for(stages: Sequence[str]) -> dict[str, float]:
        return {"training_seconds": training_seconds(study.directory, stages)}

    def opened(recipe: Recipe) -> tuple[Method, ImageMechanism]:
        made, pretrained = (
            workshop.mechanism(recipe, weights).to(device()).eval().requires_grad_(False)
            for weights in (recipe.directory, recipe.before)
        )
        settings = study.evaluate
        return of_mechanism(made, particles=settings.particles, sample=settings.sample), pretrained

    own = {
        name: Candidate(
            lambda recipe=recipe: opened(recipe),  # type: ignore[misc]
            fit_of(recipe.directory) | trained_for(method_stages(study, recipe)),
        )
        for name, recipe in recipes(study).items()
    }
    return own | {
        name: Candidate(
            lambda name=name: (baseline_method(study, workshop, name), None),  # type: ignore[misc]
            trained_for(baseline_stages(study, name)),
        )
        for name in study.baselines
    }


def method_stages(study: Study, recipe: Recipe) -> list[str]:
    """The stages that trained a method and its ensemble."""
    return [str(folder.relative_to(study.directory)) for folder in (recipe.directory, *recipe.ensemble)]


def fit_of(directory: Path) -> dict[str, Any]:
    """The negative ELBO of every split, of a training whose mechanism has a likelihood."""
    done = read_json(directory / DONE)
    return {key: done[key] for key in ("nelbo",) if key in done}


def score(
    study: Study, asked: Examination, judge: Judge, found: Mapping[str, Candidate], directory: Path
) -> Scores:
    """Judge every method; a method that was judged before in `directory` is read from there."""
    results: dict[str, Any] = {}
    outcomes: dict[str, Judged] = {}
    judge = replace(judge, local=local_test(asked, judge))
    for name, candidate in found.items():
        outcomes[name] = cached(directory, name, lambda name=name, candidate=candidate: judge_one(  # type: ignore[misc]
            study, asked, judge, candidate, name
        ))  # fmt: skip
        results[name] = summary(study, asked, judge, outcomes[name])
        results[name] |= from_truth(study, asked, outcomes[name].effects)
        results[name] |= axioms_of(outcomes[name].checks) | candidate.training
        opened = lambda candidate=candidate: candidate.open()[0]  # noqa: E731
        results[name] |= answering_cost(directory / f"costs-{name}.json", asked, judge, opened)
    if asked.truth is not None:
        oracle = Candidate(lambda: (asked.oracle(), None), {})
        outcomes[IDEAL] = cached(directory, IDEAL, lambda: judge_one(study, asked, judge, oracle, IDEAL))
        results[IDEAL] = summary(study, asked, judge, outcomes[IDEAL]) | {"realism": {}}
    features = factual_features(judge.segmentor, asked(title="features"))
    for name, divergence in divergences(asked, features, outcomes).items():
        results[name]["cld"] = divergence
    tests, facts = realism(
        features,
        {name: outcome.features for name, outcome in outcomes.items()},
        baseline=pretrained_of(study),
        subjects=[asked.subjects[i] for i in asked.places],
        bootstrap=study.evaluate.bootstrap,
        seed=0,
    )
    for name, test in tests.items():
        results[name]["realism"] |= test
    effects = {name: outcome.effects for name, outcome in outcomes.items()}
    nothing = compare(results, effects, asked.sd, Bootstrap(asked.subjects, study.evaluate.bootstrap, seed=0))
    return Scores(results, nothing, facts, {name: outcome.pictures for name, outcome in outcomes.items()})


def judge_one(study: Study, asked: Examination, judge: Judge, candidate: Candidate, name: str) -> Judged:
    """Open a method and judge it."""
    method, pretrained = candidate.open()
    torch.manual_seed(study.evaluate.seed)  # of posterior samples, if any are drawn
    return judged(method, asked(title=f"judge {name}"), judge, pretrained=pretrained)


def in_judged_regions(study: Study, judge: Judge) -> Judge:
    """A judge who translates questions, if the study is judged in other regions than it was trained with."""
    return replace(judge, translate=in_own_regions) if study.evaluate.partitions else judge


def in_own_regions(asked: Asked, method: Method) -> Asked:
    """The questions in the regions that a mechanism was trained with, where it is judged in others."""
    return asked if method.mechanism is None else translated(asked, method.mechanism.parents)


def divergences(
    asked: Examination, features: np.ndarray, outcomes: Mapping[str, Judged]
) -> dict[str, float | None]:
    """The counterfactual latent divergence of every method, one variable of each image requested in turn."""
    requests: dict[str, Any] = {
        "values": asked.pa.cpu().double().numpy(),
        "requested": asked.values.cpu().double().numpy(),
        "turns": np.concatenate([turn(one).numpy() for one in asked(title="turns")]),
        "subjects": [asked.subjects[i] for i in asked.places],
    }
    return {name: latent_divergence(features, found.features, **requests) for name, found in outcomes.items()}


def local_test(asked: Examination, judge: Judge) -> LocalTest | None:
    """The test of crops around edits against factual crops; None where subjects are too few."""
    _, subjects = np.unique([asked.subjects[i] for i in asked.places], return_inverse=True)
    if subjects.max() + 1 < FEWEST:
        return None
    pairs = draw_pairs(asked.donors.numpy(), asked.places, subjects, seed=0)
    crops = factual_crops(set(pairs.donor), asked(title="crops"), judge.parents, judge.segmentor)
    return LocalTest(pairs, crops, seed=0)


def summary(study: Study, asked: Examination, judge: Judge, found: Judged) -> dict[str, Any]:
    """`variables`, `mean` and `local_realism` of one method."""
    draws, names = study.evaluate.bootstrap, asked.parents.variables.names
    local = None if judge.local is None else judge.local.summary(found.local, names, draws)
    effects = summarise(found.effects, sd=asked.sd, subjects=asked.subjects, bootstrap=draws, seed=0)
    return effects | {"local_realism": local}


def from_truth(study: Study, asked: Examination, rows: pl.DataFrame) -> dict[str, Any]:
    """`truth` of one method, in the images' raw units; {} where it is not known."""
    if asked.truth is None:
        return {}
    span = np.full(len(asked.subjects), np.nan)
    span[asked.places] = asked.windows.diff(dim=1)[:, 0].numpy()
    draws = study.evaluate.bootstrap
    return {"truth": summarise_distances(rows, span=span, subjects=asked.subjects, bootstrap=draws, seed=0)}


def against_truth(study: Study, asked: Examination) -> dict[str, Any]:
    """What is known of the truth itself: the share of requests that it answers, and how far the factual image is."""
    if asked.truth is None:
        return {"well_posed": None, "truth_of_doing_nothing": None}
    with torch.inference_mode():
        rows = pl.concat(
            distance_rows([one.facts.image] * one.facts.measured, one) for one in asked(title="doing nothing")
        )
    return {
        "well_posed": float(asked.truth.well_posed.double().mean()),
        "truth_of_doing_nothing": from_truth(study, asked, rows)["truth"],
    }


def pretrained_of(study: Study) -> dict[str, str]:
    """For each fine-tuned method the pre-trained method that it started from, if that is judged too."""
    made = recipes(study)
    base = {recipe.before: name for name, recipe in reversed(made.items()) if not recipe.tuned}
    return {name: base[recipe.before] for name, recipe in made.items() if recipe.tuned and recipe.before in base}


def cached(directory: Path, name: str, make: Callable[[], Judged]) -> Judged:
    """A judged method that an interrupted run need not judge again: a table of effects, and all else as tensors."""
    table, rest = directory / f"effects-{name}.parquet", directory / f"judged-{name}.safetensors"
    if not is_judged(table, rest):
        made = make()
        save_table(made.effects, table)
        arrays = {FEATURES: made.features, PICTURES: made.pictures, LOCAL: made.local}
        save_tensors({key: torch.from_numpy(array) for key, array in {**made.checks, **arrays}.items()}, rest)
    tensors = {key: tensor.numpy() for key, tensor in read_tensors(rest).items()}
    features, pictures, local = (tensors.pop(name) for name in (FEATURES, PICTURES, LOCAL))
    return Judged(read_table(table), features, tensors, pictures, local)


def is_judged(table: Path, rest: Path) -> bool:
    """Whether a method was judged before: both of its files are whole, and of this version of segue."""
    if not (table.exists() and rest.exists()):
        return False
    try:
        read_table(table)
        return LOCAL in read_tensors(rest)
    except InputError as error:
        print(f"note: {error}: it is judged again", file=sys.stderr)
        return False
