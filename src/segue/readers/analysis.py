"""What the answers say: areas under the ROC curve by reader and method, agreement, ratings of the second part."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from segue.evaluation.bootstrap import percentiles
from segue.files import whole_folder, write_text
from segue.readers.agreement import Kappa, agreement
from segue.readers.answers import QUESTIONS, SCALE_LEVELS, Answers, read_all
from segue.readers.key import KEY, REAL, STAND_IN, TRUTH, KitKey, read_key
from segue.readers.mrmc import Estimate, of_difference, of_one_reader, of_readers
from segue.readers.roc import RocAreas, roc_areas
from segue.readers.summary import summary_text

ALL_EDITED = "all edited images"
DRAWS, SEED = 2000, 0
RESULTS, SUMMARY = "analysis.json", "analysis.md"
Found = dict[str, Any]


def analyse(kit: Path, paths: Sequence[Path], out: Path) -> Path:
    """Analyse files of answers to a kit, and write `analysis.json` and `analysis.md` to the folder `out`.

    Raises:
        InputError: the key is missing, a file of answers is wrong (see `segue.readers.answers`), or `out` holds files
            that are not an earlier analysis.

    >>> analyse(Path("nowhere"), [], Path("out"))
    Traceback (most recent call last):
    segue.errors.InputError: nowhere/truth/key.json: no such file; give the folder that `segue readers make` wrote
    """
    key = read_key(kit / TRUTH / KEY)
    found = analysed(key, read_all(paths, key))
    with whole_folder(out, replaces=RESULTS) as folder:
        write_text(folder / RESULTS, json.dumps(found, indent=1))
        write_text(folder / SUMMARY, summary_text(found))
    return out


def analysed(key: KitKey, given: Sequence[Answers]) -> Found:
    """The content of `analysis.json`: the human readers together, and the automatic stand-in apart."""
    humans = [one for one in given if one.reader != STAND_IN]
    others = [one for one in given if one.reader == STAND_IN]
    kinds = {kind: len(key.of_kind(kind)) for kind in (REAL, *key.methods)}
    return {
        "kit": key.kit,
        "study": key.study,
        "methods": list(key.methods),
        "cases": kinds,
        "requests": len(key.requests),
        "readers": [one.reader for one in humans],
        "first": first_part(key, humans) if humans else None,
        "second": second_part(key, humans) if humans and key.requests else None,
        "seconds": {one.reader: float(np.median(one.seconds)) for one in humans if one.seconds},
        "stand_in": first_part(key, others) if others else None,
    }


# ---- real or edited ----------------------------------------------------------------------------------------------


def first_part(key: KitKey, given: Sequence[Answers]) -> Found:
    """Areas by method, their differences, who is called edited, and how well readers agree."""
    levels = np.stack([case_levels(key, one) for one in given])
    real = levels[:, key.of_kind(REAL)]
    by_method = roc_areas([levels[:, key.of_kind(name)] for name in key.methods], real)
    together = roc_areas([levels[:, key.of_kind(*key.methods)]], real)
    names = [one.reader for one in given]
    rows = {name: area_row(by_method, i, names) for i, name in enumerate(key.methods)}
    if len(key.methods) > 1:
        rows[ALL_EDITED] = area_row(together, 0, names)
    differences = {
        f"{key.methods[a]} - {key.methods[b]}": tested_difference(of_difference(by_method, a, b))
        for a, b in combinations(range(len(key.methods)), 2)
    }
    called = levels >= SCALE_LEVELS // 2
    kinds = {kind: key.of_kind(kind) for kind in (REAL, *key.methods)}
    return {
        "auc": rows,
        "differences": differences,
        "called_edited": {
            kind: {name: float(called[i, cases].mean()) for i, name in enumerate(names)}
            for kind, cases in kinds.items()
        },
        "within_readers": {one.reader: as_dict(with_oneself(one)) for one in given},
        "between_readers": between_pairs({name: levels[i] for i, name in enumerate(names)}),
    }


def case_levels(key: KitKey, given: Answers) -> Float[np.ndarray, " case"]:
    """A reader's level of each case, when it was read for the first time."""
    found = np.full(len(key.cases), np.nan)
    for one, at in given.first.items():
        if not one.again:
            found[one.case] = at
    return found


