"""The mini-benchmark: does the order of the methods still hold? Two laws of the phantom, two seeds, tiny budgets.

Every cell is benchmarks/rank.yaml trained from nothing: error by the judge (sd), and distance to the true
counterfactual over that of doing nothing. The other metrics of an evaluation take longer than the training, so they
are left out.
`tests/test_rank.py` asserts the orders that are robust at this budget.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.machine import ROOT, description
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

STUDY = ROOT / "benchmarks" / "rank.yaml"
LAWS, SEEDS = ("independent", "coupled"), (0, 1)
METHODS = ("no_cft", "reg_cft", "pos_seg_cft", "segue")
NUMBERS = ("error_sd", "distance")
Cell = dict[str, Any]


def cell(runs: Path, law: str, seed: int) -> Cell:
    """One study: error and distance of every method, by name."""
    began, number = time.perf_counter(), str(seed)
    seeds = [text for key in ("cohort.phantom", "segmentor.budget", "hvae.budget", "finetune.budget", "evaluate")
             for text in (f"--{key}.seed", number)]  # fmt: skip
    name = f"rank-{law}-{seed}"
    study = load_study(STUDY, ["--runs", str(runs), "--name", name, "--cohort.phantom.law", law, *seeds])
    for stage in ("finetune", "judge"):
        run(study, stage)
    found = {method: judged(study, method) for method in (*METHODS, "segue_move_only")}
    numbers = {number: {method: one[number] for method, one in found.items()} for number in NUMBERS}
    return {"law": law, "seed": seed, "seconds": round(time.perf_counter() - began, 1), **numbers}


@torch.inference_mode()
def judged(study: Study, name: str) -> dict[str, float]:
    """Error (sd) by the judge, and distance to the truth over that of doing nothing, of one method."""
    parents, judge = load_parents(study), load_pretrained(Segmentor, study.directory / "judge").eval()
    store = open_store(study)
    asked = Examination(study, store, parents, chosen_places(study, store, study.directory), known_oracle(study))
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


def means(found: list[Cell], number: str) -> dict[str, float]:
    """The mean over cells, by method."""
    return {name: float(np.mean([one[number][name] for one in found])) for name in found[0][number]}


def as_table(found: list[Cell]) -> str:
    """Methods by cell, and the mean."""
    heads = [f"{number}, {one['law']} {one['seed']}" for number in NUMBERS for one in found]
    lines = [
        [
            name,
            *(f"{one[number][name]:.3f}" for number in NUMBERS for one in found),
            *(f"{means(found, number)[name]:.3f}" for number in NUMBERS),
        ]
        for name in found[0]["error_sd"]
    ]
    return pipe_table(["method", *heads, *(f"mean {number}" for number in NUMBERS)], lines)


def main() -> None:
    """Write results/rank.json and print its table."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.rank", description=__doc__)
    made.add_argument("--runs", type=Path, help="folder of the runs; default: one that is removed again")
    options = made.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = list(cells(options.runs or Path(folder)))
    content = {"machine": description(), "cells": found, "mean": {number: means(found, number) for number in NUMBERS}}
    write_text(ROOT / "results" / "rank.json", json.dumps(content, indent=1) + "\n")
    print(as_table(found))


if __name__ == "__main__":
    main()
