"""Plans: what each form asks of an image, and that whatever is wrong is named."""

import itertools
import re
from pathlib import Path

import pytest
import yaml

from segue.errors import InputError
from segue.generation.plan import Plan, TableRequests, read_plan
from segue.phantom import STRUCTURES

NAMES = ("lumen@proximal", "lumen@mid", "lumen@distal", "plaque@mid", "age")


def read(tmp_path, text: str) -> Plan:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    return read_plan(path, NAMES)


def asked(tmp_path, text: str, id: str = "a") -> list[dict[str, str]]:
    return [dict(do) for do in read(tmp_path, text).requests.of(id)]


def test_a_list_is_asked_of_every_image(tmp_path):
    text = "interventions: [{lumen@mid: +50%}, {lumen@mid: 4.2, lumen@distal: -1sd}, {}]"
    expected = [{"lumen@mid": "+50%"}, {"lumen@mid": "4.2", "lumen@distal": "-1sd"}, {}]
    assert asked(tmp_path, text) == asked(tmp_path, text, "b") == expected


def test_a_grid_is_all_combinations(tmp_path):
    found = asked(tmp_path, "grid: {lumen@mid: [-20%, +20%], plaque@mid: [q0.1, 3, q0.9]}")
    pairs = itertools.product(["-20%", "+20%"], ["q0.1", "3", "q0.9"])
    assert found == [{"lumen@mid": a, "plaque@mid": b} for a, b in pairs]


def test_each_is_one_variable_at_a_time(tmp_path):
    found = asked(tmp_path, "each: {variables: [plaque@mid, age], values: [+1sd, -1sd]}")
    assert found == [{"plaque@mid": "+1sd"}, {"plaque@mid": "-1sd"}, {"age": "+1sd"}, {"age": "-1sd"}]
    assert [list(do) for do in asked(tmp_path, "each: {values: [+1sd]}")] == [[name] for name in NAMES]


def test_a_plan_says_what_follows_and_what_is_held(tmp_path):
    assert read(tmp_path, "each: {values: [+1sd]}").propagate
    plan = read(tmp_path, "{each: {values: [+1sd]}, hold: [age, plaque@mid], propagate: true}")
    assert plan.propagate and plan.hold == ("age", "plaque@mid")
    assert not read(tmp_path, "{each: {values: [+1sd]}, propagate: false}").propagate
    for text, said in (("propagate: 1", "propagate is 1; give true or false"), ("hold: [agee]", "did you mean age")):
        with pytest.raises(InputError, match=said):
            read(tmp_path, f"{{each: {{values: [+1sd]}}, {text}}}")


def test_random_depends_on_seed_and_id_alone(tmp_path):
    text = "random: {count: 400, seed: 3, variables: [lumen@mid, plaque@mid]}"
    first = asked(tmp_path, text, "a")
    assert first == asked(tmp_path, text, "a") and len(first) == 400
    assert first != asked(tmp_path, text, "b") and first != asked(tmp_path, text.replace("3", "4"), "a")
    assert asked(tmp_path, text.replace("400", "9"), "a") == asked(tmp_path, text.replace("400", "9"), "a")
    names = [name for do in first for name in do]
    levels = [float(value.removeprefix("q")) for do in first for value in do.values()]
    assert len(names) == 400 and set(names) == {"lumen@mid", "plaque@mid"}
    # Fair draws: 400 halves lie within 5 sd (50) of 200; 400 uniforms have mean 0.5, sd 0.29 / 20.
    assert abs(names.count("lumen@mid") - 200) < 50
    assert abs(sum(levels) / 400 - 0.5) < 0.075 and 0 <= min(levels) < 0.05 and 0.95 < max(levels) <= 1


def test_a_table_asks_by_image(tmp_path):
    (tmp_path / "requests.csv").write_text("id,lumen@mid,age\n007,+20%,\n7,,61\n007,q0.5,60\n9,,\n")
    requests = read(tmp_path, "table: requests.csv").requests
    assert requests.most == 2
    assert requests.of("007") == ({"lumen@mid": "+20%"}, {"lumen@mid": "q0.5", "age": "60"})
    assert requests.of("7") == ({"age": "61"},)
    assert requests.of("9") == ({},)  # the image itself
    assert requests.of("8") == ()


