"""Every number of a study has bounds, and what is beyond them is refused before anything is made of it."""

import dataclasses
import inspect
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.anatomy.partition import PARTITIONS
from segue.baselines import BASELINES
from segue.bounds import LONGEST_NAME, bound_of, check_bounds
from segue.errors import InputError
from segue.study.read import load_study
from segue.study.schema import Study

STUDY = Path("studies/coronary-phantom.yaml")


def numbers_in(hint) -> bool:
    """Whether a type holds an int or a float."""
    return hint in (int, float) or any(numbers_in(one) for one in typing.get_args(hint))


def numeric_paths(kind, path=()):
    """The paths of all numbers in a dataclass; "x" stands for a name of the user's."""
    for name, hint in typing.get_type_hints(kind).items():
        inner = [one for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one)]
        named = ("x",) if typing.get_origin(hint) is dict else ()
        for one in inner:
            yield from numeric_paths(one, (*path, name, *named))
        if not inner and numbers_in(hint):
            yield (*path, name, *named)


def test_every_number_of_a_study_has_bounds():
    paths = list(numeric_paths(Study))
    assert len(paths) > 80
    assert [".".join(path) for path in paths if bound_of(path) is None] == []


@pytest.mark.parametrize("registry", [PARTITIONS, BASELINES], ids=["partitions", "baselines"])
def test_every_number_of_a_partition_or_a_baseline_has_bounds(registry):
    for kind, build in registry.items():
        hints = {name: one.annotation for name, one in inspect.signature(build).parameters.items() if name != "parts"}
        for name, hint in hints.items():
            assert not numbers_in(hint) or bound_of(("partitions", kind, name)) is not None, (kind, name)


HOSTILE = [
    ("--hvae.depths", "[1, 1000000]"),
    ("--hvae.widths", "[1000000000, 8]"),
    ("--hvae.widths", str([8] * 1000)),
    ("--hvae.latent", "1000000000000"),
    ("--hvae.budget.lr", ".nan"),
    ("--hvae.budget.lr", "1e30"),
    ("--hvae.budget.steps", "1" + "0" * 60),
    ("--cohort.size", "[100000, 100000]"),
    ("--cohort.size", "[4096, 4096, 4096]"),
    ("--cohort.intensity", "[.nan, 1]"),
    ("--cohort.intensity", "[-.inf, 1]"),
    ("--cohort.phantom.images", "1000000000000"),
    ("--finetune.variants.segue.corrections", "1000000000"),
    ("--finetune.variants.segue.blur", "1e30"),
    ("--finetune.clip", ".inf"),
    ("--evaluate.bootstrap", "1000000000"),
    ("--evaluate.particles", "1000000000"),
    ("--evaluate.images", "-1"),
    ("--deformation.squarings", "1000000"),
    ("--partitions.thirds.softness", "1e30"),
    ("--partitions.thirds.axis", "1000000000"),
    ("--segmentor.width", "8000000"),
    ("--segmentor.augment.blur", "1e9"),
]


@pytest.mark.parametrize(("option", "value"), HOSTILE, ids=[f"{a}={b[:12]}" for a, b in HOSTILE])
def test_a_number_beyond_its_bounds_is_refused(option, value):
    with pytest.raises(InputError) as caught:
        load_study(STUDY, [option, value])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert option.rpartition(".")[2] in str(caught.value)


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=120), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_tree_is_taken_or_refused_in_one_line(content):
    try:
        check_bounds({"size": content}, "model.json")
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 400


def test_names_are_short_and_printable():
    check_bounds({"structures": {"Größe (mm)": 1, "x" * LONGEST_NAME: 2}, "regions": ["left lung"]}, "study.yaml")
    for name in ("x" * 300, "two\nlines", "bell\a", "\x1b[31m", "\u202egnp.exe"):
        for content in ({"structures": {name: 1}}, {"regions": [name]}, {"a": {name: {"b": "c"}}}):
            with pytest.raises(InputError, match="is no name"):
                check_bounds(content, "study.yaml")
