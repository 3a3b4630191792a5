"""An ablation from its file to its table: each value a run, what is alike done once, what is wrong refused."""

import functools
import json
import shutil
from pathlib import Path

import pytest
import yaml
from small_study import STUDY, scratch, write_study

import segue
from segue.cli import main
from segue.errors import InputError
from segue.pipeline.ablation import load_ablation

ABLATIONS = sorted((Path(__file__).parents[3] / "studies" / "ablations").glob("*.yaml"))
SMALL = {"hvae.conditioning": ["map"], "finetune.guides": ["none", "region"], "evaluate.rows": 1}
HARD = {"kind": "axis", "axis": 1, "regions": ["proximal", "mid", "distal"]}
EDGES = {
    "name": "edges",
    "factor": "width of the edges",
    "study": "study.yaml",
    "changes": SMALL | {"evaluate.partitions.thirds": HARD},
    "values": [{"value": 0}, {"value": 0.2, "changes": {"partitions.thirds.softness": 0.2}}],
}


def write_ablation(folder: Path, content: object = EDGES, study: str = STUDY) -> Path:
    write_study(folder, study)
    path = folder / "ablation.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@functools.cache
def ablated() -> tuple[Path, Path]:
    """The ablation's file and its folder of runs, run once. Copy the runs to change them."""
    folder = scratch()
    path = write_ablation(folder)
    assert main(["ablate", str(path), "--runs", str(folder / "runs")]) == 0
    return path, folder / "runs" / "ablations"


def read(path: Path) -> dict:
    return json.loads(path.read_text())


# ---- what an ablation leaves -------------------------------------------------------------------------------------


def test_each_value_is_a_run_of_its_own_that_loads():
    _, runs = ablated()
    assert {path.name for path in runs.iterdir()} == {"edges", "edges-0", "edges-0.2"}
    partitions = [segue.study.read.load_study(runs / f"edges-{v}" / "study.yaml").partitions for v in ("0", "0.2")]
    assert [one["thirds"].get("softness", 0) for one in partitions] == [0, 0.2]
    model = segue.load(runs / "edges-0.2", method="segue")
    assert model.variables[0] == "lumen@proximal"


def test_what_the_values_share_is_done_once():
    _, runs = ablated()
    for stage in ("prepare", "segmentor", "judge"):
        one, other = ((runs / f"edges-{value}" / stage / "done.json").stat() for value in ("0", "0.2"))
        assert one.st_ino == other.st_ino, stage
    for stage in ("measure", "pretrain/map", "finetune/segue", "evaluate"):
        one, other = (read(runs / f"edges-{value}" / stage / "done.json") for value in ("0", "0.2"))
        assert one["fingerprint"] != other["fingerprint"], stage
    done = {one["fingerprint"]: one["seconds"] for one in map(read, runs.rglob("done.json"))}
    assert read(runs / "edges" / "ablation.json")["seconds"] == pytest.approx(sum(done.values()), abs=0.1)


