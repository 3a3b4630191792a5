"""Every method, and the oracle where there is one, on what was asked: the numbers of metrics.json."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch

from segue.evaluation.axioms import axioms, factual_features, true_features
from segue.evaluation.effect import Answers, Asked, answers, distances_of, judged, nothing, oracle, translated
from segue.evaluation.metrics import summarise
from segue.evaluation.truth import summarise_distances
from segue.evaluation.two_sample import Features, realism
from segue.mechanisms.hvae import ImageMechanism
from segue.nets.segmentor import Segmentor
from segue.pipeline.asking import ask
from segue.pipeline.common import device
from segue.pipeline.image import load_mechanism, methods
from segue.report.columns import IDEAL
from segue.study.schema import Study


def score(
    study: Study, asked: ask, judge: Segmentor, directory: Path
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """`methods` and `realism_of_facts` of metrics.json."""

    def rows(name: str, answer: Answers) -> pl.DataFrame:
        def make() -> pl.DataFrame:
            torch.manual_seed(study.evaluate.seed)  # of posterior samples, if any are drawn
            return judged(answer, asked.parents, judge, asked(title=f"judge {name}"))

        return kept(directory / f"effects-{name}.parquet", make)

    results: dict[str, Any] = {}
    features: dict[str, Features] = {}
    for name, method in methods(study).items():
        mechanism, pretrained = (
            load_mechanism(study, weights, method).to(device()).eval().requires_grad_(False)
            for weights in (method.directory, method.before)
        )
        put = asking(study, mechanism)
        answer = answers(mechanism, study.evaluate.particles, study.evaluate.sample)
        table = rows(name, lambda batch, put=put, answer=answer: answer(put(batch)))  # type: ignore[misc]
        found = axioms(mechanism, pretrained, judge, map(put, asked(title=f"axioms {name}")))
        features[name] = found.features
        results[name] = summary(study, asked, table) | from_truth(study, asked, table) | found.summary()
        results[name]["nelbo"] = json.loads((method.directory / "done.json").read_text())["nelbo"]
    if asked.truth is not None:
        results[IDEAL] = summary(study, asked, rows(IDEAL, oracle)) | {"realism": {}}
        features[IDEAL] = true_features(judge, asked(title=f"features {IDEAL}"))
    tests, facts = realism(
        factual_features(judge, asked(title="features")),
        features,
        baseline=pretrained_of(study),
        subjects=[asked.subjects[i] for i in asked.chosen],
        bootstrap=study.evaluate.bootstrap,
        seed=0,
    )
    for name, test in tests.items():
        results[name]["realism"] |= test
    return results, facts


def asking(study: Study, mechanism: ImageMechanism) -> Callable[[Asked], Asked]:
    """How a model is asked: as it stands, or translated to its own regions where it is judged in others."""
    if not study.evaluate.partitions:
        return lambda asked: asked
    return lambda asked: translated(asked, mechanism.parents)


def summary(study: Study, asked: ask, rows: pl.DataFrame) -> dict[str, Any]:
    """`variables` and `mean` of one method."""
    return summarise(rows, sd=asked.sd, subjects=asked.subjects, bootstrap=study.evaluate.bootstrap, seed=0)


def from_truth(study: Study, asked: ask, rows: pl.DataFrame) -> dict[str, Any]:
    """`truth` of one method, in the images' raw units; {} where it is not known."""
    if asked.truth is None:
        return {}
    low, high = study.cohort.intensity
    draws = study.evaluate.bootstrap
    return {
        "truth": summarise_distances(rows, span=high - low, subjects=asked.subjects, bootstrap=draws, seed=0)
    }


def against_truth(study: Study, asked: ask) -> dict[str, Any]:
    """What is known of the truth itself: the share of requests that it answers, and how far the factual image is."""
    if asked.truth is None:
        return {"well_posed": None, "truth_of_doing_nothing": None}
    rows = distances_of(nothing, asked(title="doing nothing"))
    return {
        "well_posed": float(asked.truth.well_posed.double().mean()),
        "truth_of_doing_nothing": from_truth(study, asked, rows)["truth"],
    }


def pretrained_of(study: Study) -> dict[str, str]:
    """For each fine-tuned method the pre-trained model that it began as, if that is judged too."""
    begun = {m.conditioning: name for name, m in methods(study).items() if m.tuning is None}
    return {
        name: begun[m.conditioning]
        for name, m in methods(study).items()
        if m.tuning is not None and m.conditioning in begun
    }


def kept(path: Path, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """A table that an interrupted run need not make again."""
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        make().write_parquet(temporary)
        temporary.replace(path)
    return pl.read_parquet(path)
