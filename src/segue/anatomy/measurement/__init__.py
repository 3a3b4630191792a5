"""How much of a structure there is in a region, in the words of the clinic. `MEASUREMENTS` is the registry.

A new measurement is one file, one line here and one test. Variables are named `structure@region` for areas, and
`structure@region:measurement` for all others; a name says which measurement it is of.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from segue.anatomy.measurement.area import Area
from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.length import Length
from segue.anatomy.measurement.mean_intensity import MeanIntensity
from segue.anatomy.measurement.mean_width import MeanWidth
from segue.anatomy.measurement.min_width import MinWidth
from segue.anatomy.measurement.ratio import Ratio
from segue.anatomy.measurement.stenosis import Stenosis
from segue.anatomy.measurement.thickness import Thickness
from segue.errors import InputError, nearest

__all__ = [
    "MEASUREMENTS",
    "Dimension",
    "MeasuredIn",
    "Measurement",
    "Seen",
    "make_measures",
    "measurement_of",
    "variable_unit",
]

MEASUREMENTS: dict[str, type[Measurement]] = {
    "area": Area,
    "mean_width": MeanWidth,
    "min_width": MinWidth,
    "length": Length,
    "thickness": Thickness,
    "mean_intensity": MeanIntensity,
    "ratio": Ratio,
    "stenosis": Stenosis,
}

LENGTHS = {"mm2": "mm", "mm3": "mm"}


class MeasuredIn(NamedTuple):
    """A measurement of a structure, and the regions in which it is a variable."""

    measurement: Measurement
    regions: tuple[str, ...]


def make_measures(
    settings: Mapping[str, Mapping[str, Any]], regions: tuple[str, ...], axis: int | None
) -> list[MeasuredIn]:
    """The measurements of a structure, from what a study says of them.

    Args:
        settings: by the measurement's name its settings, and perhaps `regions`: those that it is a variable of.
        regions: of the structure's partition. axis: that it cuts, along which the structure is taken to run.

    Raises:
        InputError: an unknown measurement, setting or region, or a setting that is missing.

    >>> make_measures({"min_width": {"regions": ["mid"]}}, ("proximal", "mid", "distal"), axis=1)
    [MeasuredIn(measurement=MinWidth(axis=1), regions=('mid',))]
    """
    if not settings:
        raise InputError("nothing is measured; name area, or another measurement")
    return [one_measure(name, dict(given or {}), regions, axis) for name, given in settings.items()]


def one_measure(name: str, given: dict[str, Any], regions: tuple[str, ...], axis: int | None) -> MeasuredIn:
    """A measurement and its regions; `axis` is that of the partition, where no other is given."""
    if name not in MEASUREMENTS:
        raise InputError(f"{name} is no measurement{nearest(name, MEASUREMENTS)}")
    kind, chosen = MEASUREMENTS[name], given.pop("regions", regions)
    if isinstance(chosen, str) or not chosen or any(region not in regions for region in chosen):
        raise InputError(f"{name}.regions: {chosen!r} are not regions of its partition; give some of {list(regions)}")
    fields = {field.name: field for field in dataclasses.fields(cast(Any, kind))}
    if unknown := [key for key in given if key not in fields]:
        known = ", ".join([*fields, "regions"])
        raise InputError(f"{name}: {unknown[0]} is no setting of it; choose from {known}")
    if "axis" in fields and fields["axis"].default is dataclasses.MISSING:
        given.setdefault("axis", axis)
        if given["axis"] is None:
            raise InputError(f"{name}: the regions have no axis; give axis, that along which the structure runs")
    if missing := [key for key, field in fields.items() if key not in given and field.default is dataclasses.MISSING]:
        raise InputError(f"{name}: give it {missing[0]}")
    stated = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    check_types(name, stated)
    return MeasuredIn(kind(**stated), tuple(region for region in regions if region in chosen))


def check_types(name: str, stated: Mapping[str, Any]) -> None:
    """Refuse an axis that is no number, and structures that are no list of names."""
    axis, to = stated.get("axis"), stated.get("to", ())
    if axis is not None and (not isinstance(axis, int) or isinstance(axis, bool)):
        raise InputError(f"{name}.axis: {axis!r} is no axis; give 0, 1 or 2")
    if not isinstance(to, tuple) or not all(isinstance(one, str) for one in to):
        raise InputError(f"{name}.to: {to!r} are no structures; give a list of names")


def measurement_of(variable: str) -> type[Measurement]:
    """The measurement that a variable is of.

    >>> measurement_of("lumen@mid").key, measurement_of("lumen@mid:stenosis").key
    ('area', 'stenosis')
    """
    return MEASUREMENTS.get(variable.partition("@")[2].rpartition(":")[2], Area)


def variable_unit(variable: str, unit: str) -> str:
    """The unit of a variable; "" of a pure number, such as a share, and of a covariate.

    Args:
        unit: of areas: mm2, mm3 or px.

    >>> [variable_unit(name, "mm2") for name in ("lumen@mid", "lumen@mid:min_width", "lumen@mid:stenosis", "age")]
    ['mm2', 'mm', '', '']
    """
    if "@" not in variable:
        return ""
    return {"area": unit, "length": LENGTHS.get(unit, unit), "share": ""}[measurement_of(variable).dimension]