def test_the_numbers_are_those_of_the_runs():
    _, runs = ablated()
    found = read(runs / "edges" / "ablation.json")
    text = (runs / "edges" / "table.md").read_text()
    assert found["factor"] == "width of the edges" and [one["value"] for one in found["values"]] == ["0", "0.2"]
    for entry in found["values"]:
        metrics = read(runs / entry["run"] / "evaluate" / "metrics.json")
        assert set(entry["methods"]) == {"no_cft", "pos_seg_cft", "segue", "oracle"} == set(metrics["methods"])
        for name, method in metrics["methods"].items():
            shown, mean = entry["methods"][name], method["mean"]
            for key in ("error_sd", "off_target_sd", "leakage"):
                assert shown[key]["value"] == mean[key]
            assert shown["error_sd"]["ci95"] == mean["ci95"]
            assert shown["truth_mae"]["value"] == method.get("truth", {}).get("mae")
            nelbo = method.get("nelbo")
            assert shown["nelbo"]["value"] == (nelbo["test"] if nelbo else None)
            assert shown["gap"]["value"] == (nelbo["test"] - nelbo["guide"] if nelbo else None)
        low, high = metrics["methods"]["segue"]["mean"]["ci95"]
        error = metrics["methods"]["segue"]["mean"]["error_sd"]
        block = text.split("**error (sd)**")[1].split("**")[0]
        (row,) = [line for line in block.splitlines() if line.startswith(f"| {entry['value']} ")]
        assert f" {error:.2f}" in row and f"[{low:.2f}" in row and f"{high:.2f}" in row
    assert (runs / "edges" / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_softly_trained_regions_are_judged_by_hard_ones():
    """Requests, truth and judge are the same for both values; only the model's own view of them differs."""
    _, runs = ablated()
    one, other = (read(runs / f"edges-{value}" / "evaluate" / "metrics.json") for value in ("0", "0.2"))
    for key in ("sd", "well_posed", "truth_of_doing_nothing", "segmentors"):
        assert one[key] == other[key], key
    oracles = [dict(metrics["methods"]["oracle"]) for metrics in (one, other)]
    assert all(oracle.pop("over_best") for oracle in oracles)  # the best method is another one's
    assert oracles[0] == oracles[1]
    soft = read(runs / "edges-0.2" / "measure" / "done.json")["variables"]
    assert soft["lumen@proximal"]["sd"] != pytest.approx(other["sd"]["lumen@proximal"], rel=1e-3)


# ---- again, and after a kill -------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again_and_what_is_lost_is(tmp_path, capfd):
    path, runs = ablated()
    shutil.copytree(runs, tmp_path / "runs" / "ablations")
    here = tmp_path / "runs" / "ablations"
    before = read(here / "edges" / "ablation.json")
    shutil.rmtree(here / "edges")
    (here / "edges-0.2" / "finetune" / "segue" / "done.json").unlink()
    (here / "edges-0.2" / "evaluate" / "done.json").unlink()
    assert main(["ablate", str(path), "--runs", str(tmp_path / "runs")]) == 0
    out, err = capfd.readouterr()
    assert out.strip() == str(here / "edges" / "table.md")
    trained = [line for line in err.splitlines() if line.startswith("edges-") and line.endswith("...")]
    assert trained == ["edges-0.2: finetune/segue ...", "edges-0.2: evaluate ..."]
    assert read(here / "edges" / "ablation.json")["values"] == before["values"]


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_the_ablations_that_come_with_segue_are_valid(path):
    ablation = load_ablation(path)
    assert ablation.name == path.stem and len(ablation.studies) > 1


def test_one_that_begins_as_another_run_asks_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = ABLATIONS[0].parent / "real" / "small-data.yaml"
    with pytest.raises(InputError, match=r"hvae\.start: runs/cardiac-sectors/pretrain/map holds no model"):
        load_ablation(path)
    begun = tmp_path / "runs" / "cardiac-sectors" / "pretrain" / "map"
    begun.mkdir(parents=True)
    (begun / "model.safetensors").touch()
    assert len(load_ablation(path).studies) == 10


def test_the_documents_example_is_valid(tmp_path):
    root = Path(__file__).parents[3]
    text = (root / "docs" / "ablations.md").read_text().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "latents.yaml"
    path.write_text(text.replace("../chest-zones.yaml", str(root / "studies" / "chest-zones.yaml")))
    studies = load_ablation(path).studies
    assert [study.hvae.latent for study in studies.values()] == [4, 8, 16]
    assert {study.hvae.budget.steps for study in studies.values()} == {500}


def test_options_hold_for_every_value(tmp_path):
    ablation = load_ablation(write_ablation(tmp_path), ["--evaluate.images", "5", "--runs", "elsewhere"])
    assert [study.evaluate.images for study in ablation.studies.values()] == [5, 5]
    assert ablation.directory == Path("elsewhere/ablations/edges")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": 3}, "unknown key value; did you mean values?"),
        ({"study": "other.yaml"}, "other.yaml: no such study"),
        ({"study": None}, "has no study"),
        ({"name": "a/b"}, "is to name a folder"),
        ({"values": []}, "values is to be a list"),
        ({"values": [3]}, "values, entry 1: is 3"),
        ({"values": [{"changes": {}}]}, "values, entry 1: has no value"),
        ({"values": [{"value": 1}, {"value": 1}]}, "values, entry 2: the run of value '1'"),
        ({"values": [{"value": 1, "changes": {"hvae.latnt": 3}}]}, "unknown key hvae.latnt; did you mean latent?"),
        ({"values": [{"value": 1, "changes": {"hvae.latent": "many"}}]}, "values, entry 1: "),
        ({"values": [{"value": 1, "changes": {"name.first": 3}}]}, "name is 'small', which has no keys"),
        ({"values": [{"value": 1, "changes": [3]}]}, "entry 1: changes is [3]"),
        ({"values": [{"value": 1, "changes": {"segmentor.masks": 0}}]}, "segmentor.masks is 0"),
        ({"values": [{"value": 1}, {"value": 2, "changes": {"precision": "bf16"}}]}, "differ in precision"),
        ({"changes": {"evaluate.partitions.halves": HARD}}, "evaluate.partitions: halves is no partition of the study"),
        ({"changes": {"evaluate.partitions.thirds": HARD | {"regions": ["a", "b"]}}}, "regions of the study's own"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, capsys, change, message):
    path = write_ablation(tmp_path, EDGES | change)
    with pytest.raises(InputError) as error:
        load_ablation(path)
    assert message in str(error.value)
    assert main(["ablate", str(path), "--runs", str(tmp_path / "runs")]) == 2
    _, err = capsys.readouterr()
    assert len(err.splitlines()) == 1 and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("text", ["- 3", "a: [", ""])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"ablation\.yaml: "):
        load_ablation(write_ablation(tmp_path, text))
    with pytest.raises(InputError, match="no such ablation"):
        load_ablation(tmp_path / "none.yaml")
