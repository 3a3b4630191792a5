"""Who sees what under which id: the key of a kit, from what was drawn."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from segue.readers.design import reading_order, repeated, trial_order
from segue.readers.draw import DrawnKit, KitPlan, KitSource
from segue.readers.key import REAL, STAND_IN, KitKey, Sheet, ShownAnswer, ShownCase

IDS = 16**5


def make_key(source: KitSource, drawn: DrawnKit, plan: KitPlan) -> KitKey:
    """The key of what was drawn; each reader has an order and ids of its own."""
    rng = np.random.default_rng((plan.seed, 2))
    methods, asked = tuple(source.methods), source.asked
    kinds = np.array([(REAL, *methods).index(case.kind) for case in drawn.cases])
    twice = repeated(kinds, plan.repeats, rng)
    names = [f"reader-{i + 1}" for i in range(plan.readers)]
    sheets = {name: sheet(len(kinds), twice, len(drawn.trials), methods, rng) for name in names}
    if plan.stand_in:
        sheets[STAND_IN] = sheet(len(kinds), twice, 0, methods, rng)
    rest: dict[str, Any] = {
        "study": asked.study.name,
        "unit": asked.store.unit,
        "methods": methods,
        "cases": tuple(
            {"kind": one.kind, **record(source, one.row, one.variable, one.value)} for one in drawn.cases
        ),
        "requests": tuple(
            record(source, one.origin, one.variable, float(asked.pa[one.donor, one.variable])) for one in drawn.trials
        ),
    }
    settled = json.dumps([rest, {name: asdict(one) for name, one in sheets.items()}], sort_keys=True)
    return KitKey(kit=hashlib.sha256(settled.encode()).hexdigest()[:12], sheets=sheets, **rest)


def record(source: KitSource, row: int, variable: int, value: float) -> dict[str, Any]:
    """An image and what is asked of it, for the key; of a real image, the two values are equal."""
    asked = source.asked
    return {
        "image": asked.ids[row],
        "subject": asked.subjects[int(asked.places[row])],
        "variable": asked.parents.variables.names[variable],
        "factual": float(asked.pa[row, variable]),
        "requested": value,
    }


def sheet(cases: int, twice: np.ndarray, requests: int, methods: Sequence[str], rng: np.random.Generator) -> Sheet:
    """One reader's order, and random ids that no two pictures of a page share."""
    order, trials = reading_order(cases, twice, rng), trial_order(requests, len(methods), rng)
    ids = [f"{id:05x}" for id in rng.choice(IDS, len(order) + len(trials), replace=False)]
    seen: set[int] = set()
    first = []
    for id, case in zip(ids, order.tolist(), strict=False):
        first.append(ShownCase(id, case, case in seen))
        seen.add(case)
    second = [
        ShownAnswer(id, request, methods[method])
        for id, (request, method) in zip(ids[len(order) :], trials.tolist(), strict=True)
    ]
    return Sheet(tuple(first), tuple(second))
