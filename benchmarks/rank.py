"""The mini-benchmark: does the order of the methods still hold? Two laws of the phantom, two seeds, tiny budgets.

Every cell is benchmarks/rank.yaml trained from nothing: error by the judge (sd), and distance to the true
counterfactual over that of doing nothing. The other metrics of an evaluation take longer than the training, so they
are left out.

A pair of methods is ordered where the difference is above 0 by more than its interval over the cells. The ranking
regresses where a pair that is ordered in results/rank.json no longer is, and either the mean difference is not above 0,
or it is smaller than it was by more than the interval of the loss, cell by cell. (Four cells are few: that a difference
is no longer sure is no loss by itself.) Pairs that are not ordered at this size, or the other way round, are in the
file too; nothing is asserted of them. What a run found is written to results/rank-latest.json; the reference stays.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import torch

from benchmarks.machine import ROOT, description
from benchmarks.use.record import interval
from segue.engine.method import of_mechanism
from segue.evaluation.comparison import error_rows
from segue.evaluation.effect import distance_rows, effect_rows
from segue.evaluation.truth import posed_beside_nothing
from segue.files import write_text
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline import run
from segue.pipeline.asking import Examination
from segue.pipeline.common import load_parents, open_store
from segue.pipeline.judging import chosen_places
from segue.pipeline.recipes import Workshop, recipes
from segue.pipeline.truth import known_oracle
from segue.report.table import pipe_table
from segue.study.read import load_study
from segue.study.schema import Study

STUDY, RESULTS = ROOT / "benchmarks" / "rank.yaml", ROOT / "results" / "rank.json"
LATEST = RESULTS.with_name("rank-latest.json")
LAWS, SEEDS = ("independent", "coupled"), (0, 1)
RANKING = ("segue", "pos_seg_cft", "reg_cft", "no_cft")
"""The best first, as at full budget."""
NUMBERS = ("error_sd", "distance")
Cell = dict[str, Any]


def cell(runs: Path, law: str, seed: int) -> Cell:
    """One study: error and distance of every method, by name."""
    number = str(seed)
    seeds = [text for key in ("cohort.phantom", "segmentor.budget", "hvae.budget", "finetune.budget", "evaluate")
             for text in (f"--{key}.seed", number)]  # fmt: skip
    name = f"rank-{law}-{seed}"
    study = load_study(STUDY, ["--runs", str(runs), "--name", name, "--cohort.phantom.law", law, *seeds])
    for stage in ("finetune", "judge"):
        run(study, stage)
    found = {method: judged(study, method) for method in RANKING}
    numbers = {number: {method: one[number] for method, one in found.items()} for number in NUMBERS}
    return {"law": law, "seed": seed, **numbers}


@torch.inference_mode()
def judged(study: Study, name: str) -> dict[str, float]:
    """Error (sd) by the judge, and distance to the truth over that of doing nothing, of one method."""
    parents, judge = load_parents(study), load_pretrained(Segmentor, study.directory / "judge").eval()
    store = open_store(study)
    asked = Examination(
        study, store, parents, chosen_places(study, store, study.directory), known_oracle(study)
    )
    mechanism = Workshop(study).mechanism(recipes(study)[name]).eval().requires_grad_(False)
    rows, still = [], []
    for one in asked(title=f"judge {name}"):
        rows.append(effect_rows(of_mechanism(mechanism).moved(one.questions), parents, judge, one))
        still.append(distance_rows([one.facts.image] * one.facts.measured, one))
    effects = pl.concat(rows)
    error = error_rows(effects, asked.sd)["error"].to_numpy()
    return {"error_sd": float(error.mean()), "distance": posed_beside_nothing(effects, pl.concat(still))[1]}


def cells(runs: Path) -> Iterator[Cell]:
    """Every law and seed."""
    return (cell(runs, law, seed) for seed in SEEDS for law in LAWS)


def orders(found: list[Cell]) -> dict[str, dict[str, Any]]:
    """By number and pair, better and worse by the ranking: how much larger the second's number is, and is that sure?

    Intervals over cells, by Student's t.

    >>> cells = [{number: dict(zip(RANKING, (1, 3, 2, x))) for number in NUMBERS} for x in (3.9, 4.1)]
    >>> orders(cells)["distance"]["segue < reg_cft"]
    {'mean': 1.0, 'ci95': [1.0, 1.0], 'ordered': True}
    >>> orders(cells)["distance"]["pos_seg_cft < reg_cft"]["ordered"]
    False
    """
    return {number: {pair: order(found) for pair, found in pairs.items()} for number, pairs in margins(found).items()}


def margins(found: list[Cell]) -> dict[str, dict[str, list[float]]]:
    """By number and pair: how much larger the second's number is, cell by cell."""
    return {number: {f"{a} < {b}": [one[number][b] - one[number][a] for one in found]
                     for a, b in combinations(RANKING, 2)} for number in NUMBERS}  # fmt: skip


def order(differences: list[float]) -> dict[str, Any]:
    """Of the worse to the better method, cell by cell."""
    found = interval(differences)
    return {"mean": found["mean"], "ci95": found["ci95"], "ordered": found["ci95"][0] > 0}


def regressions(kept: list[Cell], found: list[Cell]) -> list[str]:
    """What was ordered in the kept cells, no longer is, and is lost: a line each."""
    before, now = margins(kept), margins(found)
    return [
        f"{number}: {pair} was {said(order(one))}, and is {said(order(now[number][pair]))}"
        for number, pairs in before.items()
        for pair, one in pairs.items()
        if order(one)["ordered"] and lost(one, now[number][pair])
    ]


def lost(before: list[float], now: list[float]) -> bool:
    """Whether a difference is no longer sure, and turned or surely smaller than it was.

    >>> lost([1.0, 1.1, 0.9], [0.1, 1.2, 0.8]), lost([1.0, 1.1, 0.9], [-0.1, 0.1, 0.1])
    (False, True)
    """
    loss = order([one - other for one, other in zip(before, now, strict=True)])
    found = order(now)
    return not found["ordered"] and (found["mean"] <= 0 or loss["ordered"])


def said(one: dict[str, Any]) -> str:
    """A difference with its interval."""
    return f"{one['mean']:+.3f} [{one['ci95'][0]:+.3f}, {one['ci95'][1]:+.3f}]"


def as_table(found: list[Cell]) -> str:
    """Methods by cell."""
    heads = [f"{number}, {one['law']} {one['seed']}" for number in NUMBERS for one in found]
    rows = [[name, *(f"{one[number][name]:.3f}" for number in NUMBERS for one in found)] for name in RANKING]
    return pipe_table(["method", *heads], rows)


def main() -> None:
    """Print the table, write it down, and say what regresses."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.rank", description=__doc__)
    made.add_argument("--runs", type=Path, help="folder of the runs; default: one that is removed again")
    options = made.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = list(cells(options.runs or Path(folder)))
    print(as_table(found))
    write_text(LATEST, json.dumps({"machine": description(), "cells": found}, indent=1) + "\n")
    if lines := regressions(json.loads(RESULTS.read_text())["cells"], found):
        sys.exit("\n".join(["the ranking regresses:", *lines]))


if __name__ == "__main__":
    main()
