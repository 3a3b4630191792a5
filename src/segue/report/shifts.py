"""What other scanners cost: every method's errors under every shift, as a table in Markdown."""

from collections.abc import Mapping
from typing import Any

from segue.report.columns import MISSING, method_title
from segue.report.table import pipe_table

SUMMARY_TABLE = "shifts.md"
HEADS = ("shift", "method", "error (sd)", "off-target (sd)", "error, relative to unshifted")


def shifts_table(found: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One row for each shift and method, the unshifted test images first.

    Args:
        found: the content of `shifts.json`. titles: what each shift does, by name.

    >>> method = {"error_sd": 0.5, "off_target_sd": 0.1}
    >>> found = {"unshifted": {"mine": method}, "shifts": {"noisy": {"mine": method | {"ratio": 1.0}}}}
    >>> print(shifts_table(found, {"noisy": "white noise"}).splitlines()[-1])
    noisy: white noise.
    """
    groups = {"none": found["unshifted"], **found["shifts"]}
    rows = [
        [shift, method_title(key), *(three_digits(method.get(name)) for name in ("error_sd", "off_target_sd", "ratio"))]
        for shift, methods in groups.items()
        for key, method in methods.items()
    ]
    legend = "  \n".join(f"{name}: {titles[name]}." for name in found["shifts"])
    return f"{pipe_table(HEADS, rows, left=2)}\n\n{legend}\n"


def three_digits(value: float | None) -> str:
    """A number, or a dash where there is none."""
    return MISSING if value is None else f"{value:.3f}"
