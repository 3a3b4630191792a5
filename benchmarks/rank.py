"""The mini-benchmark: does the order of the methods still hold? Two laws of the phantom, two seeds, tiny budgets.

Every cell is studies/rank.yaml trained from nothing: error by the judge (sd), and distance to the true counterfactual
over that of doing nothing. `tests/test_rank.py` asserts the orders that are robust at this budget.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import ROOT, description
from segue.files import write_text
from segue.pipeline import run
from segue.report.table import pipe_table
from segue.study.read import load_study

STUDY = ROOT / "studies" / "rank.yaml"
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
    metrics = json.loads((run(study, "evaluate") / "evaluate" / "metrics.json").read_text())
    nothing = metrics["truth_of_doing_nothing"]["mae"]
    methods = {name: metrics["methods"][name] for name in (*METHODS, "segue_move_only")}
    return {
        "law": law,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
        "error_sd": {name: one["mean"]["error_sd"] for name, one in methods.items()},
        "distance": {name: one["truth"]["mae"] / nothing for name, one in methods.items()},
    }


def cells(runs: Path) -> Iterator[Cell]:
    """Every law and seed."""
    return (cell(runs, law, seed) for law in LAWS for seed in SEEDS)


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
