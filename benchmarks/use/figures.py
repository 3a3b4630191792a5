"""Figures and tables of docs/use.md, from results/use/*.json: python -m benchmarks.use.figures."""

import json
from typing import Any

import matplotlib
import numpy as np

from benchmarks.use.record import RESULTS
from segue.files import whole_file, write_text
from segue.report.table import pipe_table

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
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
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


def with_interval(one: dict[str, Any]) -> str:
    """A mean over seeds and its interval."""
    low_high = f" [{one['ci95'][0]:.3f}, {one['ci95'][1]:.3f}]" if one["ci95"] else ""
    return f"{one['mean']:.3f}{low_high}"


def arms_table(name: str, corners: tuple[str, ...], numbers: tuple[str, ...]) -> str:
    """The arms of an experiment, with the number of seeds behind each, as Markdown."""
    arms = json.loads((RESULTS / f"{name}.json").read_text())["arms"]
    rows = [
        [*(str(arm[corner]) for corner in corners), *(with_interval(arm[number]) for number in numbers),
         str(arm[numbers[0]]["seeds"])]
        for arm in arms
    ]  # fmt: skip
    heads = [*corners, *(number.replace("_", " ") for number in numbers), "seeds"]
    return f"## {name}\n\n{pipe_table(heads, rows, left=len(corners))}\n"


def progression_table() -> str:
    """Measured, times the area at the start, with intervals over images."""
    methods = json.loads((RESULTS / "progression.json").read_text())["methods"]
    rows = []
    for name, one in methods.items():
        ratios = zip(one["ratio"], one["ratio_ci95"], strict=True)
        others = [one[f"others_drift_sd{end}"][-1] for end in ("", "_worst_variable")]
        cells = [f"{mean:.2f} [{low:.2f}, {high:.2f}]" for mean, (low, high) in ratios]
        rows.append([name, *cells, f"{one['monotone']:.0%}", *(f"{value:.3f}" for value in others)])
    factors = next(iter(methods.values()))["factors"]
    ends = ["every step increases", "others (sd)", "worst other (sd)"]
    heads = ["method", *(f"asked {factor:g} x" for factor in factors), *ends]
    return f"## progression\n\n{pipe_table(heads, rows)}\n"


TABLES = {
    "augmentation": lambda: arms_table(
        "augmentation",
        ("subjects", "arm"),
        ("dice", "dice_over_alone", "dice_shifted", "dice_shifted_over_alone")
        + ("area_error_sd", "area_error_sd_over_alone"),
    ),
    "bias": lambda: arms_table(
        "bias", ("confounder", "arm"), ("accuracy", "accuracy_over_none", "accuracy_against", "auc", "auc_over_none")
    ),
    "progression": progression_table,
}


def main() -> None:
    """Write the figures of the results that are there, and README.md with their tables."""
    for name, draw in (("augmentation", augmentation), ("bias", bias)):
        if (RESULTS / f"{name}.json").exists():
            with whole_file(RESULTS / f"{name}.png") as partial:
                draw().savefig(partial, dpi=150, format="png")
    parts = [table() for name, table in TABLES.items() if (RESULTS / f"{name}.json").exists()]
    head = "# Are counterfactuals of use?\n\nMade by `make use`; docs/use.md says what it means. Intervals: 95%.\n"
    write_text(RESULTS / "README.md", "\n".join([head, *parts]))


if __name__ == "__main__":
    main()
