"""YAML 1.2 in studies, ablations and plans alike."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_study import CHEST, write_study

from segue.errors import InputError
from segue.generation.plan import read_plan
from segue.study.derived import to_yaml
from segue.study.read import load_study
from segue.yaml_text import dump_yaml, load_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("-08", -8),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("yes", "yes"),
        ("off", "off"),
        ("TRUE", True),
        ("~", None),
        ("'010'", "010"),
    ],
)
def test_values_are_those_of_the_core_schema(text, value):
    found = load_yaml(f"a: {text}")["a"]
    assert found == value and type(found) is type(value)


def test_keys_are_text_as_they_are_written():
    assert list(load_yaml("{no: 1, 01: 2, 1: 3, true: 4, ~: 5}")) == ["no", "01", "1", "true", "~"]


def test_a_merged_mapping_gives_way_to_what_is_written():
    assert load_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  'c': 2", "line 4: c is given already in line 3"),
        ("[a]: 1", "line 1: a key is a sequence"),
        ("a: [", "not a YAML file"),
        ("a: &a [*a]", "recursive"),
        ("a: !!python/name:os.system ''", "could not determine a constructor"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_yaml(tmp_path / "a.yaml")
    assert "a.yaml" in str(error.value) and "\n" not in str(error.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(trees)
def test_what_is_written_is_read_back(tree):
    assert load_yaml(dump_yaml(tree)) == tree


def test_a_study_may_call_a_structure_no_and_a_region_on(tmp_path):
    text = CHEST.format(folder="somewhere").replace("right_lung", "no").replace("left_lung", "010")
    text = text.replace("lower", "off").replace("upper", "on")
    study = load_study(write_study(tmp_path, text))
    assert study.cohort.structures == {"010": 1, "no": 2, "heart": 3}
    assert study.partitions["zones"]["regions"] == ("on", "off")
    (tmp_path / "again.yaml").write_text(to_yaml(study))
    assert load_study(tmp_path / "again.yaml") == study
    options = ["--cohort.structures", "{010: 1, no: 2, heart: 010}"]
    assert load_study(write_study(tmp_path, text), options).cohort.structures["heart"] == 10


@pytest.mark.parametrize(("old", "new"), [("[32, 32]", "[32, 32]\n  size: [16, 16]"), ("seed", "seed")])
def test_a_key_given_twice_is_refused_in_a_study(tmp_path, old, new):
    text = CHEST.format(folder="somewhere").replace(old, new)
    text = text if old != new else text + "name: other\n"
    with pytest.raises(InputError, match=r"study\.yaml: line \d+: \w+ is given already in line \d+; keep one"):
        load_study(write_study(tmp_path, text))


def test_a_key_given_twice_is_refused_in_a_plan(tmp_path):
    (tmp_path / "plan.yaml").write_text("interventions:\n- heart@whole: +1sd\n  heart@whole: -1sd\n")
    with pytest.raises(InputError, match=r"plan\.yaml: line 3: heart@whole is given already in line 2"):
        read_plan(tmp_path / "plan.yaml", ("heart@whole",))
