"""The names of regions, the second part of a variable's name `structure@region:measurement`."""

from collections.abc import Sequence

from segue.anatomy.measurement import MEASUREMENTS
from segue.errors import InputError


def check_regions(regions: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple, if there are any, none is empty or repeated, and none holds an '@' or a measurement."""
    if not regions:
        raise InputError("partition.regions: no regions; name at least one")
    for name in regions:
        if not name.strip():
            raise InputError(f"partition.regions: an empty name in {list(regions)}; name every region")
        if "@" in name:
            raise InputError(f"partition.regions: {name!r} holds '@', which separates structure and region; rename it")
        if ":" in name and name.rpartition(":")[2] in MEASUREMENTS:
            raise InputError(f"partition.regions: {name!r} ends as a measurement's variable does; rename it")
    if len(set(regions)) != len(regions):
        twice = sorted({name for name in regions if list(regions).count(name) > 1})
        raise InputError(f"partition.regions: {', '.join(twice)} named more than once; names must differ")
    return tuple(regions)
