import re

import pytest
from fakes import METHODS, VARIABLES, fake_metrics

from segue.errors import InputError
from segue.report.columns import best_rows, decimals, format_number, method_title
from segue.report.table import table1


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
    for i, method in enumerate(METHODS):
        error = 0.001 if method == "oracle" else 0.2 + 0.15 * i
        entry = {"error_sd": error, "ci95": [error - 0.05, error + 0.05]}
        metrics["methods"][method]["variables"]["lumen@distal"] |= entry
    _, rows = parse(table1(metrics))[0]
    bold = [name for name, cells in rows.items() if cells["distal"].startswith("**")]
    assert bold == ["No-CFT"]


@pytest.mark.parametrize(
    ("other", "half", "judge", "bold"),
    [
        (0.6, 0.05, 0.1, True),
        (0.6, 0.25, 0.1, False),  # the intervals overlap
        (0.6, 0.05, 0.5, False),  # the difference is inside the measurement error
        (0.6, None, 0.1, False),  # no interval is known
        (0.2, 0.05, 0.1, False),  # the same
    ],
)
def test_nothing_is_bold_that_may_be_chance_or_the_judges_error(other, half, judge, bold):
    def entry(error):
        return {"error_sd": error} | ({} if half is None else {"ci95": [error - half, error + half]})

    errors = {"a": entry(0.2), "b": entry(other)}
    methods = {name: {"variables": {"heart@whole": error}, "mean": error} for name, error in errors.items()}
    metrics = {"methods": methods, "segmentors": {"judge": {"error_sd": {"heart@whole": judge}}}}
    by_region, means, *_ = parse(table1(metrics))
    assert by_region[1]["a"]["whole"].startswith("**") == bold and not by_region[1]["b"]["whole"].startswith("**")
    assert means[1]["a"]["error (sd)"].startswith("**") == bold


def test_where_more_is_better_the_most_is_bold():
    values, spans = [0.2, 0.9, None], [(0.1, 0.3), (0.8, 1.0), None]
    assert best_rows(values, spans, [True] * 3, "high") == {1} and best_rows(values, spans, [True] * 3, "low") == {0}
    assert best_rows(values, spans, [True, False, True], "high") == best_rows(values, spans, [True] * 3, None) == set()


def test_floors_and_caption():
    text = table1(fake_metrics())
    (_, dice), (_, areas) = parse(text)[-2:]
    assert dice["judge"]["Dice: lumen"] == "0.931"
    assert areas["calcified plaque distal"] == {
        "sd (mm²): by the guide, in training": "4.00", "sd (mm²): by the masks, judged images": "5.00",
        "guide: area error: mm²": "0.500", "guide: area error: sd": "0.125",
        "guide: area error: sd of the masks": "0.100",
        "judge: area error: mm²": "0.500", "judge: area error: sd": "0.125",
        "judge: area error: sd of the masks": "0.100",
    }  # fmt: skip
    assert "96 images of 48 subjects" in text and "mm²" in text and "Lower is better" in text


def test_distances_to_the_truth_have_a_row_to_compare_with_and_none_for_the_oracle():
    metrics = fake_metrics()
    text = table1(metrics)
    ((_, rows),) = [found for found in parse(text) if found[0].startswith("**distance to the true")]
    assert list(rows) == ["doing nothing", *(method_title(m) for m in METHODS if m != "oracle")]
    truths = {method_title(m): one["truth"] for m, one in metrics["methods"].items() if "truth" in one}
    for name, truth in (truths | {"doing nothing": metrics["truth_of_doing_nothing"]}).items():
        cells = rows[name]
        assert float(cells["whole image: MAE"].strip("*").split(" [")[0]) == pytest.approx(truth["mae"], abs=0.06)
        assert float(cells["outside: SSIM"].strip("*")) == pytest.approx(truth["ssim_outside"], abs=6e-4)
    assert not any(cells["in the region: PSNR (dB)"].startswith("**") for cells in rows.values())  # it has no interval


def test_realism_has_the_facts_for_a_row():
    ((_, rows),) = [found for found in parse(table1(fake_metrics())) if found[0].startswith("**realism")]
    assert list(rows) == ["facts alone", *map(method_title, METHODS)]
    assert rows["facts alone"]["Frechet distance: over facts alone"] == "–"

    def cell(row, head):
        return [float(x) for x in re.findall(r"-?[\d.]+", rows[row][head])]

    assert cell("No-CFT", "crops around edits: AUC") == [0.75, 0.7, 0.8]
    assert rows["facts alone"]["crops around edits: AUC"] == "–"
    assert cell("facts alone", "Frechet distance: to facts") == [0.1, 0.05, 0.15]
    assert cell("No-CFT", "kernel distance: over No-CFT") == [0.05, -0.01, 0.11]


def test_an_error_over_well_posed_requests_stands_beside_that_over_all():
    metrics = fake_metrics()
    ((_, rows),) = [found for found in parse(table1(metrics)) if found[0].startswith("**mean")]
    expected = metrics["methods"]["oracle"]["mean"]["error_sd_well_posed"]
    assert float(rows["Oracle"]["error, well-posed (sd)"]) == pytest.approx(expected, abs=5e-3)
    assert "Well-posed" in table1(metrics)


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
    assert [format_number(value, decimals(values)) for value in values] == texts


def test_a_method_that_is_a_folder_of_images_has_dashes():
    metrics = fake_metrics()
    judged = {key: metrics["methods"]["no_cft"][key] for key in ("variables", "mean")}
    metrics["methods"]["folder"] = judged
    tables = parse(table1(metrics))
    (means,) = [rows for heading, rows in tables if heading.startswith("**mean")]
    assert means["folder"]["composition"] == means["folder"]["reversibility"] == "–"
    assert means["folder"]["leakage"] == means["No-CFT"]["leakage"].strip("*")
    assert not any("folder" in rows for heading, rows in tables if heading.startswith(("**realism", "**distance")))
