import re

import pytest
from fakes import METHODS, VARIABLES, fake_metrics

from segue.errors import InputError
from segue.evaluation.columns import decimals, method_title, number
from segue.evaluation.table import table1


def parse(markdown):
    """[(heading, {row: {column: cell}})] of all pipe tables."""
    tables, heading = [], ""
    for block in markdown.split("\n\n"):
        if not block.startswith("|"):
            heading = block
            continue
        lines = [
            [cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.strip().splitlines()
        ]
        head, rule, *rows = lines
        assert len({len(line) for line in lines}) == 1 and all(set(cell) <= {"-", ":"} for cell in rule)
        tables.append((heading, {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}))
    return tables


def test_numbers_come_back_from_the_table():
    metrics = fake_metrics()
    tables = parse(table1(metrics))
    for name in VARIABLES[:4]:
        structure, region = name.replace("_", " ").split("@")
        (table,) = [rows for heading, rows in tables if heading.startswith(f"**{structure}:")]
        for method in METHODS:
            entry = metrics["methods"][method]["variables"][name]
            found = [float(x) for x in re.findall(r"[\d.]+", table[method_title(method)][region])]
            assert found == pytest.approx([entry["error_sd"], *entry["ci95"]], abs=5e-3)
    (means,) = [rows for heading, rows in tables if heading.startswith("**mean")]
    for method in METHODS:
        cells = means[method_title(method)]
        assert float(cells["error (mm²)"].strip("*")) == pytest.approx(
            metrics["methods"][method]["mean"]["error"], abs=5e-3
        )
        composition = float(cells["composition"].strip("*"))
        assert composition == pytest.approx(metrics["methods"][method]["composition"], rel=0.5)


def test_the_best_competitor_of_a_column_is_bold():
    metrics = fake_metrics()
    metrics["methods"]["oracle"]["variables"]["lumen@distal"]["error_sd"] = 0.001
    _, rows = parse(table1(metrics))[0]
    errors = {
        m: metrics["methods"][m]["variables"]["lumen@distal"]["error_sd"] for m in METHODS if m != "oracle"
    }
    bold = [name for name, cells in rows.items() if cells["distal"].startswith("**")]
    assert bold == [method_title(min(errors, key=errors.get))]


def test_rows_that_read_the_same_are_all_the_best():
    methods = {f"m{i}": {"composition": value} for i, value in enumerate([0.5, 0.1, 0.1 + 1e-9])}
    ((_, rows),) = parse(table1({"methods": methods}))
    assert [cells["composition"].startswith("**") for cells in rows.values()] == [False, True, True]


def test_floors_and_caption():
    text = table1(fake_metrics())
    _, rows = parse(text)[-1]
    assert rows["judge"]["Dice: lumen"] == "0.931"
    assert rows["guide"]["area error (sd): calcified plaque distal"].startswith("0.12")
    assert "96 images of 48 subjects" in text and "mm²" in text and "Lower is better" in text


def test_names_for_readers():
    assert method_title("pos_seg_cft_broadcast") == "Pos-Seg-CFT (broadcast parents)"
    assert [method_title(m) for m in ("no_cft", "reg_cft", "seg_cft")] == ["No-CFT", "Reg-CFT", "Seg-CFT"]
    assert method_title("mine") == "mine"


def test_what_is_missing_is_a_dash_or_left_out():
    metrics = {
        "methods": {
            "no_cft": {"variables": {"heart@whole": {"error_sd": None}}, "mean": None},
            "seg_cft": {"variables": {"heart@whole": {"error_sd": 0.5}}, "composition": float("nan")},
        },
        "segmentors": None,
    }
    text = table1(metrics)
    assert parse(text) == [
        (
            "**heart: error (sd) by region [95% interval]**",
            {"No-CFT": {"whole": "–"}, "Seg-CFT": {"whole": "0.500"}},
        )
    ]
    assert "nan" not in text and "None" not in text


def test_no_methods_is_an_input_error():
    with pytest.raises(InputError, match="no methods"):
        table1({"methods": {}})


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.5, 0.25], ["0.500", "0.250"]),
        ([0.043, 0.81], ["0.043", "0.810"]),
        ([0.0043, 0.0071], ["0.0043", "0.0071"]),
        ([12.3456, 250.0], ["12", "250"]),
        ([1.5, 12.25], ["1.5", "12.2"]),
        ([0.0, 2e-7], ["0.0000", "2e-07"]),
        ([], []),
    ],
)
def test_digits_that_tell_rows_apart(values, texts):
    assert [number(value, decimals(values)) for value in values] == texts
