"""The model card: what the Hub reads of it, and that its numbers are the run's."""

import json
import re
import shutil

import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from small_study import VARIABLES, trained

from segue.cli import main
from segue.hub.card import error_table
from segue.hub.export import export
from segue.report.verdict_text import verdict_lines

pytestmark = pytest.mark.xdist_group("small_study")


def rows(card: str, first: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins with `first`, by their first cell; columns by place."""
    lines = iter(card.splitlines())
    head = next(line for line in lines if line.startswith(f"| {first}") and line.count("|") > 2)
    cells = [[cell.strip() for cell in head.strip("|").split("|")]]
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in line.strip("|").split("|")])
    return {cell[0]: cell[1:] for cell in cells}


def test_the_hub_can_read_it_and_notes_are_in_it(tmp_path):
    (tmp_path / "notes.md").write_text("Drawn, not scanned.\n")
    given = ["--notes", str(tmp_path / "notes.md"), "--license", "apache-2.0", "--examples", "2"]
    assert main(["export", str(trained()[1]), "--out", str(tmp_path / "out"), *given]) == 0
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "segue"
    assert card.data.pipeline_tag == "image-to-image" and "counterfactual" in card.data.tags
    assert "Drawn, not scanned." in card.text and "not for clinical use" in card.text
    assert "2 test images are in the folder" in card.text and "60 images of segue's coronary phantom" in card.text
    assert not re.search(r"\{\{|\{%|None|nan", card.text)
    assert card.text.strip().startswith("# out\n") and 'segue.load("out")' in card.text  # the folder's name loads it


def test_the_panel_of_a_method_is_in_it(tmp_path):
    folder = export(trained()[1], tmp_path / "out", method="segue")
    text = (folder / "README.md").read_text()
    tensors = load_file(folder / "model.safetensors")
    weights = sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("panel.0."))
    assert f"An ensemble: 1 more ({weights:,} weights)" in text
    assert rows(text, "stage")["panel/second"][:2] == ["8", "8"]


def test_its_numbers_are_the_runs(tmp_path):
    run = trained()[1]
    text = (export(run, tmp_path / "out", method="seg_cft") / "README.md").read_text()
    metrics = json.loads((run / "evaluate" / "metrics.json").read_text())
    table = rows(text.split("## Results")[1], "variable")
    assert list(table) == ["variable", *VARIABLES]
    heads = table["variable"]
    for name in VARIABLES:
        stated = metrics["methods"]["seg_cft"]["variables"][name]
        for head, key in (("error (mm²)", "error"), ("error (sd)", "error_sd"), ("leakage", "leakage")):
            shown = table[name][heads.index(head)].split(" ")[0]
            digits = len(shown.partition(".")[2])
            assert float(shown) == pytest.approx(stated[key], abs=0.5001 * 10**-digits)
    steps = rows(text, "stage")
    assert steps["segmentor"][0] == "20" and steps["finetune/seg_cft"][0] == "3" and steps["pretrain/map"][1] == "4"
    assert "panel/second" not in steps and "An ensemble" not in text
    assert rows(text, "split")["test"] == ["18", "18"]
    assert "trained with segue" in text.lower() and "method Seg-CFT" in text


def test_a_guide_that_is_too_weak_is_in_the_card_and_on_the_console(tmp_path, capsys):
    assert main(["export", str(trained()[1]), "--out", str(tmp_path / "out")]) == 0
    said, metrics = capsys.readouterr(), json.loads((trained()[1] / "evaluate" / "metrics.json").read_text())
    (line,) = [line for line in said.err.splitlines() if line.startswith("warning: ")]
    assert "Do not rely on the numbers" in line and "Is the guide good enough? No." in line
    card = (tmp_path / "out" / "README.md").read_text()
    results = card[card.index("## Results") :]
    assert results.splitlines()[2] == "**Do not rely on the numbers of this study.**"
    for statement in verdict_lines(metrics)[1:]:  # the same words as in the report and on the console
        assert statement.removeprefix("- ") in results.replace("*", "")


def test_a_run_without_an_evaluation_makes_no_claims(tmp_path):
    run = tmp_path / "small"
    shutil.copytree(trained()[1], run)
    shutil.rmtree(run / "evaluate")
    text = (export(run, tmp_path / "out") / "README.md").read_text()
    assert "has not been judged" in text and "error (sd)" not in text


def test_what_a_method_lacks_is_left_out_or_a_dash():
    entries = {"a": {"error": 2.0, "error_sd": 0.5, "ci95": [0.25, 0.75]}, "b": {"error": 3.0, "leakage": None}}
    metrics = {"unit": "mm2", "methods": {"folder": {"variables": entries, "mean": {"error": 2.5}}}}
    table = rows(error_table(metrics, "folder"), "variable")
    assert table["variable"] == ["error (mm²)", "error (sd)"]
    assert table["a"] == ["2.00", "0.500 [0.250, 0.750]"] and table["b"] == ["3.00", "–"]
