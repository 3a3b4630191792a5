"""What table and report show of `metrics.json`: columns of numbers, one row a method or a segmentor."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segue.errors import InputError

Interval = tuple[float, float]

METHODS = {
    "no_cft": "No-CFT",
    "reg_cft": "Reg-CFT",
    "seg_cft": "Seg-CFT",
    "pos_seg_cft": "Pos-Seg-CFT",
    "segue": "segue",
    "oracle": "Oracle",
}
BROADCAST = "_broadcast"
IDEAL = "oracle"  # the truth, not a competitor: never the best of a column
MISSING = "–"
NOTHING, FACTS = "doing nothing", "facts alone"  # rows to compare with, that are no methods
WITH_INTERVAL = {"error_sd", "mae", "value"}


@dataclass(frozen=True)
class Column:
    """One quantity for every row.

    Args:
        group: what the column belongs to: a structure, or a heading such as "mean".
        title: its own head.
        values: one a row; None where nothing is known.
        intervals: 95% intervals, one a row; None where nothing is known.
        best: rows to be set in bold.
    """

    group: str
    title: str
    values: tuple[float | None, ...]
    intervals: tuple[Interval | None, ...]
    best: frozenset[int] = frozenset()

    def cells(self) -> list[str]:
        """The numbers as text, to as many digits as tell the rows apart: "0.12 [0.10, 0.14]"."""
        digits = decimals([value for value in self.values if value is not None])
        texts = []
        for value, interval in zip(self.values, self.intervals, strict=True):
            text = number(value, digits)
            if value is not None and interval is not None:
                text += f" [{number(interval[0], digits)}, {number(interval[1], digits)}]"
            texts.append(text)
        return texts


def method_columns(metrics: Mapping[str, Any]) -> list[Column]:
    """Error by structure and region (in sd, with intervals), then the means: one row a method."""
    methods = methods_of(metrics)
    variables = [method.get("variables") or {} for method in methods.values()]
    competing = [key != IDEAL for key in methods]
    columns = []
    for name in variables_of(metrics):
        structure, region = split_name(name)
        entries = [one.get(name) or {} for one in variables]
        columns.append(column(structure, region, entries, "error_sd", competing))
    return columns + mean_columns(metrics, competing)


def mean_columns(metrics: Mapping[str, Any], competing: list[bool]) -> list[Column]:
    """What is averaged over all variables; quantities that no method has are left out."""
    means = [method_means(method) for method in methods_of(metrics).values()]
    heads = {
        "error": f"error ({unit_of(metrics)})",
        "error_sd": "error (sd)",
        "error_sd_well_posed": "error, well-posed (sd)",
        "off_target_sd": "off-target (sd)",
        "leakage": "leakage",
        "change_outside": "change outside",
        "change_inside": "change inside",
        "composition": "composition",
        "reversibility": "reversibility",
    }
    ranked = {key: competing if key != "change_inside" else [False] * len(means) for key in heads}
    columns = [column("mean", head, means, key, ranked[key]) for key, head in heads.items()]
    return [one for one in columns if any(value is not None for value in one.values)]


def bystanders(metrics: Mapping[str, Any]) -> dict[str, list[str]]:
    """By variable, for each method: which other variable moved most when this one was asked to, and by how many sd."""
    methods = methods_of(metrics).values()
    found = {}
    for name in variables_of(metrics):
        moved = [dict(((method.get("variables") or {}).get(name) or {}).get("moved") or {}) for method in methods]
        most = [max(((size, other) for other, size in one.items() if other != name), default=None) for one in moved]
        if any(most):
            found[variable_title(name)] = [f"{one[0]:.2f} {variable_title(one[1])}" if one else MISSING for one in most]
    return found


def floor_columns(metrics: Mapping[str, Any]) -> list[Column]:
    """The segmentors' own Dice and area errors: one row a segmentor; [] where none is given."""
    segmentors = list((metrics.get("segmentors") or {}).values())
    if not segmentors:
        return []
    dice = [one.get("dice") or {} for one in segmentors]
    errors = [one.get("error_sd") or {} for one in segmentors]
    nobody = [False] * len(segmentors)
    columns = []
    for structure in dict.fromkeys(name for one in dice for name in one):
        columns.append(column("Dice", human(structure), dice, structure, nobody))
    for name in dict.fromkeys(name for one in errors for name in one):
        columns.append(column("area error (sd)", variable_title(name), errors, name, nobody))
    means = [{"mean": mean(one.get("error") or {})} for one in segmentors]
    columns.append(column("area error", f"mean ({unit_of(metrics)})", means, "mean", nobody))
    return [one for one in columns if any(value is not None for value in one.values)]


