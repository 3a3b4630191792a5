"""An unmet request is said on every surface: Python, commands, generation, HTTP. The request that fails is real: three
times more heart than there is, of a radiograph that is drawn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import torch
import yaml
from PIL import Image
from test_effects import build

import segue
from segue.cli import main
from segue.cohort.case import Case
from segue.errors import InputError
from segue.explorer.api import answer_by_method
from segue.explorer.models import Chosen, Explored

DO = {"heart@whole": "+300%"}
ASK = ["--do", "heart@whole=+300%"]


@pytest.fixture(scope="module")
def drawn() -> torch.Tensor:
    return torch.from_numpy(tiny.radiograph().round()).float()[None, None]


@pytest.fixture(scope="module")
def model():
    return segue.load("chest")


@pytest.fixture
def file(drawn, tmp_path) -> Path:
    path = tmp_path / "x.png"
    Image.fromarray(drawn[0, 0].numpy().astype(np.uint8)).save(path)
    return path


def says_it(text: str) -> bool:
    """What was asked, what was reached, and that it is not what was asked."""
    return "heart@whole" in text and "not met" in text.lower() and "of the change" in text


def test_python(model, drawn):
    answer = model.counterfactual(drawn, DO)
    (said,) = answer.verdict
    assert not said.met and said.reached[0].share < 0.75 and says_it(repr(answer))
    row = answer.table().row(by_predicate=pl.col("variable") == "heart@whole", named=True)
    assert row["met"] is False and row["share"] == pytest.approx(said.reached[0].share)
    assert any("NOT MET" in text.get_text() for text in [answer.plot()._suptitle])
    with pytest.raises(InputError, match="1 of 1 requests were not met: heart@whole reached"):
        model.counterfactual(drawn, DO, strict=True)


def test_the_command(file, tmp_path, capsys):
    command = ["counterfactual", "chest", str(file), *ASK, "--out", str(tmp_path / "out")]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert says_it(captured.err) and "factual" in captured.err and "requested" in captured.err
    assert captured.out.strip() == str(tmp_path / "out" / "x_counterfactual.png")
    sidecar = json.loads((tmp_path / "out" / "x_counterfactual.json").read_text())
    assert sidecar["verdict"]["word"] == "not met" and sidecar["verdict"]["reached"][0]["met"] is False


def test_the_command_when_strict_writes_nothing(file, tmp_path, capsys):
    command = ["counterfactual", "chest", str(file), "--strict", "--out", str(tmp_path / "out")]
    assert main([*command, *ASK]) == 2
    assert "segue: 1 of 1 requests were not met: x.png: heart@whole reached" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--do", "heart@whole=+0.5sd"]) == 0 and (tmp_path / "out").exists()


def test_generation(file, tmp_path, capsys):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    file.rename(cohort / "x.png")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({"interventions": [DO, {"heart@whole": "+0.5sd"}, {}]}))
    command = ["generate", "chest", "--cohort", str(cohort), "--do", str(tmp_path / "plan.yaml")]
    assert main([*command, "--out", str(tmp_path / "out"), "--strict"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "1 not met" in said and "table.parquet: 1 requests were not met" in said
    table = pl.read_parquet(tmp_path / "out" / "table.parquet")
    assert table["verdict"].to_list()[0] == "not met" and table["verdict"].to_list()[2].startswith("met")
    assert "heart@whole reached" in table["doubts"][0] and table["heart@whole.share"][0] < 0.75
    assert table["heart@whole.share"][2] is None and table["left_lung@mid.share"].null_count() == 3
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["not_met"] == 1


def test_http(model, drawn):
    case = Case("x", drawn[0].numpy(), None, np.eye(4))
    explored = Explored(name="m", opened="m", models={"segue": model}, judge=None, source=None)
    reply = answer_by_method(explored, Chosen(case, "image"), DO, "segue", True, [])
    said = reply["segue"]["verdict"]
    texts = [doubt["text"] for doubt in said["doubts"] if doubt["kind"] == "not met"]
    assert json.dumps(said) and said["word"] == "not met" and says_it(said["word"] + texts[0])


def test_the_effects_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("segue.hub.load.load", lambda *_, **__: build(graph=True))
    path = tmp_path / "x.png"
    Image.fromarray(np.full((8, 32), 100, np.uint8)).save(path)
    command = ["effects", "m", str(path), "--do", "bar@left=100", "--given", "age=60", "--given", "sex=0"]
    assert main(command) == 0 and "bar@left: factual" in capsys.readouterr().err
    assert main([*command, "--strict"]) == 2 and "not met: x.png: bar@left reached" in capsys.readouterr().err


# ---- files, devices, the command line ----------------------------------------------------------------------------


def test_what_is_asked_is_saved_and_nothing_is_replaced_without_force(file, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["counterfactual", "chest", str(file), "--do", "heart@whole=-0.5sd", "--out", str(out)]
    assert main([*command, "--save", "counterfactual,difference,masks"]) == 0
    names = {"x_counterfactual.png", "x_difference.nii.gz", "x_masks.png", "x_counterfactual.json"}
    assert {path.name for path in out.iterdir()} == names
    assert np.unique(np.asarray(Image.open(out / "x_masks.png"))).tolist() == [0, 1, 2, 3]
    before = (out / "x_counterfactual.png").read_bytes()
    other = [*command[:3], "--do", "heart@whole=+0.5sd", "--out", str(out)]
    assert main(other) == 2 and "exists already" in capsys.readouterr().err
    assert (out / "x_counterfactual.png").read_bytes() == before
    assert main([*other, "--force"]) == 0 and (out / "x_counterfactual.png").read_bytes() != before
    assert main([*command, "--save", "mask"]) == 2 and "did you mean masks" in capsys.readouterr().err


def test_saved_parts_add_up(model, drawn, tmp_path):
    import nibabel

    answer = model.counterfactual(drawn.expand(2, -1, -1, -1), {"heart@whole": torch.tensor([800.0, 900.0])})
    paths = answer.save(tmp_path, names=["a", "b"])
    assert [path.name for path in paths[:3]] == ["a_counterfactual.nii.gz", "a_difference.nii.gz", "a_masks.nii.gz"]
    image, change, masks = (np.asarray(nibabel.load(path).dataobj) for path in paths[3:])
    np.testing.assert_allclose(image - change, drawn[0, 0], atol=1e-3)
    reached = float(answer.achieved["heart@whole"][1])  # of soft masks
    assert (masks == 3).sum() == pytest.approx(reached, rel=0.06)
    with pytest.raises(InputError, match="exists already"):
        answer.save(tmp_path, names=["a", "c"])
    with pytest.raises(InputError, match="1 different names for 2 images"):
        answer.save(tmp_path, names=["c", "c"])


def test_each_image_may_have_its_own_request(model, drawn):
    wanted = torch.tensor([700.0, 800.0])
    answer = model.counterfactual(drawn.expand(2, -1, -1, -1), {"heart@whole": wanted, "left_lung@mid": "+5%"})
    assert torch.equal(answer.requested["heart@whole"], wanted)
    alone = model.counterfactual(drawn, {"heart@whole": 800.0, "left_lung@mid": "+5%"})
    torch.testing.assert_close(answer.image[1:], alone.image, atol=0.05, rtol=0)
    with pytest.raises(InputError, match=r"do\(heart@whole\): has shape \(3,\); give one value, or 2"):
        model.counterfactual(drawn.expand(2, -1, -1, -1), {"heart@whole": [1.0, 2.0, 3.0]})
    assert "2 images" in repr(answer) and len(repr(answer).splitlines()) == 1 and len(answer) == 2


def test_measuring_is_what_the_answer_calls_factual(model, drawn):
    found, factual = model.measure(drawn), model.counterfactual(drawn, {}).factual
    assert list(found) == list(model.variables) and all(torch.equal(found[name], factual[name]) for name in found)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(model):
    for ask in (lambda: segue.load("chest", device="cuda"), lambda: model.to("cuda")):
        with pytest.raises(InputError, match="device 'cuda': PyTorch sees no CUDA GPU on this machine; give device="):
            ask()
    with pytest.raises(InputError, match="device 'mps'"):
        model.to("mps")
    assert model.to("cpu") is model and model.device.type == "cpu"


def test_nobody_who_reads_is_no_error():
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-m", "segue", "--help"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_the_help_needs_no_torch_and_the_version_is_said(capsys):
    code = "import sys; from segue.cli import main; main(['--help']); main(['--version']); "
    code += "print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-2:] == [f"segue {segue.__version__}", "False"]
    assert {"load", "sample", "effects"} <= set(dir(segue))


def test_variables_as_json(model, capsys):
    assert main(["variables", "chest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == list(model.variables) and found["heart@whole"]["unit"] == "px"
    ends = (found["heart@whole"]["smallest"], found["heart@whole"]["largest"])
    assert ends == model.space.training_range("heart@whole")
