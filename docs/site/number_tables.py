"""Tables from other files of results/: ablations, tuning, the studies of use, and ratios of benchmarks."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.rank import orders
from benchmarks.record import cell
from docs.site.project import ROOT
from segue.anatomy.measurement import measurement_of
from segue.evaluation.metric import METRICS
from segue.pipeline.ablation.outcome import done_values, value_column
from segue.report.category_tables import sections_of
from segue.report.columns import MISSING, method_title
from segue.report.table import markdown, pipe_table


def result(name: str) -> dict[str, Any]:
    """A JSON file of results/."""
    found: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text())
    return found


def ablation_table(said: dict[str, Any]) -> str:
    """Values of the factor down; across, each metric of `columns` for each of `methods`, unnamed where it is one."""
    found, methods, columns = result(f"ablations/{said['ablation']}/ablation"), said["methods"], []
    for key in said["columns"]:
        for name in methods:
            cells = [entry["methods"][name][key] for entry in found["values"]]
            of = f"{method_title(name)}: " if len(methods) > 1 else ""
            columns.append(value_column(f"{of}{METRICS[key].standalone}", cells))
    return markdown(found["factor"], done_values(found), columns)


def category_table(said: dict[str, Any]) -> str:
    """The first table of a report about requests in categories of the clinic."""
    name = said["variable"]
    categories = measurement_of(name).categories
    assert categories is not None  # else the page asks for a table that no report has
    found = sections_of(result(f"{said['categories']}/metrics"), name, categories)[0]
    rows = [[title, *(text for text, _ in cells)] for title, cells in found.rows]
    return pipe_table([found.corner, *(head for _, head in found.heads)], rows)


def tuning_table(said: dict[str, Any]) -> str:
    """Every setting of the baselines that was measured on validation images; what was chosen is bold."""
    rows = []
    for name, one in result(said["tuning"]).items():
        for row in one["rows"]:
            settings = ", ".join(f"{key} {value}" for key, value in row["settings"].items() if key != "kind")
            told = f"**{settings}**" if row["settings"] == one["chosen"] else settings
            numbers = [f"{row[key]:.3f}" for key in ("error_sd", "off_target_sd", "nelbo_rise")]
            rows.append([method_title(name), told, *numbers, str(row["images"])])
    numbers = ["guide's error (sd)", "others (sd)", "rise of the negative ELBO (nats/pixel)"]
    return pipe_table(["baseline", "settings", *numbers, "images"], rows, left=2, marked_up=True)


def tuned_table(said: dict[str, Any]) -> str:
    """By study, on how many settings and validation images each baseline was tuned; a dash where it was not."""
    found = {title: result(name) for title, name in said["tuned"].items()}

    def counts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
        return [str(len(rows)), str(min(row["images"] for row in rows))] if rows else [MISSING, MISSING]

    heads = [f"{title}: {what}" for title in found for what in ("settings", "images")]
    names = dict.fromkeys(name for one in found.values() for name in one)
    rows = [
        [method_title(name), *(count for one in found.values() for count in counts(one.get(name, {}).get("rows", [])))]
        for name in names
    ]
    return pipe_table(["baseline", *heads], rows)


def rank_table(said: dict[str, Any]) -> str:
    """Pairs of the mini-benchmark: how much larger the second's number is, over the cells; what is sure is bold."""

    def told(one: dict[str, Any]) -> str:
        return f"**{over_seeds(one, '+.3f')}**" if one["ordered"] else over_seeds(one, "+.3f")

    found = orders(result(said["rank"])["cells"]).values()
    pairs = {pair: " before ".join(map(method_title, pair.split(" < "))) for of in found for pair in of}
    rows = [[title, *(told(of[pair]) for of in found)] for pair, title in pairs.items()]
    return pipe_table(["pair", "error (sd)", "distance to the truth (times doing nothing's)"], rows, marked_up=True)


# ---- of use ------------------------------------------------------------------------------------------------------


def use_table(said: dict[str, Any]) -> str:
    """The table of a study of use."""
    return {"augmentation": augmentation_table, "bias": bias_table, "progression": progression_table}[said["use"]]()