def area_row(found: RocAreas, method: int, names: Sequence[str]) -> Found:
    """The pooled area of a method, and that of each reader."""
    by_reader = {name: shown(of_one_reader(found, method, i)) for i, name in enumerate(names)}
    return shown(of_readers(found, method)) | {"readers": by_reader}


def shown(one: Estimate) -> Found:
    """An estimate as `analysis.json` has it."""
    return {"value": one.value, "ci95": list(one.ci95)}


def tested_difference(one: Estimate) -> Found:
    """A difference as `analysis.json` has it."""
    return shown(one) | {"p": one.p}


def with_oneself(given: Answers) -> Kappa:
    """How well a reader agrees with the same reader's first reading of the cases that are read twice."""
    before = {one.case: at for one, at in given.first.items() if not one.again}
    again = {one.case: at for one, at in given.first.items() if one.again}
    pairs = np.array([(before[case], at) for case, at in again.items()], dtype=float).reshape(-1, 2)
    return agreement(pairs[:, 0], pairs[:, 1], draws=DRAWS, seed=SEED)


def between_pairs(levels: Mapping[str, Float[np.ndarray, " case"]]) -> Found:
    """How well each two readers agree."""
    return {
        f"{one}, {other}": as_dict(agreement(levels[one], levels[other], draws=DRAWS, seed=SEED))
        for one, other in combinations(levels, 2)
    }


def as_dict(one: Kappa) -> Found:
    """A kappa as `analysis.json` has it."""
    return {"kappa": one.kappa, "ci95": None if one.ci95 is None else list(one.ci95), "cases": one.cases}


# ---- did what was asked happen -----------------------------------------------------------------------------------


def second_part(key: KitKey, given: Sequence[Answers]) -> Found:
    """By method and question the mean rating, the share of 4 and 5; differences between methods; agreement."""
    ratings = np.stack([trial_ratings(key, one) for one in given])  # (reader, request, method, question)
    methods = {
        name: {question: rated(ratings[:, :, m, q]) for q, question in enumerate(QUESTIONS)}
        for m, name in enumerate(key.methods)
    }
    differences = {
        f"{key.methods[a]} - {key.methods[b]}": {
            question: mean_rating(ratings[:, :, a, q] - ratings[:, :, b, q]) for q, question in enumerate(QUESTIONS)
        }
        for a, b in combinations(range(len(key.methods)), 2)
    }
    agreements = {
        question: between_pairs({one.reader: ratings[i, :, :, q].ravel() for i, one in enumerate(given)})
        for q, question in enumerate(QUESTIONS)
    }
    return {"methods": methods, "differences": differences, "between_readers": agreements}


def trial_ratings(key: KitKey, given: Answers) -> Float[np.ndarray, "request method question"]:
    """What a reader said of each answer."""
    found = np.full((len(key.requests), len(key.methods), len(QUESTIONS)), np.nan)
    for one, cells in given.second.items():
        found[one.request, key.methods.index(one.method)] = cells
    return found


def rated(ratings: Float[np.ndarray, "reader request"]) -> Found:
    """The mean, with its interval, and the share of ratings that are 4 or 5."""
    return mean_rating(ratings) | {"share_4_or_5": float((ratings >= 4).mean())}


def mean_rating(values: Float[np.ndarray, "reader request"]) -> Found:
    """The mean, with its interval by bootstrap over readers and requests (Owen, Ann Appl Stat 2007;1:386).

    >>> mean_rating(np.array([[3.0, 3.0]]))
    {'value': 3.0, 'ci95': [3.0, 3.0]}
    """
    rng, (readers, requests) = np.random.default_rng(SEED), values.shape
    counts = [rng.multinomial(n, np.full(n, 1 / n), size=DRAWS) for n in (readers, requests)]
    draws = np.einsum("dr,rq,dq->d", counts[0], values, counts[1]) / values.size
    return {"value": float(values.mean()), "ci95": list(percentiles(draws))}
