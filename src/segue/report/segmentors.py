"""The tables of the segmentors: how well they find structures, and how well they measure areas."""

import re
from collections.abc import Mapping
from typing import Any

from segue.evaluation.metric import FAMILIES, finite, look_up
from segue.report.columns import TableColumn, unit_of, variable_title, variables_of
from segue.report.sections import Section, section
from segue.report.study_verdict import accuracy
from segue.text import in_words


def segmentor_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """Dice of each segmentor by structure, and area errors by variable; without tables that have no number."""
    family = FAMILIES["measurement_error"]
    names = {key: segmentor_title(key) for key in metrics.get("segmentors") or {}}
    variables = [name for name in variables_of(metrics) if any(name in accuracy(metrics, key).errors for key in names)]
    dice, areas = dice_columns(metrics), area_columns(metrics, variables)
    tables = [
        section("segmentors: Dice", "segmentor", list(names.values()), dice, "Dice with the masks; higher is better"),
        section("segmentors: areas", "variable", [variable_title(name) for name in variables], areas, family.caption),
    ]
    return [one for one in tables if one.rows and one.heads]


def dice_columns(metrics: Mapping[str, Any]) -> list[TableColumn]:
    """A structure each, one row for each segmentor."""
    entries = [look_up(one, "dice") or {} for one in (metrics.get("segmentors") or {}).values()]
    found = [
        column("Dice", in_words(name), [finite(entry.get(name)) for entry in entries])
        for name in dict.fromkeys(name for entry in entries for name in entry)
    ]
    return [one for one in found if one.known]


def area_columns(metrics: Mapping[str, Any], variables: list[str]) -> list[TableColumn]:
    """One row for each variable: its sd by guide and masks, and the errors of every segmentor."""
    unit = unit_of(metrics)

    def of(values: Mapping[str, Any]) -> list[float | None]:
        return [finite(values.get(name)) for name in variables]

    found = [
        column(f"sd ({unit})", "by the guide, in training", of(metrics.get("sd") or {})),
        column(f"sd ({unit})", "by the masks, judged images", of(metrics.get("sd_of_masks") or {})),
    ]
    for key, entry in (metrics.get("segmentors") or {}).items():
        one, group = accuracy(metrics, key), f"{segmentor_title(key)}: area error"
        if key in ("guide", "judge"):
            found += [
                column(group, unit, of(entry.get("error") or {})),
                column(group, "sd", of(one.errors)),
                column(group, "sd of the masks", of(one.of_masks)),
            ]
        else:
            found.append(column("area error (sd)", segmentor_title(key), of(one.errors)))
    return [one for one in found if one.known]


def column(group: str, title: str, values: list[float | None]) -> TableColumn:
    """Numbers without intervals, none in bold."""
    return TableColumn(group, title, tuple(values), (None,) * len(values))


def segmentor_title(key: str) -> str:
    """A segmentor's name for readers; `panel_NAME` is the key of a member of the ensemble.

    >>> segmentor_title("panel_second"), segmentor_title("guide")
    ('ensemble second', 'guide')
    """
    return in_words(re.sub("^panel_", "ensemble ", key))
