"""The command line: what it answers, and that a wrong input costs one line and leaves nothing behind."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_study import CHEST, STUDY, VARIABLES, trained, trained_chest, write_chest, write_study

import segue
from segue.cli import main

pytestmark = pytest.mark.xdist_group("small_study")


def refused(capsys, *arguments: object) -> str:
    """Run a command that must fail as the user's mistake; its one line."""
    capsys.readouterr()
    assert main([str(one) for one in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("segue: ")]
    assert len(lines) == 1 and "Traceback" not in lines[0]
    return lines[0]


# ---- answers -----------------------------------------------------------------------------------------------------


def test_help_names_every_command(capsys):
    assert main([]) == main(["--help"]) == main(["run", "--help"]) == 0
    out = capsys.readouterr().out
    for command in ("run", "prepare", "segmentor", "pretrain", "finetune", "evaluate", "counterfactual", "phantom"):
        assert f"  {command} " in out
    assert "--hvae.latent" in out


def test_variables_are_listed_in_digits(capsys):
    assert main(["variables", "chest"]) == 0
    listed = capsys.readouterr().out
    largest = segue.load("chest").space.marginal[:, -1].quantile(0.95)
    assert largest > 1000 and f"{largest:,.0f}" in listed and "e+" not in listed


def test_variables_are_listed_with_their_range(capsys):
    assert main(["variables", str(trained()[1])]) == 0
    out = capsys.readouterr().out
    assert "mm2" in out and all(name in out for name in VARIABLES)


def test_a_summary_names_every_method(capsys, tmp_path):
    study, run = trained()
    shutil.copytree(run, tmp_path / "small")
    assert main(["report", str(study), "--runs", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "pos_seg_cft_broadcast" in captured.out and "Loading weights" not in captured.out
    assert "Verdict: Do not rely on the numbers of this study." in captured.out
    assert "report.html" in captured.err


def test_counterfactuals_of_nifti_files(tmp_path, capsys):
    main(["phantom", str(tmp_path / "data"), "--images", "2", "--seed", "3", "--size", "[16,48]"])
    images = sorted((tmp_path / "data" / "images").iterdir())
    out = tmp_path / "out"
    arguments = ["counterfactual", str(trained()[1]), *map(str, images), "--out", str(out)]
    assert main([*arguments, "--do", "lumen@mid=+20%", "--do", "calcified_plaque@distal = q0.5"]) == 0
    for path in images:
        stem = path.name.removesuffix(".nii.gz")
        written = nibabel.load(out / f"{stem}_counterfactual.nii.gz")
        assert written.shape == (16, 48) and np.isfinite(written.get_fdata()).all()
        assert written.header.get_zooms() == pytest.approx(nibabel.load(path).header.get_zooms())
        sidecar = json.loads((out / f"{stem}_counterfactual.json").read_text())
        assert sidecar["unit"] == "mm2" and list(sidecar["variables"]) == VARIABLES
        lumen = sidecar["variables"]["lumen@mid"]
        assert lumen["requested"] == pytest.approx(1.2 * lumen["factual"], rel=1e-5)
        assert set(lumen) == {"factual", "requested", "achieved"}


def test_counterfactuals_of_png_files(tmp_path):
    _, run, folder = trained_chest()
    source = tmp_path / "a.name.with.dots.png"
    shutil.copy(folder / "images" / "p00_a.png", source)
    arguments = ["counterfactual", str(run), str(source), "--do", "heart@whole=-1sd", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--method", "no_cft", "--particles", "2"]) == 0
    written = Image.open(tmp_path / "out" / "a.name.with.dots_counterfactual.png")
    assert written.mode == "L" and written.size == (48, 40)  # as the file
    sidecar = json.loads((tmp_path / "out" / "a.name.with.dots_counterfactual.json").read_text())
    assert sidecar["unit"] == "px" and sidecar["do"] == {"heart@whole": "-1sd"}


# ---- the same from Python ----------------------------------------------------------------------------------------


def read_phantom(model: segue.Model, folder: Path) -> torch.Tensor:
    main(["phantom", str(folder), "--images", "3", "--seed", "4", "--size", "[16,48]"])
    return torch.cat([model.read(path)[0] for path in sorted((folder / "images").iterdir())])


@pytest.mark.parametrize("request_", [4.25, "+20%", "-50 %", "+0.5sd", "q0.9"])
def test_requests_mean_what_they_say(tmp_path, request_):
    run = trained()[1]
    model = segue.load(run)
    answer = model.counterfactual(read_phantom(model, tmp_path / "data"), {"lumen@mid": request_})
    training = load_file(run / "measure" / "measured.safetensors")["training"][:, VARIABLES.index("lumen@mid")]
    factual = answer.factual["lumen@mid"].numpy()
    expected = {
        4.25: np.full(3, 4.25),
        "+20%": 1.2 * factual,
        "-50 %": 0.5 * factual,
        "+0.5sd": factual + 0.5 * training.numpy().std(ddof=1),
        "q0.9": np.full(3, np.quantile(training.numpy(), 0.9)),
    }[request_]
    np.testing.assert_allclose(answer.requested["lumen@mid"].numpy(), expected, rtol=1e-4)
    for name in VARIABLES[3:]:
        assert torch.equal(answer.requested[name], answer.factual[name])
    assert answer.image.shape == (3, 1, 16, 48) and answer.soft.shape == (3, 3, 16, 48)
    assert bool(answer.image.isfinite().all())


@pytest.mark.parametrize("method", [None, "no_cft", "reg_cft_broadcast"])
def test_nothing_asked_nothing_changed(tmp_path, method):
    model = segue.load(trained()[1], method=method)
    images = read_phantom(model, tmp_path / "data")
    answer = model.counterfactual(images, {})
    torch.testing.assert_close(answer.image, images, rtol=0, atol=0.05)  # HU, of a range of 1400
    for name in VARIABLES:
        torch.testing.assert_close(answer.achieved[name], answer.factual[name], rtol=1e-3, atol=1e-3)


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_unknown_commands_and_studies(capsys, tmp_path):
    assert "unknown command 'rum'" in refused(capsys, "rum")
    assert "no-such.yaml: no such study" in refused(capsys, "run", tmp_path / "no-such.yaml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("edit", "options", "expected"),
    [
        (("latent: 2", "latnet: 2"), [], "unknown key hvae.latnet; did you mean latent?"),
        (("kind: axis", "kind: axes"), [], "partitions"),
        (("lumen: thirds", "lumen: third"), [], "did you mean thirds?"),
        (("[16, 48]", "[18, 48]"), [], "judge: segresnet needs sides that are multiples of 8"),
        (("guide: 0.4", "guide: 0.5"), [], "cohort.split: the fractions sum to 1.1"),
        (("[-200, 1200]", "[1200, -200]"), [], "cohort.intensity"),
        (("name: small", "name: [small"), [], "not a YAML file"),
        (("hvae:", "hvae: 3\nold:"), [], "unknown key old"),
        (None, ["--hvae.latnet", "4"], "unknown option --hvae.latnet; did you mean --hvae.latent?"),
        (None, ["--hvae.latent", "four"], "hvae.latent"),
        (None, ["--diffusion", "quick"], "--diffusion is a section, which takes no text: set a key of it"),
        (None, ["--panel.second=quick"], "--panel.second is a section, which takes no text"),
        (None, ["--cohort.folder", "somewhere"], "either cohort.folder or cohort.phantom"),
        (None, ["--partitions.thirds.axis", "2"], "partitions.thirds: axis: 2 is not an axis"),
        (
            None,
            ["--cohort.size", "[24,56]", "--hvae.widths", "[8,8,8,8]", "--hvae.depths", "[1,1,1,1]"],
            "hvae: size [24, 56] is not a multiple of 16",
        ),
        (None, ["--judge.width", "12"], "judge: width is 12: give a multiple of 8"),
        (None, ["--finetune.budget.batch_size", "1"], "finetune.budget"),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(capsys, tmp_path, edit, options, expected):
    text = STUDY.replace(*edit) if edit else STUDY
    study = write_study(tmp_path, text)
    assert expected in refused(capsys, "run", study, "--runs", tmp_path / "runs", *options)
    assert not (tmp_path / "runs").exists()


def damage(kind: str, folder: Path) -> None:
    """Spoil a cohort in one way."""
    image, mask = folder / "images" / "p03_a.png", folder / "masks" / "p03_a.png"
    if kind == "corrupt image":
        image.write_bytes(image.read_bytes()[:90])
    elif kind == "no mask":
        mask.unlink()
    elif kind == "other grid":
        Image.fromarray(np.zeros((7, 9), np.uint8)).save(mask)
    elif kind == "no images":
        shutil.rmtree(folder / "images")


@pytest.mark.parametrize("kind", ["corrupt image", "no mask", "other grid", "no images"])
def test_a_damaged_folder_is_refused_and_leaves_no_store(capsys, tmp_path, kind):
    folder = write_chest(tmp_path / "cohort", subjects=12)
    damage(kind, folder)
    study = write_study(tmp_path, CHEST.format(folder=folder))
    line = refused(capsys, "run", study, "--runs", tmp_path / "runs")
    assert ("images" if kind == "no images" else "p03_a") in line
    assert not list(tmp_path.rglob("cohort.zarr*")) and not list(tmp_path.rglob("done.json"))


def test_what_a_run_lacks(capsys, tmp_path):
    study, run = trained()
    source = tmp_path / "x.png"
    Image.fromarray(np.zeros((16, 48), np.uint8)).save(source)
    ask = ["counterfactual", run, source, "--out", tmp_path / "out", "--do"]
    assert "no run here" in refused(capsys, "variables", tmp_path)
    assert "did you mean lumen@mid" in refused(capsys, *ask, "lumen@middle=1")
    assert "give a value" in refused(capsys, *ask, "lumen@mid=more")
    assert "name=value" in refused(capsys, *ask, "lumen@mid")
    assert "seg_cfd is not trained" in refused(capsys, *ask, "lumen@mid=1", "--method", "seg_cfd")
    assert "give a number" in refused(capsys, *ask, "lumen@mid=1", "--given", "age=old")
    assert "two images" in refused(capsys, "counterfactual", run, source, source, "--do", "lumen@mid=1")
    assert "x.txt" in refused(capsys, "counterfactual", run, tmp_path / "x.txt", "--do", "lumen@mid=1")
    nothing = ["evaluate", study, "--runs", tmp_path / "runs", "--cohort", tmp_path]
    assert "is not trained" in refused(capsys, *nothing)
    assert {path.name for path in tmp_path.iterdir()} == {"x.png"}


def test_images_off_the_grid_are_refused():
    model = segue.load(trained()[1])
    with pytest.raises(segue.InputError, match=r"model\.read"):
        model.counterfactual(torch.zeros(1, 1, 8, 8), {"lumen@mid": 1})
    with pytest.raises(segue.InputError, match="not finite"):
        model.counterfactual(torch.full((1, 1, 16, 48), torch.nan), {"lumen@mid": 1})


def test_a_phantom_folder_is_not_overwritten(capsys, tmp_path):
    assert "exists already" in refused(capsys, "phantom", tmp_path)