def truth_rows(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By name for readers: distances of the factual image, then of every method's, from the true counterfactual."""
    methods = {method_title(key): method["truth"] for key, method in methods_of(metrics).items() if method.get("truth")}
    nothing = metrics.get("truth_of_doing_nothing")
    return ({NOTHING: nothing} if nothing else {}) | methods


def truth_columns(metrics: Mapping[str, Any]) -> list[Column]:
    """Distance to the true counterfactual: one row of `truth_rows` each; [] where the truth is not known."""
    rows = truth_rows(metrics)
    competing = [name != NOTHING for name in rows]
    return [
        column(group, title, list(rows.values()), key + part, competing, best_of)
        for part, group in (("", "whole image"), ("_inside", "in the region"), ("_outside", "outside"))
        for key, title, best_of in (("mae", "MAE", min), ("psnr", "PSNR (dB)", max), ("ssim", "SSIM", max))
        if rows
    ]


def realism_rows(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By name for readers: what sampling alone makes of the facts, then every method's `realism`."""
    facts = {kind: one | {"ci95": one["band"]} for kind, one in (metrics.get("realism_of_facts") or {}).items()}
    methods = {method_title(key): method.get("realism") or {} for key, method in methods_of(metrics).items()}
    return ({FACTS: facts} if facts else {}) | methods


def realism_columns(metrics: Mapping[str, Any]) -> list[Column]:
    """Likelihoods and two-sample distances, one row of `realism_rows` each; what no row has is left out."""
    rows = list(realism_rows(metrics).values())
    nobody = [False] * len(rows)
    columns = [
        column("negative ELBO (nats/pixel)", title, rows, key, nobody)
        for key, title in (
            ("nelbo", "of facts"),
            ("nelbo_factual", "of facts, pre-trained"),
            ("nelbo_counterfactual", "of counterfactuals, pre-trained"),
        )
    ]
    for kind, title in (("frechet", "Frechet distance"), ("kernel", "kernel distance")):
        of = [row.get(kind) or {} for row in rows]
        over = [one.get("over_facts") or {} for one in of]
        over_no_cft = [row.get(f"{kind}_over_no_cft") or {} for row in rows]
        columns += [
            column(title, "to facts", of, "value", nobody),
            column(title, "over facts alone", over, "value", nobody),
            column(title, "over No-CFT", over_no_cft, "value", nobody),
        ]
    return [one for one in columns if any(value is not None for value in one.values)]


def overfitting_rows(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By name for readers: the negative ELBO of every trained method by split, and the gap from training to test."""
    known = {method_title(key): with_gap(method.get("nelbo") or {}) for key, method in methods_of(metrics).items()}
    return {name: row for name, row in known.items() if "gap" in row}


def with_gap(nelbo: Mapping[str, float]) -> dict[str, float]:
    """A negative ELBO by split, and `gap`, that of test less that of training, where both are known."""
    known = {"guide", "test"} <= nelbo.keys()
    return dict(nelbo) | ({"gap": nelbo["test"] - nelbo["guide"]} if known else {})


def overfitting_columns(metrics: Mapping[str, Any]) -> list[Column]:
    """One row of `overfitting_rows` each."""
    rows = list(overfitting_rows(metrics).values())
    heads = {"guide": "training", "validation": "validation", "test": "test", "gap": "gap"}
    group, nobody = "negative ELBO (nats/pixel)", [False] * len(rows)
    columns = [column(group, title, rows, key, nobody) for key, title in heads.items()]
    return [one for one in columns if any(value is not None for value in one.values)]


def column(
    group: str,
    title: str,
    entries: Sequence[Mapping[str, Any]],
    key: str,
    competing: list[bool],
    best_of: Callable[[list[float]], float] = min,
) -> Column:
    """The `key` of every row's entry; the lowest (or what `best_of` says) of the rows that compete is the best."""
    values = tuple(finite(entry.get(key)) for entry in entries)
    intervals = tuple(interval(entry.get("ci95")) if key in WITH_INTERVAL else None for entry in entries)
    ranked = [value for value, races in zip(values, competing, strict=True) if races and value is not None]
    digits = decimals([value for value in values if value is not None])
    winner = number(best_of(ranked), digits) if len(ranked) > 1 else None  # as shown: ties are all the best
    best = frozenset(i for i, value in enumerate(values) if competing[i] and number(value, digits) == winner)
    return Column(group, title, values, intervals, best)


def method_means(method: Mapping[str, Any]) -> dict[str, Any]:
    """A method's means; changes inside and outside are averaged here where the file does not."""
    variables = (method.get("variables") or {}).values()
    means = {
        key: mean({i: one.get(key) for i, one in enumerate(variables)})
        for key in ("change_outside", "change_inside")
    }
    whole = {key: method.get(key) for key in ("composition", "reversibility")}
    given = {key: value for key, value in (method.get("mean") or {}).items() if value is not None}
    return {**means, **whole, **given}


def methods_of(metrics: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The methods by key.

    Raises:
        InputError: where there are none.
    """
    methods = metrics.get("methods")
    if not methods:
        raise InputError("metrics.json: no methods; run the stage `evaluate` first")
    return methods


def variables_of(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the variables, in the file's order or else in the methods'."""
    found = dict.fromkeys(
        name for method in methods_of(metrics).values() for name in method.get("variables") or {}
    )
    return list(metrics.get("variables") or found)


def method_title(key: str) -> str:
    """A method's name for readers: `pos_seg_cft_broadcast` is "Pos-Seg-CFT (broadcast parents)"."""
    if key.endswith(BROADCAST):
        return f"{method_title(key.removesuffix(BROADCAST))} (broadcast parents)"
    stem = next((stem for stem in METHODS if key.startswith(f"{stem}_")), None)
    return METHODS.get(key) or (f"{METHODS[stem]} {key.removeprefix(stem)[1:].replace('_', ' ')}" if stem else key)


def split_name(variable: str) -> tuple[str, str]:
    """`structure@region` as two words for readers; a plain covariate stands under "covariates"."""
    structure, at, region = variable.partition("@")
    return (human(structure), human(region)) if at else ("covariates", human(structure))


def variable_title(name: str) -> str:
    """`structure@region` for readers."""
    return human(name.replace("@", " "))


def human(name: str) -> str:
    """A name without underscores."""
    return name.replace("_", " ")


def unit_of(metrics: Mapping[str, Any]) -> str:
    """The unit of areas, typeset."""
    return typeset_unit(str(metrics.get("unit") or "px"))


def typeset_unit(text: str) -> str:
    """`mm2` and `mm3` with their exponents raised."""
    return text.replace("mm2", "mm²").replace("mm3", "mm³")


def decimals(values: list[float]) -> int:
    """Digits after the point that give the smallest value two significant ones, the largest three: 0 to 4."""
    sizes = [abs(value) for value in values if value]
    if not sizes:
        return 2
    wanted = max(1 - math.floor(math.log10(min(sizes))), 2 - math.floor(math.log10(max(sizes))))
    return min(max(wanted, 0), 4 if max(sizes) < 0.1 else 3)


def number(value: float | None, digits: int) -> str:
    """A number to `digits` decimals, or in powers of ten where that would show nothing of it."""
    if value is None:
        return MISSING
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{value:.0e}"
    return f"{value:.{digits}f}"


def mean(values: Mapping[Any, Any]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = [value for value in map(finite, values.values()) if value is not None]
    return sum(known) / len(known) if known else None


def finite(value: Any) -> float | None:
    """A float, or None for whatever is not a finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def interval(value: Any) -> Interval | None:
    """A pair of finite numbers, or None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = finite(value[0]), finite(value[1])
    return None if low is None or high is None else (low, high)