@pytest.mark.parametrize(
    "text",
    [
        "interventions: [{lumen@mid: +50%}, {}]\nshard: 5",
        "grid: {lumen@mid: [1, 2.5], age: [50]}",
        "each: {values: [+1sd]}",
        "random: {count: 4}",
        "table: requests.csv",
    ],
)
def test_a_resolved_plan_is_a_plan_that_asks_the_same(tmp_path, text):
    (tmp_path / "requests.csv").write_text("id,lumen@mid\na,+20%\n")
    first = read(tmp_path, text)
    again = read(tmp_path, yaml.safe_dump(first.requests.plain() | {"shard": first.shard}))
    assert again.shard == first.shard and again.requests.most == first.requests.most
    assert list(map(dict, again.requests.of("a"))) == list(map(dict, first.requests.of("a")))
    assert isinstance(again.requests, TableRequests) == text.startswith("table")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interventions: [", "not a YAML file"),
        ("- 1", "a plan is a mapping"),
        ("intervention: []", "unknown key intervention; did you mean interventions"),
        ("shard: 3", "exactly one of interventions, grid, each, random, table"),
        ("each: {values: [1]}\nrandom: {count: 1}", "each and random"),
        ("each: {values: [1]}\nshard: 0", "shard is 0"),
        ("each: {values: [1]}\nshard: true", "shard is True"),
        ("interventions: []", "give a list of mappings"),
        ("interventions: {lumen@mid: 1}", "give a list of mappings"),
        ("interventions: [{lumen@midd: 1}]", "did you mean lumen@mid"),
        ("interventions: [{lumen@mid: more}]", "give a value"),
        ("interventions: [{lumen@mid: null}]", "give a value"),
        ("interventions: [{lumen@mid: q1.5}]", "give a value"),
        ("grid: {lumen@mid: 3}", "mapping of variables to lists"),
        ("grid: {}", "mapping of variables to lists"),
        ("grid: {lumen@mid: [1], lumin@mid: [2]}", "did you mean lumen@mid"),
        (f"grid: {{lumen@mid: {[*range(200)]}, age: {[*range(200)]}}}", "40,000 requests an image"),
        ("each: {variables: [lumen], values: [1]}", "did you mean lumen@mid"),
        ("each: {variables: every, values: [1]}", "give all, or a list"),
        ("each: {variables: all}", "values is missing"),
        ("each: {variables: all, value: [1]}", "unknown key value; did you mean values"),
        ("each: {values: +1sd}", "values: give a list"),
        ("random: {seed: 1}", "count is missing"),
        ("random: {count: 1.5}", "count is 1.5"),
        ("random: {count: 2, seed: -1}", "seed is -1"),
        ("random: 9", "give a mapping"),
        ("table: none.csv", "none.csv"),
        ("table: [a]", "give the name of a CSV file"),
        ("table: no_id.csv", "give a column id"),
        ("table: unknown.csv", "did you mean lumen@mid"),
        ("table: bad.csv", "line 3: do(lumen@mid"),
        ("table: nameless.csv", "give a column id"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, message):
    (tmp_path / "no_id.csv").write_text("name,lumen@mid\na,1\n")
    (tmp_path / "unknown.csv").write_text("id,lumen@mud\na,1\n")
    (tmp_path / "bad.csv").write_text("id,lumen@mid\na,1\nb,lots\n")
    (tmp_path / "nameless.csv").write_text("id,lumen@mid\n,1\n")
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    line = str(raised.value)
    assert message in line and "plan.yaml" in line and "\n" not in line


def test_no_plan(tmp_path):
    with pytest.raises(InputError, match="no such plan"):
        read_plan(tmp_path / "plan.yaml", NAMES)


def test_the_plans_in_the_documentation_are_plans(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "generate.md").read_text()
    plans = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    names = tuple(f"{structure}@{third}" for structure in STRUCTURES for third in ("proximal", "mid", "distal"))
    lines = text[text.index("    id,lumen@mid") :].splitlines()[:4]
    (tmp_path / "requests.csv").write_text("\n".join(line.strip() for line in lines))
    asked = []
    for plan in plans:
        (tmp_path / "plan.yaml").write_text(plan)
        asked.append(len(read_plan(tmp_path / "plan.yaml", names).requests.of("phantom_000007")))
    assert asked == [3, 4, 18, 9, 2]
