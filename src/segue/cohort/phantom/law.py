"""The variables' law: exogenous noise -> age, burden, and nine areas in mm2. Two laws over one noise.

`independent`, as in the papers: nine dials that know nothing of one another.

`coupled`, with the graph `EDGES` (N(u) is the standard normal quantile of a uniform u, s+ = max(s, 0)):

    age        = 60 + 10 N(u)                                                   years
    burden     = N(u)                                                           genes and habits, in sd
    s(t, r)    = 0.6 + 0.4 (age - 60) / 10 + 0.6 burden + 0.12 plaque(t, r - 1) + 0.9 N(u)
    plaque(t, r) = 12 (1 - exp(-s+ / 3))                                        mm2, 0 where s <= 0
    lumen(r)   = 12 c(r) exp(-0.016 (calcified(r) + noncalcified(r)))           mm2

for the types t (calcified, non-calcified) and thirds r, r - 1 being the third upstream and c(r) a healthy third's
calibre in mm, uniform. Plaque is zero-inflated: about a quarter of the thirds have none. A square millimetre of plaque
takes 1.6% of the lumen, about half a square millimetre; the vessel remodels outwards for the rest (Glagov et al., N
Engl J Med 1987;316:1371). The coefficients are ours. Every equation can be solved for its noise, except that of a
plaque that is not there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from segue.cohort.phantom.noise import PLAQUES, REGIONS, THIRD, Noise

STRUCTURES = ("lumen", *PLAQUES)
VARIABLES = tuple(f"{structure}@{region}" for structure in STRUCTURES for region in REGIONS)
COVARIATES = ("age", "burden")

# mm: calibres go from 2.6-4.2 through 2.1-3.4 to 1.6-2.7, the taper of a whole artery put into 36 mm. A normal LAD goes
# from 3.7 +- 0.4 to 1.9 +- 0.4 mm (Dodge et al., Circulation 1992;86:232).
NARROW, WIDE = np.array([2.6, 2.1, 1.6]), np.array([4.2, 3.4, 2.7])
PREVALENCE = 0.75
LEAST, MOST = np.array([[1.5], [2.0]]), np.array([[8.0], [9.0]])  # mm2 of plaque by type, where there is any

Values = Mapping[str, Float[np.ndarray, " batch"]]


def upstream(region: str) -> str | None:
    """The third before this one."""
    place = REGIONS.index(region)
    return REGIONS[place - 1] if place else None


def _edges() -> tuple[tuple[str, str], ...]:
    edges: list[tuple[str, str]] = []
    for region in REGIONS:
        for plaque in PLAQUES:
            edges += [("age", f"{plaque}@{region}"), ("burden", f"{plaque}@{region}")]
            if (before := upstream(region)) is not None:
                edges.append((f"{plaque}@{before}", f"{plaque}@{region}"))
            edges.append((f"{plaque}@{region}", f"lumen@{region}"))
    return tuple(edges)


EDGES = _edges()
"""The coupled law's graph: (cause, effect)."""


def areas(noise: Noise) -> Float[np.ndarray, "batch variable"]:
    """The nine areas, mm2, in the order of `VARIABLES`."""
    return as_matrix(solve(noise), VARIABLES)


def healthy(noise: Noise) -> Float[np.ndarray, "batch 3"]:
    """The calibre of each third of the lumen before any plaque narrows it, mm."""
    return NARROW + (WIDE - NARROW) * noise.scalars.calibre


def solve(noise: Noise, do: Values | None = None) -> dict[str, Float[np.ndarray, " batch"]]:
    """All variables of the noise's law, those of `do` set: its effects reach their descendants."""
    equations = LAWS[noise.law]
    values = _Settled(do or {})
    equations(noise, values)
    return values


class _Settled(dict[str, Any]):
    """Variables as they are computed; one that is done takes its value instead of its equation's."""

    def __init__(self, do: Values) -> None:
        super().__init__()
        self.do = do

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        super().__setitem__(name, self.do.get(name, value))


def _independent(noise: Noise, value: _Settled) -> None:
    """Uniform areas; each plaque is there in `PREVALENCE` of the images."""
    scalars = noise.scalars
    lumen = THIRD * healthy(noise)
    plaque = np.where(scalars.present < PREVALENCE, LEAST + (MOST - LEAST) * scalars.amount, 0.0)
    for r, region in enumerate(REGIONS):
        value[f"lumen@{region}"] = lumen[:, r]
        for t, kind in enumerate(PLAQUES):
            value[f"{kind}@{region}"] = plaque[:, t, r]


def _coupled(noise: Noise, value: _Settled) -> None:
    """The structural equations in the module's head."""
    scalars = noise.scalars
    value["age"] = 60 + 10 * ndtri(scalars.age)
    value["burden"] = ndtri(scalars.burden)
    for r, region in enumerate(REGIONS):
        before = upstream(region)
        for t, kind in enumerate(PLAQUES):
            score = 0.6 + 0.04 * (value["age"] - 60) + 0.6 * value["burden"] + 0.9 * ndtri(scalars.amount[:, t, r])
            if before is not None:
                score = score + 0.12 * value[f"{kind}@{before}"]
            value[f"{kind}@{region}"] = 12 * -np.expm1(-np.maximum(score, 0) / 3)
        plaque = sum(value[f"{kind}@{region}"] for kind in PLAQUES)
        value[f"lumen@{region}"] = THIRD * healthy(noise)[:, r] * np.exp(-0.016 * plaque)


LAWS: dict[str, Callable[[Noise, _Settled], None]] = {"independent": _independent, "coupled": _coupled}


def as_matrix(values: Values, names: Sequence[str]) -> Float[np.ndarray, "batch variable"]:
    """Columns in the order of `names`."""
    return np.stack([values[name] for name in names], axis=1)
