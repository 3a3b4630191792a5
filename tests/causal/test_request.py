import contextlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.causal.request import PATTERNS, Intervention, ParentSpace, Request, known_variable, resolve
from segue.causal.scm import SCM
from segue.errors import InputError

ACCEPTED = [
    # (request, kind, amount)
    (4.2, "value", 4.2),
    (4, "value", 4.0),
    (-1e-7, "value", -1e-7),
    ("4.2", "value", 4.2),
    (" +.5 ", "value", 0.5),
    ("3.", "value", 3.0),
    ("1e3", "value", 1000.0),
    ("+20%", "percent", 20.0),
    ("-20 %", "percent", -20.0),
    ("0%", "percent", 0.0),
    ("+20 %", "percent", 20.0),
    ("-1.5sd", "sd", -1.5),
    ("2 sd", "sd", 2.0),
    ("1e-1sd", "sd", 0.1),
    ("q0.9", "quantile", 0.9),
    ("q 1", "quantile", 1.0),
    ("q0", "quantile", 0.0),
]
REJECTED = [
    "", "%", "sd", "q", "much", "1,5", "4.2 mm2", "--3", "+-3", "1.5SD", "20%%", "q1.1", "q-0.1", "q50%", "0.9q",
    "1e400", "1e400%", "nan", "inf", "-inf", "2sd 3", "1 2", "0x10", "1_000", True,
    math.nan, math.inf, -math.inf, 10**400,
]  # fmt: skip


@pytest.mark.parametrize(("request_", "kind", "amount"), ACCEPTED)
def test_accepted(request_, kind, amount):
    assert Intervention.parse("age", request_) == Intervention(kind, amount)


@pytest.mark.parametrize("request_", REJECTED)
def test_rejected_with_one_line_that_says_what_to_give(request_):
    with pytest.raises(InputError, match=r"do\(lumen@mid = .*value .*change .*quantile") as caught:
        Intervention.parse("lumen@mid", request_)
    assert "\n" not in str(caught.value)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "%", "sd"]))
def test_every_finite_number_survives(amount, suffix):
    sign = "+" if amount > 0 and suffix else ""
    assert Intervention.parse("v", f"{sign}{amount!r}{suffix}").amount == amount


@pytest.mark.parametrize("text", ["20%", "20 %", " 20.0% "])
def test_a_percentage_without_a_sign_is_refused_with_both_meanings(text):
    with pytest.raises(InputError, match=r"which is meant\? give a change \('\+20%'\), or what is left \('-80%'\)"):
        Intervention.parse("lumen@mid", text)


@given(st.text(max_size=12))
def test_text_is_read_or_refused(text):
    with contextlib.suppress(InputError):
        assert math.isfinite(Intervention.parse("v", text).amount)


def test_apply():
    factual = torch.tensor([10.0, 0.0, -4.0])
    marginal = torch.tensor([0.0, 1.0, 2.0, 3.0, 8.0])
    expected = {
        "7": [7, 7, 7],
        "+20%": [12, 0, -4.8],
        "-100%": [0, 0, 0],
        "-1.5sd": [7, -3, -7],
        "q0.5": [2, 2, 2],
        "q0.9": [float(np.quantile(marginal.numpy(), 0.9))] * 3,
    }
    for request, values in expected.items():
        found = Intervention.parse("v", request).apply(factual, sd=torch.tensor(2.0), marginal=marginal)
        torch.testing.assert_close(found, torch.tensor(values, dtype=torch.float32))


def test_an_unknown_variable_is_refused_with_the_nearest():
    names = ("lumen@proximal", "lumen@mid", "plaque@mid", "age")
    assert [known_variable(name, names) for name in names] == list(names)
    with pytest.raises(InputError, match=r"'lumen@mdi'.*lumen@mid"):
        known_variable("lumen@mdi", names)
    with pytest.raises(InputError, match="age"):  # nothing near: all are listed
        known_variable("####", names)


# ---- requests to pa* ---------------------------------------------------------------------------------------------

NAMES = ("lumen@mid", "plaque@mid", "age", "sex")
MARGINAL = torch.stack([torch.linspace(0, 10, 11), torch.linspace(0, 5, 11), torch.linspace(40, 80, 11),
                        (torch.arange(11) > 5).float()], dim=1)  # fmt: skip
PA = torch.tensor([[4.0, 1.0, 60.0, 0.0], [8.0, 2.0, 50.0, 1.0]])


