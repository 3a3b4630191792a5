"""Is bfloat16 safe? The same small study trained twice, in float32 and in bfloat16, and judged on the same images.

Segmentor, judge and measurements are shared, seeds are the same. Then the weights that were trained in bfloat16 answer
in bfloat16 too, which segue itself never does. Differences are paired by image, their intervals by bootstrap over
images. Where the hardware has no bfloat16, its numbers are made as it would make them (`benchmarks.rounded`), and
speed is not compared.
"""

import json
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl
import torch
from accelerate.state import AcceleratorState
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.machine import ROOT
from benchmarks.record import Findings, Row, Statement, run, together
from benchmarks.rounded import native, products
from segue.engine.method import of_mechanism
from segue.evaluation.bootstrap import percentiles
from segue.evaluation.judge import Judge, judged
from segue.hardware import Precision
from segue.mechanisms.refined import Refined
from segue.nets.hvae import Latents, PixelGaussian
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline import fingerprint, perform, read_done, stages
from segue.pipeline import run as run_study
from segue.pipeline.asking import Examination
from segue.pipeline.common import device, load_parents, open_store
from segue.pipeline.recipes import Workshop, recipes
from segue.report.columns import method_title
from segue.study.read import load_study
from segue.study.schema import Study

FULL = {
    "study": "studies/coronary-phantom.yaml",
    "runs": "runs/benchmarks",
    "images": 3000,
    "segmentor_steps": 240,
    "hvae_steps": 150,
    "finetune_steps": 40,
    "tested": 64,
}
QUICK = FULL | {"images": 600, "segmentor_steps": 20, "hvae_steps": 10, "finetune_steps": 5, "tested": 16}
SHARED = ("prepare", "segmentor", "judge", "panel", "measure")
DRAWS = 4000
LIKELIHOOD = "ELBO (nats a pixel)"
QUANTITIES = ("error (sd)", LIKELIHOOD, "leakage")


class Case(NamedTuple):
    """What trained the weights, and what they answer in."""

    trained: Precision
    answers: Precision

    def __str__(self) -> str:
        return f"trained {self.trained}, answers {self.answers}"


FLOAT, TRAINED, ALL = Case("no", "no"), Case("bf16", "no"), Case("bf16", "bf16")
COMPARED = {"training": (FLOAT, TRAINED), "answering": (TRAINED, ALL)}


