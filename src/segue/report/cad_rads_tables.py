"""Requests of a stenosis in the words of the clinic: error in points, and the CAD-RADS category that was found."""

from collections.abc import Mapping
from typing import Any

from segue.evaluation.cad_rads import CATEGORIES
from segue.report.columns import method_title, methods_of, variable_title, variables_of
from segue.report.sections import Section

__all__ = ["cad_rads_sections"]

RANGES = ("0%", "1-24%", "25-49%", "50-69%", "70-99%", "100%")
SOURCE = "CAD-RADS 2.0 (Cury et al., J Cardiovasc Comput Tomogr 2022); of one region, and not of a patient"


def cad_rads_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """For each stenosis that is a variable, a table of the methods and a confusion matrix of each method.

    >>> told = {"points": 4.0, "in_category": 1.0, "confusion": [[0] * 6] * 3 + [[0, 0, 0, 2, 0, 0]] + [[0] * 6] * 2}
    >>> found = {"variables": {"lumen@mid:stenosis": {"cad_rads": told}}}
    >>> one, other = cad_rads_sections({"methods": {"segue": found}, "variables": ["lumen@mid:stenosis"]})
    >>> one.rows, other.rows
    ([('segue', [('4.0', False), ('100%', False)])], [('3 (50-69%)', [('0', False), ... ('2', False), ...])])
    """
    return [one for name in variables_of(metrics) for one in sections_of(metrics, name)]


def sections_of(metrics: Mapping[str, Any], name: str) -> list[Section]:
    """Of one variable; none where it is no stenosis."""
    told = {
        key: entry["cad_rads"]
        for key, method in methods_of(metrics).items()
        if "cad_rads" in (entry := (method.get("variables") or {}).get(name) or {})
    }
    if not told:
        return []
    rows = [
        (method_title(key), [(f"{one['points']:.1f}", False), (f"{100 * one['in_category']:.0f}%", False)])
        for key, one in told.items()
    ]
    caption = f"Error: |judge's stenosis - requested stenosis|, in percentage points. Categories: {SOURCE}"
    heads = [("", "error (points)"), ("", "in the category asked")]
    first = Section(f"{variable_title(name)} in categories", caption, "method", heads, rows)
    if metrics.get("folds"):  # of which counts are not added up
        return [first]
    return [first, *(matrix(f"{variable_title(name)}, {method_title(key)}", one) for key, one in told.items())]


def matrix(title: str, told: Mapping[str, Any]) -> Section:
    """The confusion matrix of a method: only the rows of categories that were asked."""
    heads = [("found", f"{k} ({span})") for k, span in zip(CATEGORIES, RANGES, strict=True)]
    rows = [
        (heads[k][1], [(str(count), False) for count in counts])
        for k, counts in enumerate(told["confusion"])
        if any(counts)
    ]
    caption = "Number of answers by the category that was asked and the one that the judge found"
    return Section(title, caption, "asked", heads, rows)