def space(graph: bool = False) -> ParentSpace:
    kinds = {name: {"kind": "continuous"} for name in NAMES[:3]}
    kinds["sex"] = {"kind": "categorical", "levels": [0.0, 1.0]}
    torch.manual_seed(0)
    scm = SCM(names=NAMES, graph={"lumen@mid": ["plaque@mid", "sex"]}, kinds=kinds, hidden=[4], bins=0)
    for i, name in enumerate(NAMES):
        scm.mechanism(name).adapt(MARGINAL[:, i])
    return ParentSpace(NAMES, 2, torch.tensor([2.0, 1.0, 8.0, 0.5]), MARGINAL, scm if graph else None)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ({}, [4.0, 1.0, 60.0, 0.0]),
        ({"lumen@mid": 3}, [3.0, 1.0, 60.0, 0.0]),
        ({"lumen@mid": "+50%", "age": "-1sd"}, [6.0, 1.0, 52.0, 0.0]),
        ({"plaque@mid": "q0.5"}, [4.0, 2.5, 60.0, 0.0]),
        ({"plaque@mid": "-9sd", "age": -3}, [4.0, 0.0, -3.0, 0.0]),  # areas are clamped at 0, covariates are not
    ],
)
def test_a_request_sets_its_variables_and_no_others(do, expected):
    assert resolve([Request(do)], PA[:1], space())[0].tolist() == pytest.approx(expected)


def test_rows_have_requests_of_their_own():
    found = resolve([Request({"age": "+10%"}), Request({"lumen@mid": "+1sd"})], PA, space())
    assert found[0].tolist() == pytest.approx([4.0, 1.0, 66.0, 0.0]) and found[1].tolist() == [10.0, 2.0, 50.0, 1.0]
    assert PA[0, 2] == 60


def test_effects_follow_the_graph_unless_they_are_held():
    known = space(graph=True)
    do = {"plaque@mid": "+2sd"}
    followed, direct, held = (
        resolve([request], PA[:1], known)[0]
        for request in (Request(do), Request(do, propagate=False), Request(do, hold=("lumen@mid",)))
    )
    assert followed[0] != 4 and direct.tolist() == held.tolist() == [4.0, 3.0, 60.0, 0.0]
    assert followed[1:].tolist() == direct[1:].tolist()
    assert resolve([Request()], PA, known).equal(PA)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request({"lumen@mdi": 3}), "lumen@mid"),
        (Request({"lumen@mid": "lots"}), "give a value"),
        (Request({"lumen@mid": math.nan}), "give a value"),
        (Request({"age": "q1.5"}), "give a value"),
        (Request({"sex": 7}), "categorical; choose from 0, 1"),
        (Request({"age": 60}, hold=("age",)), "both done and held"),
        (Request({"age": 60}, hold=("ages",)), "unknown variable 'ages'"),
        (Request({"age": 60}, propagate=False, hold=("age",)), "both done and held"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(request_, message):
    with pytest.raises(InputError, match=message) as caught:
        resolve([Request(), request_], PA, space(graph=True))
    assert "\n" not in str(caught.value)


HUGE = ["1e39", "-1e39", "1e300", "+1e300sd", "-1e300sd", "+1e300%", 1e39, 1e308]


@pytest.mark.parametrize("text", HUGE)
def test_a_value_beyond_single_precision_is_refused(text):
    space = ParentSpace(("a@x", "age"), 1, torch.ones(2), torch.rand(9, 2).sort(0).values)
    for name in space.names:
        with pytest.raises(InputError, match=rf"{name}: .*beyond the numbers that can be computed with; ask for less"):
            resolve([Request({name: text})], torch.tensor([[2.0, 4.0]]), space)


LONG = ["1" * 20_000 + "x", "1" * 20_000, "+" * 20_000, "1" + " " * 20_000 + "1", 10**5000]


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_a_long_request_is_refused_at_once_and_in_few_words(text):
    with pytest.raises(InputError) as caught:
        Intervention.parse("v" * 5000, text)
    assert len(str(caught.value)) < 400


def test_the_pattern_of_a_number_matches_each_digit_in_one_way():
    digits = "1" * 3000
    for text in (f"{digits}x", f"{digits}.{digits}x", f"q{digits}e", f"1e{digits}x"):
        for pattern in PATTERNS.values():  # a second way would take seconds
            assert pattern.match(text) is None


class Broken(SCM):
    """A causal model whose numbers are damaged."""

    def counterfactual(self, factual, do, *, hold=(), generator=None):
        return torch.full_like(factual, math.nan)


def test_what_follows_from_a_request_is_finite():
    kinds = {name: {"kind": "continuous"} for name in ("a@x", "age")}
    broken = Broken(names=["a@x", "age"], graph={"a@x": ["age"]}, kinds=kinds)
    space = ParentSpace(("a@x", "age"), 1, torch.ones(2), torch.rand(9, 2).sort(0).values, scm=broken)
    with pytest.raises(InputError, match=r"a@x: what follows from do\(age\) is no number; ask for less"):
        resolve([Request({"age": 50})], torch.tensor([[2.0, 4.0]]), space)
