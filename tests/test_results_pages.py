"""The tables of the pages are what the script writes from results/."""

import inspect
import json
import re

import pytest
import yaml

from docs.site.metric_tables import metrics_table, place_of
from docs.site.project import ROOT
from docs.site.tables import PAGES, TABLE, with_tables
from segue.baselines import BASELINES
from segue.evaluation.metric import METRICS
from segue.report.table import table1

WITH_TABLES = [page for page in PAGES if "<!-- table\n" in page.read_text()]
STUDIES = sorted(path.parent for path in (ROOT / "results").rglob("metrics.json"))


@pytest.mark.parametrize("page", WITH_TABLES, ids=lambda page: page.stem)
def test_a_page_has_the_numbers_of_its_results(page):
    assert page.read_text() == with_tables(page.read_text()), "run: python -m docs.site.tables"


def test_the_results_have_their_pages():
    text = "".join(page.read_text() for page in PAGES)
    assert len(TABLE.findall(text)) > 15
    missing = {folder.relative_to(ROOT / "results").as_posix() for folder in STUDIES}
    assert {name for name in missing if f"## {name}\n" not in (ROOT / "docs" / "results.md").read_text()} == set()


def test_a_number_of_a_table_is_that_of_the_file():
    found = json.loads((ROOT / "results" / "chest-zones" / "metrics.json").read_text())["methods"]["reg_cft"]["mean"]
    row = re.search(r"^\| Reg-CFT .*$", (ROOT / "docs" / "anatomies.md").read_text(), flags=re.MULTILINE)
    assert row is not None
    error, off_target = row[0].split("|")[2:4]
    assert float(error.split("[")[0]) == pytest.approx(found["error_sd"], abs=0.006)
    assert float(off_target.split("[")[0]) == pytest.approx(found["off_target_sd"], abs=0.0006)


def test_a_table_that_parts_from_its_numbers_is_seen():
    page = (ROOT / "docs" / "anatomies.md").read_text()
    changed = re.sub(r"\| 0\.70 \[", "| 0.71 [", page, count=1)
    assert changed != page and with_tables(changed) == page


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_table_beside_a_file_is_of_that_file(folder):
    assert (folder / "table1.md").read_text() == table1(json.loads((folder / "metrics.json").read_text()))


@pytest.mark.parametrize(
    ("page", "form", "name", "path"),
    [
        ("ablations", ".3f", "ablations/regions/ablation", ["values", 2, "methods", "segue", "error_sd"]),
        ("use", "+.3f", "use/augmentation", ["arms", 2, "dice_over_alone"]),
        ("use", ".3f", "use/bias", ["arms", 0, "accuracy_against"]),
    ],
)
def test_a_table_of_another_file_has_its_numbers(page, form, name, path):
    found = json.loads((ROOT / "results" / f"{name}.json").read_text())
    for key in path:
        found = found[key]
    mean, (low, high) = found.get("value", found.get("mean")), found["ci95"]
    assert f"{mean:{form}} [{low:{form}}, {high:{form}}]" in (ROOT / "docs" / f"{page}.md").read_text()


@pytest.mark.parametrize("name", ["chest", "phantom"])
def test_a_study_has_the_settings_that_its_tuning_chose(name):
    tuned = json.loads((ROOT / "results" / "baselines" / name / "tuning.json").read_text())
    given = yaml.safe_load((ROOT / "studies" / "baselines" / f"{name}.yaml").read_text())["baselines"]
    for baseline, one in tuned.items():
        defaults = inspect.signature(BASELINES[given[baseline].get("kind", baseline)]).parameters
        found = {key: given[baseline].get(key, defaults[key].default) for key in one["chosen"] if key != "kind"}
        assert found == {key: value for key, value in one["chosen"].items() if key != "kind"}


def test_where_a_method_stands():
    def entry(error, low, high):
        return {"mean": {"error_sd": error, "ci95": [low, high]}}

    metric, entries = METRICS["error_sd"], {"segue": entry(0.3, 0.2, 0.4), "near": entry(0.25, 0.2, 0.31)}
    entries["far"] = entry(0.1, 0.05, 0.15)
    assert place_of(metric, entries, []) == "first"
    assert place_of(metric, entries, ["near"]) == "within the interval of the first"
    assert place_of(metric, entries, ["far", "near"]) == "behind the first"


def test_a_table_of_a_variable_has_its_numbers_in_its_own_unit():
    name, folder = "lumen@mid:stenosis", "coronary-stenosis"
    metrics = json.loads((ROOT / "results" / folder / "metrics.json").read_text())
    found = [metrics["doing_nothing"]["variables"][name], metrics["methods"]["segue"]["variables"][name]]
    rows = {"nothing": f"{folder}/doing nothing", "segue": f"{folder}/segue"}
    table = metrics_table({"rows": rows, "columns": ["error", "error_sd"], "variables": {"stenosis": name}})
    head, _, *lines = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert head[1:] == ["stenosis: error (points)", "stenosis: error (sd)"]
    for one, (_, points, sd) in zip(found, lines, strict=True):
        assert float(points) == pytest.approx(100 * one["error"], abs=0.06)
        assert float(sd.split("[")[0]) == pytest.approx(one["error_sd"], abs=0.006)
