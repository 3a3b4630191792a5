"""Requests in the words of the clinic: the error in its points, and the category that was found."""

from collections.abc import Mapping
from typing import Any

from segue.anatomy.measurement import Categories, measurement_of
from segue.report.columns import method_title, methods_of, variable_title, variables_of
from segue.report.sections import Section

__all__ = ["category_sections"]


def category_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """For each variable whose measurement has categories, a table of the methods and a confusion matrix of each method.

    >>> told = {"points": 4.0, "in_category": 1.0, "confusion": [[0] * 6] * 3 + [[0, 0, 0, 2, 0, 0]] + [[0] * 6] * 2}
    >>> found = {"variables": {"lumen@mid:stenosis": {"cad_rads": told}}}
    >>> one, other = category_sections({"methods": {"segue": found}, "variables": ["lumen@mid:stenosis"]})
    >>> one.rows, other.rows
    ([('segue', [('4.0', False), ('100%', False)])], [('3 (50-69%)', [('0', False), ... ('2', False), ...])])
    """
    return [
        one
        for name in variables_of(metrics)
        if (categories := measurement_of(name).categories) is not None
        for one in sections_of(metrics, name, categories)
    ]


def sections_of(metrics: Mapping[str, Any], name: str, categories: Categories) -> list[Section]:
    """Of one variable; none where no method was asked for it."""
    told = {
        key: entry[categories.key]
        for key, method in methods_of(metrics).items()
        if (entry := (method.get("variables") or {}).get(name) or {}).get(categories.key)
    }
    if not told:
        return []
    title = variable_title(name)
    rows = [
        (method_title(key), [(f"{one['points']:.1f}", False), (f"{100 * one['in_category']:.0f}%", False)])
        for key, one in told.items()
    ]
    error = f"Error: |judge's value - requested value| in {categories.unit}{count_of(told)}"
    heads = [("", f"error ({categories.unit})"), ("", "in the category asked")]
    caption = f"{error}. Categories: {categories.source}"
    first = Section(f"{title} in categories", caption, "method", heads, rows)
    if metrics.get("folds"):  # of which counts are not added up
        return [first]
    return [first, *(matrix(f"{title}, {method_title(key)}", one, categories) for key, one in told.items())]


def count_of(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Of how many requests, where all methods have as many."""
    counts = {one.get("requests") for one in told.values()}
    return f", of {counts.pop()} requests whose answer exists" if len(counts) == 1 and None not in counts else ""


def matrix(title: str, told: Mapping[str, Any], categories: Categories) -> Section:
    """The confusion matrix of a method: only the rows of categories that were asked."""
    heads = [("found", f"{k} ({span})") for k, span in zip(categories.names, categories.ranges, strict=True)]
    rows = [
        (heads[k][1], [(str(count), False) for count in counts])
        for k, counts in enumerate(told["confusion"])
        if any(counts)
    ]
    caption = "Number of answers by the category that was asked and the one that the judge found"
    return Section(title, caption, "asked", heads, rows)
