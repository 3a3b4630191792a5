"""The structural equations: exogenous noise -> age, burden, and nine areas in mm2. Three laws over the same noise.

`independent`, as in the papers: nine independent areas. `stenosed`: the same, but the middle third is narrowed by up to
2.5 mm in place of 0.5 mm, and its area is less by what the narrowing takes. `coupled`: age and burden increase plaque,
plaque in one third increases plaque in the next, and plaque narrows the lumen. A law is a table of structural equations
(`LAWS`). Its graph, its solution under any intervention, and the equations in docs/phantom.md are derived from it.

In the coupled law, plaque is zero-inflated: about a quarter of the thirds have none. A square millimetre of plaque
takes 1.6% of the lumen, about half a square millimetre; the vessel remodels outwards for the rest (Glagov et al., N
Engl J Med 1987;316:1371). The coefficients are our choice. Every equation can be solved for its noise, except that of
an absent plaque.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from segue.phantom.noise import PLAQUES, REGIONS, SPREAD, THIRD, Law, Noise

STRUCTURES = ("lumen", *PLAQUES)
VARIABLES = tuple(f"{structure}@{region}" for structure in STRUCTURES for region in REGIONS)
COVARIATES = ("age", "burden")

# mm: calibres go from 2.6-4.2 through 2.1-3.4 to 1.6-2.7, the taper of a whole artery put into 36 mm. A normal LAD goes
# from 3.7 +- 0.4 to 1.9 +- 0.4 mm (Dodge et al., Circulation 1992;86:232).
NARROW, WIDE = np.array([2.6, 2.1, 1.6]), np.array([4.2, 3.4, 2.7])
PREVALENCE = 0.75
PLAQUE_MIN, PLAQUE_MAX = np.array([[1.5], [2.0]]), np.array([[8.0], [9.0]])  # mm2 by type, where plaque is present

Value = Float[np.ndarray, " batch"]
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Equation:
    """One variable: its parents, the function of their values and of the noise, and that function for readers.

    In `formula`, n is standard normal, u uniform, and c uniform between the calibres of the third, mm.
    """

    name: str
    parents: tuple[str, ...]
    value: Callable[[Values, Noise], Value]
    formula: str


def upstream(region: str) -> str | None:
    """The third before this one."""
    place = REGIONS.index(region)
    return REGIONS[place - 1] if place else None


def areas(noise: Noise) -> Float[np.ndarray, "batch variable"]:
    """The nine areas, mm2, in the order of `VARIABLES`.

    >>> from segue.phantom import draw
    >>> areas(draw(2, seed=0)).shape
    (2, 9)
    """
    return as_matrix(solve(noise), VARIABLES)


def healthy(noise: Noise) -> Float[np.ndarray, "batch 3"]:
    """The calibre of each third of the lumen before any plaque narrows it, mm."""
    return NARROW + (WIDE - NARROW) * noise.scalars.calibre


def solve(noise: Noise, do: Values | None = None) -> dict[str, Value]:
    """All variables of the noise's law, those of `do` set, and their descendants recomputed.

    >>> from segue.phantom import draw
    >>> noise = draw(1, seed=0, law="coupled")
    >>> older = solve(noise, {"age": np.array([90.0])})
    >>> float(older["age"][0]), bool(older["lumen@mid"][0] < solve(noise)["lumen@mid"][0])
    (90.0, True)
    """
    done: Values = do or {}
    values: dict[str, Value] = {}
    for equation in LAWS[noise.law]:
        name = equation.name
        values[name] = done[name] if name in done else equation.value(values, noise)
    return values


# ---- independent -------------------------------------------------------------------------------------------------


def _free_lumen(r: int, region: str) -> Equation:
    """Uniform."""
    return Equation(f"lumen@{region}", (), lambda _, noise: (THIRD * healthy(noise))[:, r], "12 c")


def _free_plaque(t: int, kind: str, r: int, region: str) -> Equation:
    """Present in `PREVALENCE` of the images, and uniform there."""

    def value(_: Values, noise: Noise) -> Value:
        amount = PLAQUE_MIN + (PLAQUE_MAX - PLAQUE_MIN) * noise.scalars.amount
        return np.where(noise.scalars.present < PREVALENCE, amount, 0.0)[:, t, r]

    least, most = PLAQUE_MIN[t, 0], PLAQUE_MAX[t, 0]
    formula = f"{least} + {most - least} u with probability {PREVALENCE}, else 0"
    return Equation(f"{kind}@{region}", (), value, formula)


# ---- stenosed ----------------------------------------------------------------------------------------------------


def _narrowed_lumen(r: int, region: str) -> Equation:
    """Uniform, less what the third's narrowing takes: a Gaussian of `SPREAD` along the vessel."""

    def value(_: Values, noise: Noise) -> Value:
        return (THIRD * healthy(noise) - SPREAD * np.sqrt(2 * np.pi) * noise.stenosis)[:, r]

    return Equation(f"lumen@{region}", (), value, "12 c - 5.01 d, with d the depth of the narrowing, mm")


