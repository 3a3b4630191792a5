"""The figures of docs/use.md, from results/use/*.json: python -m benchmarks.use.figures."""

import json
from typing import Any

import matplotlib
import numpy as np

from benchmarks.use.record import RESULTS
from segue.files import whole_file

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def augmentation() -> Figure:
    """Dice and area error over the number of subjects, in-domain and shifted; a line an arm."""
    arms = json.loads((RESULTS / "augmentation.json").read_text())["arms"]
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex=True)
    names = list(dict.fromkeys(arm["arm"] for arm in arms))
    panels = [("dice", "Dice"), ("area_error_sd", "error of areas (sd)")]
    for line, (key, title) in zip(axes, panels, strict=True):
        for axis, (end, where) in zip(line, [("", "test"), ("_shifted", "shifted test")], strict=True):
            for i, name in enumerate(names):
                own = [arm for arm in arms if arm["arm"] == name]
                points(axis, [arm["subjects"] * 1.04 ** (i - 3) for arm in own], [arm[key + end] for arm in own], name)
            axis.set(xscale="log", title=f"{title}, {where}")
            subjects = sorted({arm["subjects"] for arm in arms})
            axis.set_xticks(subjects, [str(one) for one in subjects])
            axis.minorticks_off()
    axes[1, 0].set_xlabel("training subjects")
    axes[1, 1].set_xlabel("training subjects")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def points(axis: Any, places: list[float], found: list[dict[str, Any]], name: str) -> None:
    """Means over seeds with their intervals."""
    mean = np.array([one["mean"] for one in found])
    half = np.array([half_width(one) for one in found])
    axis.errorbar(places, mean, yerr=half, marker="o", markersize=3, linewidth=1, capsize=2, label=name)


def half_width(one: dict[str, Any]) -> float:
    """Of an interval; 0 where there is none."""
    return one["ci95"][1] - one["mean"] if one["ci95"] else 0.0


def bias() -> Figure:
    """Accuracy where the confounder is not as in training; a bar an arm."""
    arms = json.loads((RESULTS / "bias.json").read_text())["arms"]
    confounders = list(dict.fromkeys(arm["confounder"] for arm in arms))
    figure, axes = plt.subplots(1, len(confounders), figsize=(9, 3), layout="constrained", sharey=True)
    for axis, confounder in zip(axes, confounders, strict=True):
        own = [arm for arm in arms if arm["confounder"] == confounder][::-1]
        mean = np.array([arm["accuracy_against"]["mean"] for arm in own])
        half = np.array([half_width(arm["accuracy_against"]) for arm in own])
        axis.barh([arm["arm"] for arm in own], mean, xerr=half, color="0.7", capsize=2)
        axis.set(xlim=(0.5, 1), title=f"confounded with {confounder}", xlabel="accuracy against the confounder")
    return figure


def main() -> None:
    """Write the figures of the results that are there."""
    for name, draw in (("augmentation", augmentation), ("bias", bias)):
        if (RESULTS / f"{name}.json").exists():
            with whole_file(RESULTS / f"{name}.png") as partial:
                draw().savefig(partial, dpi=150, format="png")


if __name__ == "__main__":
    main()
