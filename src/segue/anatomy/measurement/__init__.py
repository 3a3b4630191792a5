"""How much of a structure there is in a region, in the words of the clinic. `MEASUREMENTS` is the registry.

A new measurement is one file, one line here and one test. Variables are named `structure@region` for areas, and
`structure@region:measurement` for all others; a name says which measurement it is of.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from segue.anatomy.arguments import needed_arguments, read_arguments
from segue.anatomy.measurement.agatston import Agatston
from segue.anatomy.measurement.area import Area
from segue.anatomy.measurement.base import Dimension, Measurement, Seen
from segue.anatomy.measurement.categories import Categories
from segue.anatomy.measurement.length import Length
from segue.anatomy.measurement.mean_intensity import MeanIntensity
from segue.anatomy.measurement.mean_width import MeanWidth
from segue.anatomy.measurement.min_width import MinWidth
from segue.anatomy.measurement.ratio import Ratio
from segue.anatomy.measurement.stenosis import Stenosis
from segue.anatomy.measurement.thickness import Thickness
from segue.errors import InputError, nearest
from segue.text import in_digits

__all__ = [
    "MEASUREMENTS",
    "Categories",
    "Dimension",
    "MeasuredIn",
    "Measurement",
    "Seen",
    "category_of",
    "make_measures",
    "measurement_of",
    "said_value",
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
    "agatston": Agatston,
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
    if axis is not None and "axis" in needed_arguments(kind):
        given.setdefault("axis", axis)
    stated = read_arguments(kind, given, section=name, kind=name)
    return MeasuredIn(kind(**stated), tuple(region for region in regions if region in chosen))


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
    units = {"area": unit, "length": LENGTHS.get(unit, unit)}
    return units.get(measurement_of(variable).dimension, "")


def said_value(variable: str, value: float, unit: str = "") -> str:
    """A variable's value for readers: with its unit, and with its category where the clinic has one.

    >>> said_value("lumen@mid:stenosis", 0.62), said_value("lumen@mid", 30.0, "mm2")
    ('0.620 (CAD-RADS 3)', '30.0 mm2')
    """
    categories = measurement_of(variable).categories
    return f"{in_digits(value)} {unit}".rstrip() + (f" ({categories.said(value)})" if categories else "")