# ---- coupled -----------------------------------------------------------------------------------------------------


def _plaque(t: int, kind: str, r: int, region: str) -> Equation:
    """A score of age, burden, the plaque upstream and its own noise; its positive part, saturating at 12 mm2."""
    before = upstream(region)
    above = () if before is None else (f"{kind}@{before}",)

    def value(values: Values, noise: Noise) -> Value:
        score = 0.6 + 0.04 * (values["age"] - 60) + 0.6 * values["burden"]
        score = score + 0.9 * ndtri(noise.scalars.amount[:, t, r])
        for name in above:
            score = score + 0.12 * values[name]
        return 12 * -np.expm1(-np.maximum(score, 0) / 3)

    more = "".join(f" + 0.12 {name}" for name in above)
    formula = f"12 (1 - exp(-max(s, 0) / 3)), s = 0.6 + 0.04 (age - 60) + 0.6 burden{more} + 0.9 n"
    return Equation(f"{kind}@{region}", ("age", "burden", *above), value, formula)


def _lumen(r: int, region: str) -> Equation:
    """A healthy calibre, narrowed by plaque."""
    plaques = tuple(f"{kind}@{region}" for kind in PLAQUES)

    def value(values: Values, noise: Noise) -> Value:
        return THIRD * healthy(noise)[:, r] * np.exp(-0.016 * sum(values[name] for name in plaques))

    return Equation(f"lumen@{region}", plaques, value, f"12 c exp(-0.016 ({' + '.join(plaques)}))")


LAWS: dict[Law, tuple[Equation, ...]] = {
    "independent": tuple(
        equation
        for r, region in enumerate(REGIONS)
        for equation in (_free_lumen(r, region), *(_free_plaque(t, kind, r, region) for t, kind in enumerate(PLAQUES)))
    ),
    "stenosed": tuple(
        equation
        for r, region in enumerate(REGIONS)
        for equation in (
            _narrowed_lumen(r, region),
            *(_free_plaque(t, kind, r, region) for t, kind in enumerate(PLAQUES)),
        )
    ),
    "coupled": (
        Equation("age", (), lambda _, noise: 60 + 10 * ndtri(noise.scalars.age), "60 + 10 n (years)"),
        Equation("burden", (), lambda _, noise: ndtri(noise.scalars.burden), "n (genes and habits, in sd)"),
        *(
            equation
            for r, region in enumerate(REGIONS)
            for equation in (*(_plaque(t, kind, r, region) for t, kind in enumerate(PLAQUES)), _lumen(r, region))
        ),
    ),
}
"""The equations of each law, causes before effects."""

EDGES = tuple((parent, equation.name) for equation in LAWS["coupled"] for parent in equation.parents)
"""The coupled law's graph: (cause, effect)."""


def as_matrix(values: Values, names: Sequence[str]) -> Float[np.ndarray, "batch variable"]:
    """Columns in the order of `names`."""
    return np.stack([values[name] for name in names], axis=1)
