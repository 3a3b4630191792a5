"""A request, and the one function that turns requests into pa*, the parents of the counterfactual image.

A variable is set to a value, changed by percent or by standard deviations, or set to a quantile of its training values.
Under a causal graph the effects of a request follow along the graph, unless they are held.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import measurement_of
from segue.causal.scm import SCM
from segue.errors import InputError, nearest
from segue.text import shortened

__all__ = ["Do", "Intervention", "ParentSpace", "Request", "known_variable", "resolve", "unbounded"]

Do = Mapping[str, float | int | str]
"""By variable, what it is set to: 4.2, "+20%", "-1.5sd" or "q0.9"."""

NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
"""No digit can be matched in two ways: the time grows with the length of a text, not with its square."""
LONGEST_REQUEST = 64  # characters
PATTERNS: dict[Literal["value", "percent", "sd", "quantile"], re.Pattern[str]] = {
    "percent": re.compile(rf"^{NUMBER}\s*%$"),
    "sd": re.compile(rf"^{NUMBER}\s*sd$"),
    "quantile": re.compile(rf"^q\s*{NUMBER}$"),
    "value": re.compile(rf"^{NUMBER}$"),
}


@dataclass(frozen=True)
class Request:
    """do(variable = ...), and what follows from it.

    Attributes:
        do: by variable, a value, a change or a quantile. Empty: the null request.
        propagate: whether effects follow along the graph (the total effect). False: all other variables stay at their
            factual values (the direct effect on the image).
        hold: descendants that stay at their factual values although others follow.

    >>> Request({"lumen@mid": "+20%"}, hold=("age",)).do
    {'lumen@mid': '+20%'}
    """

    do: Do = field(default_factory=dict)
    propagate: bool = True
    hold: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
        """Requests of one kind set the same variables and hold the same: they go along the graph as one batch."""
        return tuple(sorted(self.do)), self.propagate, self.hold


@dataclass(frozen=True)
class Intervention:
    """One variable's part of a request: `amount` is in the variable's unit, in percent or sd of change, or a level.

    >>> Intervention.parse("age", "+20%")
    Intervention(kind='percent', amount=20.0)
    """

    kind: Literal["value", "percent", "sd", "quantile"]
    amount: float

    @classmethod
    def parse(cls, name: str, text: float | int | str) -> "Intervention":
        """Read `4.2` (absolute, in the variable's unit), `"+20%"`, `"-1.5sd"`, or `"q0.9"` (a quantile).

        Of a measurement that is a share, such as `stenosis`, a percentage without a sign is the value: `"70%"` is 0.7.

        Raises:
            InputError: it is none of these, or not finite; or a percentage without a sign, which may be meant as the
                change or as what is left.
        """
        written = request_text(text)
        for kind, pattern in PATTERNS.items():
            if found := pattern.match(written):
                amount = float(found.group(1))
                signed = found.group(1)[0] in "+-"
                if kind == "percent" and not signed and "@" in name and measurement_of(name).dimension == "share":
                    kind, amount = "value", amount / 100
                if kind == "percent" and amount and math.isfinite(amount) and not signed:
                    given = f"a change ('+{amount:g}%'), or what is left ('{amount - 100:+g}%')"
                    raise InputError(f"do({shortened(name)} = {written!r}): which is meant? give {given}")
                if math.isfinite(amount) and (kind != "quantile" or 0 <= amount <= 1):
                    return cls(kind, amount)
        asked = f"do({shortened(name)} = {shortened(written)!r})"
        raise InputError(f"{asked}: give a value (4.2), a change ('+20%', '-1.5sd') or a quantile ('q0.9', 0 to 1)")

    def apply(
        self, factual: Float[Tensor, " batch"], *, sd: Float[Tensor, ""], marginal: Float[Tensor, " sample"]
    ) -> Float[Tensor, " batch"]:
        """The requested values, from the factual ones, the training sd and the training values.

        A value beyond the largest number of the images' type is infinite; `ParentSpace.asked` refuses it.
        """
        if self.kind == "percent":
            return factual * (1 + self.amount / 100)
        if self.kind == "sd":
            return factual + self.amount * sd
        if self.kind == "quantile":
            return marginal.quantile(self.amount).expand_as(factual)
        return torch.full_like(factual, self.amount, dtype=torch.float64).to(factual)


@dataclass(frozen=True)
class ParentSpace:
    """The image's parents as requests see them.

    Attributes:
        names: of all variables, the measured ones first, then covariates.
        measured: how many are measured on the image (areas, which are never negative, and other measurements).
        sd: in training. marginal: training values, sorted by variable.
        scm: the causal model of the variables; None where the study has no graph.
        correlation: of the training values in rank space (see `segue.causal.support`); None where it is not known.

    >>> space = ParentSpace(("a@x", "age"), 1, torch.ones(2), torch.tensor([[1.0, 40.0], [3.0, 60.0]]))
    >>> space.training_range("age")
    (40.0, 60.0)
    """

    names: tuple[str, ...]
    measured: int
    sd: Float[Tensor, " variable"]
    marginal: Float[Tensor, "sample variable"]
    scm: SCM | None = None
    correlation: Float[Tensor, "variable variable"] | None = None

    @cached_property
    def least(self) -> Float[Tensor, " variable"]:
        """The smallest value that each variable can have; -inf of covariates."""
        known = [measurement_of(name).least for name in self.areas]
        return torch.tensor([*known, *[-math.inf] * len(self.covariates)])

    @property
    def areas(self) -> tuple[str, ...]:
        """The measured variables."""
        return self.names[: self.measured]

    @property
    def covariates(self) -> tuple[str, ...]:
        """The variables that are given with the image."""
        return self.names[self.measured :]

    def index(self, name: str) -> int:
        """The column of a variable.

        Raises:
            InputError: there is none of that name; the message gives the nearest one.
        """
        return self.names.index(known_variable(name, self.names))

    def training_range(self, name: str) -> tuple[float, float]:
        """The smallest and the largest training value."""
        column = self.marginal[:, self.index(name)]
        return float(column[0]), float(column[-1])

    def value(
        self, name: str, text: float | int | str, pa: Float[Tensor, "batch variable"]
    ) -> Float[Tensor, " batch"]:
        """The value that a request sets a variable to, of images with parents `pa`; areas are clamped at 0.

        Raises:
            InputError: unknown variable, malformed request, or a level that a categorical variable does not have.
        """
        return self.asked(name, text, pa).clamp_min(float(self.least[self.index(name)]))

    def asked(
        self, name: str, text: float | int | str, pa: Float[Tensor, "batch variable"]
    ) -> Float[Tensor, " batch"]:
        """`value` as it is written: an area may be below 0."""
        i = self.index(name)
        asked = Intervention.parse(name, text).apply(pa[:, i], sd=self.sd[i], marginal=self.marginal[:, i])
        check_finite(name, asked, f"{text} is beyond the numbers that can be computed with; ask for less")
        self.check_level(name, asked)
        return asked

    def check_level(self, name: str, values: Tensor) -> None:
        """Refuse a value that a categorical variable does not have."""
        if self.scm is not None:
            self.scm.check(name, values)

    def follow(
        self, pa: Float[Tensor, "batch variable"], done: Mapping[str, Tensor], held: Collection[str]
    ) -> Float[Tensor, "batch variable"]:
        """The parents once `done` is set and its effects have followed along the graph, except on those `held`."""
        if self.scm is None:
            found = pa.clone()
            for name, value in done.items():
                found[:, self.index(name)] = value
            return found
        found = self.scm.counterfactual(pa, done, hold=held)
        for name, column in zip(self.names, found.unbind(1), strict=True):
            check_finite(name, column, f"what follows from do({', '.join(done)}) is no number; ask for less")
        return found

    def bounded(self, pa: Float[Tensor, "batch variable"]) -> Float[Tensor, "batch variable"]:
        """Areas clamped at 0, and other measurements at the smallest value that they can have."""
        return pa.maximum(self.least.to(pa))


def resolve(
    requests: Sequence[Request], pa: Float[Tensor, "row variable"], space: ParentSpace
) -> Float[Tensor, "row variable"]:
    """pa* of each row under its own request.

    Raises:
        InputError: an unknown variable, a malformed or impossible request, or a variable both done and held.

    >>> space = ParentSpace(("a@x", "a@y"), 2, torch.ones(2), torch.rand(9, 2).sort(0).values)
    >>> resolve([Request({"a@y": "+50%"})], torch.tensor([[2.0, 4.0]]), space)
    tensor([[2., 6.]])
    """
    return space.bounded(unbounded(requests, pa, space))


def unbounded(
    requests: Sequence[Request], pa: Float[Tensor, "row variable"], space: ParentSpace
) -> Float[Tensor, "row variable"]:
    """`resolve` before areas are clamped at 0. What follows from a request follows from the clamped value.

    This is the only place that knows names, units, quantiles and the graph.

    >>> space = ParentSpace(("a@x", "a@y"), 2, torch.ones(2), torch.rand(9, 2).sort(0).values)
    >>> unbounded([Request({"a@y": "-5sd"})], torch.tensor([[2.0, 4.0]]), space)
    tensor([[ 2., -1.]])
    """
    for request in requests:
        check_request(request, space.names)
    pa_star, alike = pa.clone(), dict[object, list[int]]()
    for row, request in enumerate(requests):
        alike.setdefault(request.kind, []).append(row)
    for rows in alike.values():
        first = requests[rows[0]]
        done = {name: torch.cat([space.value(name, requests[row].do[name], pa[row, None]) for row in rows])
                for name in sorted(first.do)}  # fmt: skip
        held = first.hold if first.propagate else [name for name in space.names if name not in first.do]
        pa_star[rows] = space.follow(pa[rows], done, held)
        for name in done:
            asked = [space.asked(name, requests[row].do[name], pa[row, None]) for row in rows]
            pa_star[rows, space.index(name)] = torch.cat(asked)
    return pa_star


def request_text(given: float | int | str) -> str:
    """A request as text; one that is too long to be a request is cut, and then none.

    >>> request_text(" +20% "), request_text(10**5000), len(request_text("1" * 20_000))
    ('+20%', 'inf', 65)
    """
    if isinstance(given, int) and given.bit_length() > 1024:
        return "inf"  # Python refuses to write it out
    text = str(given).strip()
    return text if len(text) <= LONGEST_REQUEST else text[:LONGEST_REQUEST] + "…"


def check_finite(name: str, values: Tensor, mend: str) -> None:
    """Refuse values that are not finite; `mend` says what they are of, and what to do."""
    if not bool(values.isfinite().all()):
        raise InputError(f"{name}: {mend}")


def check_request(request: Request, names: tuple[str, ...]) -> None:
    """Refuse unknown variables, malformed values, and variables that are both done and held.

    Raises:
        InputError: one line that names the variable and the mend.
    """
    for name, text in request.do.items():
        known_variable(name, names)
        Intervention.parse(name, text)
    for name in request.hold:
        known_variable(name, names)
        if name in request.do:
            raise InputError(f"{name} is both done and held; take it out of one")


def known_variable(name: str, names: Sequence[str]) -> str:
    """`name`, if it is a variable.

    Raises:
        InputError: it is not; the message gives the nearest one.

    >>> known_variable("lumen@mdi", ["lumen@mid", "age"])
    Traceback (most recent call last):
    segue.errors.InputError: unknown variable 'lumen@mdi'; did you mean lumen@mid?
    """
    if name in names:
        return name
    known = shortened(name)
    raise InputError(f"unknown variable {known!r}{nearest(known, names)}")
