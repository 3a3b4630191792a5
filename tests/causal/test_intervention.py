import contextlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segue.causal.intervention import Intervention, parse, position
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
    ("20%", "percent", 20.0),
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
    assert parse("age", request_) == Intervention(kind, amount)


@pytest.mark.parametrize("request_", REJECTED)
def test_rejected_with_one_line_that_says_what_to_give(request_):
    with pytest.raises(InputError, match=r"do\(lumen@mid = .*value .*change .*quantile") as caught:
        parse("lumen@mid", request_)
    assert "\n" not in str(caught.value)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "%", "sd"]))
def test_every_finite_number_survives(amount, suffix):
    assert parse("v", f"{amount!r}{suffix}").amount == amount


@given(st.text(max_size=12))
def test_text_is_read_or_refused(text):
    with contextlib.suppress(InputError):
        assert math.isfinite(parse("v", text).amount)


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
        found = parse("v", request).apply(factual, sd=torch.tensor(2.0), marginal=marginal)
        torch.testing.assert_close(found, torch.tensor(values, dtype=torch.float32))


def test_position_names_the_nearest():
    names = ("lumen@proximal", "lumen@mid", "plaque@mid", "age")
    assert [position(name, names) for name in names] == [0, 1, 2, 3]
    with pytest.raises(InputError, match=r"'lumen@mdi'.*lumen@mid"):
        position("lumen@mdi", names)
    with pytest.raises(InputError, match="age"):  # nothing near: all are listed
        position("####", names)