def spanned(number: float, ends: Sequence[float] | None, form: str) -> str:
    """A number with its interval, if it has one.

    >>> spanned(0.12, (0.1, 0.14), "+.2f")
    '+0.12 [+0.10, +0.14]'
    """
    return f"{number:{form}}" + (f" [{ends[0]:{form}}, {ends[1]:{form}}]" if ends else "")


def over_seeds(one: Mapping[str, Any], form: str = ".3f") -> str:
    """A mean over seeds with its interval."""
    return spanned(one["mean"], one["ci95"], form)


def augmentation_table() -> str:
    """Dice: arms down, numbers of subjects across; of all arms but `alone` the difference to it."""
    arms = result("use/augmentation")["arms"]
    subjects = sorted({arm["subjects"] for arm in arms})
    rows = []
    for name in dict.fromkeys(arm["arm"] for arm in arms):
        own = {arm["subjects"]: arm for arm in arms if arm["arm"] == name}
        number, form = ("dice", ".3f") if name == "alone" else ("dice_over_alone", "+.3f")
        rows.append([name, *(over_seeds(own[count][number], form) for count in subjects)])
    return pipe_table(["arm", *(f"{count} subjects" for count in subjects)], rows)


def bias_table() -> str:
    """Classifiers by confounder and kind of training."""
    rows = []
    for arm in result("use/bias")["arms"]:
        difference = MISSING if arm["arm"] == "none" else over_seeds(arm["accuracy_over_none"], "+.3f")
        numbers = [over_seeds(arm["accuracy"]), difference, over_seeds(arm["accuracy_against"]), over_seeds(arm["auc"])]
        rows.append([arm["confounder"], arm["arm"], *numbers, str(arm["accuracy"]["seeds"])])
    heads = ["confounder", "training", "accuracy", "difference to none", "against", "AUC", "seeds"]
    return pipe_table(heads, rows, left=2)


def progression_table() -> str:
    """What is measured at each step, times the area at the start; intervals over images."""
    methods = result("use/progression")["methods"]
    rows = []
    for name, one in methods.items():
        steps = zip(one["ratio"][1:], one["ratio_ci95"][1:], strict=True)
        others = [one[f"others_drift_sd{end}"][-1] for end in ("", "_worst_variable")]
        measured = [spanned(mean, ends, ".2f") for mean, ends in steps]
        rows.append([name, *measured, f"{one['monotone']:.0%}", *(f"{drift:.3f}" for drift in others)])
    first, *factors = (f"{factor:g}" for factor in next(iter(methods.values()))["factors"][1:])
    ends = ["images in which every step increases it", "mean change of the others (sd)", "of the worst of them (sd)"]
    return pipe_table(["method", f"measured at {first}", *(f"{factor} times" for factor in factors), *ends], rows)


# ---- of speed ----------------------------------------------------------------------------------------------------


def ratios_table(said: dict[str, Any]) -> str:
    """Ratios of benchmarks: by row and head, the file under results/benchmarks/ and the ratio's own words in it."""
    heads = list(dict.fromkeys(head for cells in said["ratios"].values() for head in cells))
    rows = [
        [title, *(ratio(*cells[head]) if head in cells else "" for head in heads)]
        for title, cells in said["ratios"].items()
    ]
    return pipe_table(["", *heads], rows)


def measured_table(said: dict[str, Any]) -> str:
    """Rows of a benchmark, those that are as `where` says; `columns` are keys of a row, by the head of the column."""
    rows, where = result(f"benchmarks/{said['measured']}")["rows"], said.get("where", {})
    rows = [row for row in rows if all(row.get(key) == value for key, value in where.items())]
    keys = said["columns"].values()
    words = sum(isinstance(rows[0][key], str) for key in keys)
    return pipe_table(list(said["columns"]), [[cell(row.get(key, "")) for key in keys] for row in rows], left=words)


def ratio(name: str, words: str) -> str:
    """A ratio with its interval, from a file under results/benchmarks/."""
    [one] = [one for one in result(f"benchmarks/{name}")["ratios"] if one["what"] == words]
    return spanned(one["value"], one["ci95"], ".2f")
