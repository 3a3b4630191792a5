"""Which images readers see: balanced over variables and sizes, matched over kinds, each subject once, in random order.

Real and edited images must not differ in what is *in* them, or readers could tell them by that. So each real image is
matched: an image of each method is asked for the value that the real image has. Requested values are as common among
edited images as they are among real ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from segue.errors import InputError

SIZES = (-1.5, -0.75, 0.75, 1.5)
"""How far requests are from the factual value, in sd of the variable."""
FARTHEST_OFF = 0.5
"""How far a request may be from its planned size, in sd: cohorts are finite."""
SLACK = 0.25
"""Images whose request is so much worse than the best one (sd) are drawn too, so that the draw is random."""

SdValues = Float[np.ndarray, "image variable"]
"""Factual values in sd of each variable."""


class Slot(NamedTuple):
    """A change that is to be asked for."""

    variable: int
    size: float


class Trial(NamedTuple):
    """A request: the image that is edited, the image whose value it asks for, both as rows."""

    variable: int
    origin: int
    donor: int


class Match(NamedTuple):
    """A real image, and for each method an image that is asked for the real image's value."""

    variable: int
    real: int
    origins: tuple[int, ...]


def slots(count: int, variables: int, rng: np.random.Generator) -> list[Slot]:
    """Changes in which variables, and sizes, are as frequent as each other.

    >>> plan = slots(8, 2, np.random.default_rng(0))
    >>> [sum(one.variable == v for one in plan) for v in (0, 1)], sorted({one.size for one in plan}) == list(SIZES)
    ([4, 4], True)
    """
    order, sizes = rng.permutation(variables), rng.permutation(SIZES)
    turns = ((i % variables, i // variables) for i in range(count))
    return [Slot(int(order[v]), float(sizes[(v + turn) % len(sizes)])) for v, turn in turns]


def draw_matches(
    values: SdValues, plan: Sequence[Slot], methods: int, free: set[int], rng: np.random.Generator
) -> list[Match]:
    """A match for each change; its images are taken out of `free`.

    Raises:
        InputError: there are not enough images that are so far apart.
    """
    found = []
    for slot in plan:
        rows = np.array(sorted(free))
        change = changes(values[rows, slot.variable], values[rows, slot.variable])
        off = np.abs(change - slot.size)
        np.fill_diagonal(off, np.inf)
        real = pick(np.sort(off, axis=0)[methods - 1] if len(rows) > methods else np.array([np.inf]), rng)
        origins = rng.permutation(np.argsort(off[:, real], kind="stable")[:methods])
        found.append(Match(slot.variable, int(rows[real]), tuple(int(rows[i]) for i in origins)))
        free -= {found[-1].real, *found[-1].origins}
    return found


def draw_trials(values: SdValues, plan: Sequence[Slot], free: set[int], rng: np.random.Generator) -> list[Trial]:
    """A request for each change; its image is taken out of `free`. Any image may be the donor of a value.

    Raises:
        InputError: there are not enough images that are so far apart.
    """
    found = []
    for slot in plan:
        rows = np.array(sorted(free))
        off = np.abs(changes(values[rows, slot.variable], values[:, slot.variable]) - slot.size)
        off[np.arange(len(rows)), rows] = np.inf
        origin = pick(off.min(axis=1) if len(rows) else np.array([np.inf]), rng)
        found.append(Trial(slot.variable, int(rows[origin]), int(off[origin].argmin())))
        free -= {found[-1].origin}
    return found


def changes(origin: Float[np.ndarray, " origin"], donor: Float[np.ndarray, " donor"]) -> np.ndarray:
    """How far the value of each donor (column) is from that of each origin (row)."""
    return donor[None] - origin[:, None]


def pick(off: Float[np.ndarray, " candidate"], rng: np.random.Generator) -> int:
    """One of the best candidates at random.

    >>> pick(np.array([2.0, 0.1, 3.0]), np.random.default_rng(0))
    1
    """
    if not off.min() <= FARTHEST_OFF:
        raise InputError(
            "the run has too few test images that are far enough apart; give fewer --cases or --requests"
        )
    return int(rng.choice(np.flatnonzero(off <= min(off.min() + SLACK, FARTHEST_OFF))))


def repeated(kinds: Int[np.ndarray, " case"], count: int, rng: np.random.Generator) -> Int[np.ndarray, " repeat"]:
    """Cases that are read twice, as many of each kind as of the others (or one fewer).

    >>> kinds = np.array([0, 0, 0, 1, 1, 1])
    >>> sorted(kinds[repeated(kinds, 2, np.random.default_rng(0))].tolist())
    [0, 1]
    """
    shuffled = rng.permutation(len(kinds))
    turn = np.array([(kinds[shuffled[:i]] == kinds[case]).sum() for i, case in enumerate(shuffled)])
    return shuffled[np.argsort(turn, kind="stable")[:count]]


def reading_order(
    cases: int, twice: Int[np.ndarray, " repeat"], rng: np.random.Generator
) -> Int[np.ndarray, " reading"]:
    """Cases in the order in which one reader sees them; a second reading is at least a third of all readings later.

    Args:
        twice: the cases that are read twice: at most half of all.

    >>> reading_order(4, np.array([2]), np.random.default_rng(1)).tolist()
    [2, 3, 0, 1, 2]
    """
    others = rng.permutation(np.setdiff1d(np.arange(cases), twice))
    beside = (cases + len(twice)) // 3 - len(twice)
    first, middle, last = np.split(others, [beside, len(others) - beside])
    parts = [np.concatenate([twice, first]), middle, np.concatenate([last, twice])]
    return np.concatenate([rng.permutation(part) for part in parts])


def trial_order(requests: int, methods: int, rng: np.random.Generator) -> Int[np.ndarray, "trial 2"]:
    """(request, method) of each answer in the order in which one reader sees them.

    There are as many blocks as methods. In each, every request comes once, answered by a method drawn at random.

    >>> order = trial_order(3, 2, np.random.default_rng(0))
    >>> sorted(order[:3, 0].tolist()), len({tuple(one) for one in order.tolist()})
    ([0, 1, 2], 6)
    """
    drawn = np.array([rng.permutation(methods) for _ in range(requests)])
    blocks = [[(one, drawn[one, block]) for one in rng.permutation(requests)] for block in range(methods)]
    return np.array(blocks, dtype=int).reshape(-1, 2)