class Bfloat16(nn.Module):
    """An image model that computes in bfloat16, as in training."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def abduct(self, x: Tensor, context: Tensor, *, sample: bool) -> Latents:
        with torch.autocast(x.device.type, torch.bfloat16):
            found: Latents = self.model.abduct(x, context, sample=sample)
        return found

    def predict(self, states: list[Tensor], context: Tensor) -> PixelGaussian:
        with torch.autocast(context.device.type, torch.bfloat16):
            found: PixelGaussian = self.model.predict(states, context)
        return found


class Scores(NamedTuple):
    """By image: error averaged over requests (sd), ELBO (nats per pixel), |x* - x| outside the region and in all."""

    error_sd: Float[np.ndarray, " image"]
    elbo: Float[np.ndarray, " image"]
    outside: Float[np.ndarray, " image"]
    total: Float[np.ndarray, " image"]


def measure(
    *,
    study: str,
    runs: str,
    images: int,
    segmentor_steps: int,
    hvae_steps: int,
    finetune_steps: int,
    tested: int,
) -> Findings:
    """Error, ELBO and leakage of bfloat16 against float32, in training and in answering.

    Finished trainings are reused.
    """
    settings = {
        "name": "precision-shared",
        "runs": str(ROOT / runs),
        "precision": "no",
        "cohort.phantom.images": images,
        "segmentor.budget.steps": segmentor_steps,
        "judge.budget.steps": segmentor_steps,
        "hvae.conditioning": "[map]",
        "hvae.budget.steps": hvae_steps,
        "finetune.budget.steps": finetune_steps,
        "finetune.guides": "[none,region]",
    }
    options = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    shared = load_study(ROOT / study, options)
    for stage in stages(shared):
        if stage.split("/")[0] in SHARED:
            run_study(shared, only=stage)
    with products():
        trained = {precision: train(shared, precision) for precision in cast(tuple[Precision, ...], ("no", "bf16"))}
    store, parents = open_store(shared), load_parents(shared).to(device())
    asked = Examination(shared, store, parents, store.indices("test")[:tested])
    judge = load_pretrained(Segmentor, shared.directory / "judge").eval().requires_grad_(False).to(device())
    found = [Findings([], [training_seconds(trained)] if native() else [])]
    for method in recipes(shared):
        with products():
            scores = {
                case: score(loaded(trained[case.trained], method, case.answers), judge, asked, f"{method}, {case}")
                for case in (FLOAT, TRAINED, ALL)
            }
        for told, (before, after) in COMPARED.items():
            found.append(compare(f"{method_title(method)}, {told}", scores[before], scores[after]))
    return together(found)


def train(shared: Study, precision: Precision) -> Study:
    """The study with an image model trained in `precision`; what was finished before stands."""
    study = replace(shared, name=f"precision-{precision}", precision=precision)
    study.directory.mkdir(parents=True, exist_ok=True)
    mark = ""
    for name, stage in stages(study).items():
        place = study.directory / name
        if name.split("/")[0] in SHARED:
            if not place.exists():
                place.parent.mkdir(exist_ok=True)
                place.symlink_to((shared.directory / name).resolve())
            mark += json.loads((place / "done.json").read_text())["fingerprint"]
        elif name.startswith(("pretrain/", "finetune/")):
            mark = fingerprint([name, stage.settings, mark])
            done = read_done(place)
            if done is None or done["fingerprint"] != mark:
                AcceleratorState._reset_state(True)  # Accelerate holds a process to its first precision
                perform(study, stage, place, {"fingerprint": mark})
    return study


def training_seconds(trained: dict[Precision, Study]) -> Statement:
    """Of all trainings that differ."""
    seconds = {
        precision: sum(
            json.loads(path.read_text())["seconds"]
            for stage in ("pretrain", "finetune")
            for path in (study.directory / stage).rglob("done.json")
        )
        for precision, study in trained.items()
    }
    return Statement("training: images a second, bfloat16 over float32", seconds["no"] / seconds["bf16"])


def loaded(study: Study, method: str, answers: Precision) -> Refined:
    """A trained mechanism that answers in float32 or bfloat16."""
    mechanism = Workshop(study).mechanism(recipes(study)[method]).to(device()).eval().requires_grad_(False)
    if answers == "bf16":
        mechanism.inner.model = Bfloat16(mechanism.inner.model)
    return mechanism


def score(mechanism: Refined, judge: Segmentor, asked: Examination, title: str) -> Scores:
    """One request for each variable of each image, as the study's own evaluation makes them."""
    found = judged(of_mechanism(mechanism), asked(title=f"judge {title}"), Judge(asked.parents, judge))
    error = (pl.col("judge") - pl.col("requested")).abs() / pl.col("variable").replace_strict(asked.sd)
    by_image = (
        found.effects.with_columns(error_sd=error)
        .group_by("image")
        .agg(pl.col("error_sd").mean(), pl.col("outside").sum(), pl.col("total").sum())
        .sort("image")
    )
    elbos = -found.checks["nelbo"][np.argsort(asked.places)]
    return Scores(elbo=elbos, **{key: by_image[key].to_numpy() for key in ("error_sd", "outside", "total")})


def compare(told: str, before: Scores, after: Scores) -> Findings:
    """Means, or shares, of both; their differences with intervals over images, and what they are of one another."""
    rows: list[Row] = []
    ratios: list[Statement] = []
    differences: list[Statement] = []
    for what, of_before, of_after in zip(QUANTITIES, drawn(before), drawn(after), strict=True):
        a, b = of_before[0], of_after[0]
        own, apart = interval(of_before), interval(of_after - of_before)
        differences.append(Statement(f"{told}: {what}, bfloat16 less float32", b - a, apart))
        if what == LIKELIHOOD:
            ratio, ends = np.exp(b - a), interval(np.exp(of_after - of_before))
            ratios.append(Statement(f"{told}: likelihood a pixel, bfloat16 over float32", float(ratio), ends))
        else:
            ends = interval(of_after / of_before)
            ratios.append(Statement(f"{told}: {what}, bfloat16 over float32", b / a, ends))
        inside = "yes" if own[0] <= b <= own[1] else "no"
        row: Row = {"compared": told, "quantity": what, "float32": a, "float32_low": own[0], "float32_high": own[1]}
        rows.append(row | {"bfloat16": b, "inside": inside})
    return Findings(rows, ratios, differences)


def drawn(scores: Scores) -> Float[np.ndarray, "quantity draw"]:
    """`QUANTITIES` of the images themselves, then of bootstrap draws; the same draws for every case."""
    n = len(scores.error_sd)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    weights = np.concatenate([np.ones((1, n)), draws])
    leakage = (weights @ scores.outside) / (weights @ scores.total)
    return np.stack([weights @ scores.error_sd / n, weights @ scores.elbo / n, leakage])


def interval(draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """95%, by percentiles of the draws; the images' own value stands before them."""
    return percentiles(draws[1:])


if __name__ == "__main__":
    run("precision", measure, full=FULL, quick=QUICK)
