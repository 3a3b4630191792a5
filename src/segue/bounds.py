"""Bounds of every number that a study or a model states. What is beyond them fills a machine's memory, or never ends.

The bounds are wide: they are no advice. A key has the same bounds wherever it stands, unless an entry names its section
too (`augment.scale`). What stands under a name of the user's (`cohort.structures.heart`) has those of its section
(`structures.*`).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from segue.errors import InputError
from segue.text import shortened

__all__ = ["BOUNDS", "bound_of", "check_bounds"]


class Bound(NamedTuple):
    """The smallest and the largest value that may be stated, and of a list the most entries.

    >>> Bound(1, 64).entries
    64
    """

    least: float
    most: float
    entries: int = 64


STEPS, SEED, LABEL, SHARE = Bound(0, 1e8), Bound(0, 2**32 - 1), Bound(-(2**31), 2**31, 1000), Bound(0, 1)
WEIGHT, PIXELS, LEVELS = Bound(0, 1e6), Bound(0, 1000), Bound(1, 4096, entries=16)
ANYTHING = Bound(-1e9, 1e9, 100_000)
"""Of numbers in the unit of the user's data."""

BOUNDS: dict[str, Bound] = {
    # the cohort
    "size": Bound(1, 4096, entries=3),
    "intensity": ANYTHING, "usual": ANYTHING, "percentiles": Bound(0, 100), "zscore": Bound(0, 1e6),
    "structures.*": LABEL, "background": LABEL, "codes.*": ANYTHING, "split.*": SHARE,
    "folds": Bound(0, 1000), "fold": Bound(0, 1000), "seed": SEED, "phantom.images": Bound(1, 1e7),
    # partitions
    "axis": Bound(0, 2), "cuts": Bound(0, 1, 1000), "rings": Bound(0, 1, 1000), "softness": PIXELS,
    "margin": PIXELS, "centre": SHARE, "start": Bound(-360, 360),
    # networks and their training
    "width": Bound(1, 4096), "widths": LEVELS, "depths": Bound(0, 64, 16), "patch": Bound(1, 256), "masks": SHARE,
    "latent": Bound(1, 4096), "finest": Bound(0, 16), "reach": Bound(1, 16), "head": Bound(1, 4096),
    "blocks": Bound(1, 64), "free_bits": WEIGHT, "beta_warmup": SHARE,
    "steps": Bound(1, 10_000), "depth": SHARE, "guidance": Bound(0, 1000), "last": Bound(1, 10_000),
    "resolution": Bound(1, 4096), "smoothing": PIXELS, "squarings": Bound(0, 20),
    "budget.steps": STEPS, "batch_size": Bound(1, 1e6), "lr": Bound(0, 1e3), "validate_every": STEPS,
    "rotate": Bound(0, 360), "augment.scale": Bound(0, 10), "shift": Bound(0, 10), "flip_axes": Bound(0, 2),
    "elastic": PIXELS, "contrast": Bound(0, 100), "brightness": Bound(0, 100), "noise": Bound(0, 100),
    "gamma": Bound(0, 100), "blur": PIXELS,
    # fine-tuning
    "damping": WEIGHT, "rate": WEIGHT, "multiplier": WEIGHT, "clip": Bound(0, 1e9), "at_once": Bound(1, 1000),
    "smoothness": WEIGHT, "painting": WEIGHT, "outside": WEIGHT, "shrinkage": Bound(0, 2), "floor": Bound(0, 1000),
    "corrections": Bound(0, 100),
    # the causal model of the variables
    "absent.*": ANYTHING, "hidden": Bound(1, 4096, 16), "bins": Bound(0, 1000), "held_out": SHARE,
    "epochs": Bound(1, 1e6),
    # judging, and baselines
    "evaluate.images": Bound(1, 1e7), "particles": Bound(1, 1000), "rows": PIXELS, "bootstrap": Bound(1, 1e6),
    "bisections": Bound(1, 100), "largest": Bound(0, 10), "distance": WEIGHT, "scale": WEIGHT,
    # an exported model
    "channels": Bound(1, 1000), "spatial_dims": Bound(2, 3), "structures": Bound(1, 1000, 1000),
    "context": Bound(0, 100_000), "inputs": Bound(0, 100_000), "outputs": Bound(0, 100_000),
    "pixel_area": Bound(0, 1e9), "limit": ANYTHING, "levels": ANYTHING,
}  # fmt: skip
MOST_PIXELS = 1 << 27  # of a grid
LONGEST_NAME, LONGEST_TEXT = 100, 100_000  # characters


def bound_of(path: Sequence[str]) -> Bound | None:
    """The bounds of what stands at a path of keys; None where none are stated.

    >>> bound_of(("hvae", "depths")), bound_of(("cohort", "structures", "heart")) == BOUNDS["structures.*"]
    (Bound(least=0, most=64, entries=16), True)
    """
    named = [".".join(path[-2:]), *(f"{section}.*" for section in reversed(path[:-1])), *path[-1:]]
    return next((BOUNDS[name] for name in named if name in BOUNDS), None)


def check_bounds(content: Any, where: str) -> None:
    """Refuse a tree of settings with a number that is not finite or beyond its bounds, or with a name that is no name.

    Args:
        content: mappings, lists and values, as JSON has them. where: what messages call it.

    >>> check_bounds({"hvae": {"depths": [1, 1_000_000]}}, "study.yaml")
    Traceback (most recent call last):
    segue.errors.InputError: study.yaml: hvae.depths is 1000000; give 0 to 64
    """
    for path, value in entries_of(content):
        key = shortened(".".join(path))
        for name in path:
            check_name_of_key(name, where)
        if isinstance(value, str) and (len(value) > LONGEST_TEXT or "\0" in value):
            raise InputError(f"{where}: {key} is a text of {len(value):,} characters; shorten it")
        if isinstance(value, bool) or not isinstance(value, int | float | list):
            continue
        bound = bound_of(path) or ANYTHING
        if isinstance(value, list):
            check_list(value, bound, key, where)
        elif not bound.least <= value <= bound.most:  # NaN is not, either
            given = shortened(f"{value:g}" if isinstance(value, float) else hex(value) if value > 1e18 else str(value))
            raise InputError(f"{where}: {key} is {given}; give {bound.least:g} to {bound.most:g}")


def check_list(value: list[Any], bound: Bound, key: str, where: str) -> None:
    """Refuse a list that is too long, a grid of too many pixels, and names that are none."""
    if len(value) > bound.entries:
        raise InputError(f"{where}: {key} has {len(value):,} entries; give {bound.entries:,} at most")
    numbers = [one for one in value if isinstance(one, int | float)]
    if key.rpartition(".")[2] == "size" and math.prod(numbers) > MOST_PIXELS:
        raise InputError(f"{where}: {key} is {value}; give a grid of {MOST_PIXELS:,} pixels at most")
    for one in value:
        if isinstance(one, str):
            check_name_of_key(one, where)


def check_name_of_key(name: str, where: str) -> None:
    """Refuse a name that is too long for a file's name, or holds what cannot be printed."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(
            f"{where}: {shortened(name)!r} is no name: give {LONGEST_NAME} printable characters at most, on one line"
        )


def entries_of(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every list and every value of a tree, with the keys that lead to it; entries of a list have the list's."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from entries_of(value, (*path, str(key)))
        return
    yield path, content
    if isinstance(content, list | tuple):
        for value in content:
            yield from entries_of(value, path)
