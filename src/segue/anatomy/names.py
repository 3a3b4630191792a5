"""The names of regions, the second half of a variable's name `structure@region`."""

from collections.abc import Sequence

from segue.errors import InputError


def check_regions(regions: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple, if there are any, none is empty or repeated, and none holds an '@'."""
    if not regions:
        raise InputError("partition.regions: no regions; name at least one")
    for name in regions:
        if not name.strip():
            raise InputError(f"partition.regions: an empty name in {list(regions)}; name every region")
        if "@" in name:
            raise InputError(f"partition.regions: {name!r} holds '@', which separates structure and region; rename it")
    if len(set(regions)) != len(regions):
        twice = sorted({name for name in regions if list(regions).count(name) > 1})
        raise InputError(f"partition.regions: {', '.join(twice)} named more than once; names must differ")
    return tuple(regions)
