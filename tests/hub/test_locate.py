"""Models by name: with shipped models, without, and through every command that takes a model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from small_study import trained

import segue
from segue.cli import main
from segue.hub import locate
from segue.hub.export import export

pytestmark = pytest.mark.xdist_group("small_study")


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    return export(trained()[1], tmp_path_factory.mktemp("exported") / "small", examples=2)


@pytest.fixture
def package(exported, tmp_path, monkeypatch) -> Path:
    """A package that ships one model, `tiny-artery`, and a working folder that is empty."""
    shutil.copytree(exported, tmp_path / "models" / "tiny-artery")
    (tmp_path / "models" / "no-model").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(locate, "MODELS", tmp_path / "models")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_a_shipped_name_in_three_lines(package):
    model = segue.load("tiny-artery")
    answer = model.counterfactual(model.examples(), {"calcified_plaque@mid": "+100%"})
    assert answer.image.shape == (2, 1, 16, 48) and bool(answer.image.isfinite().all())
    assert segue.shipped() == ("tiny-artery",)


def test_an_unknown_name_lists_what_there_is(package):
    with pytest.raises(segue.InputError, match=r"tiny-arteries: no run here .*\(tiny-artery\); train a run") as found:
        segue.load("tiny-arteries")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("exists", [True, False])
def test_a_package_that_ships_nothing(tmp_path, monkeypatch, exists, capsys):
    if exists:
        (tmp_path / "models").mkdir()
    monkeypatch.setattr(locate, "MODELS", tmp_path / "models")
    assert segue.shipped() == ()
    with pytest.raises(segue.InputError, match="there is none"):
        segue.load("coronary-phantom")
    assert main([]) == 0 and "shipped model (none)" in capsys.readouterr().out


def test_a_folder_comes_before_a_shipped_name(package):
    shutil.copytree(trained()[1], package / "here" / "tiny-artery")
    assert segue.load("tiny-artery", method="no_cft").variables  # the shipped one has another method


def test_the_commands_take_names_and_folders(package, exported, capsys):
    assert main(["phantom", "data", "--images", "2", "--size", "[16,48]"]) == 0
    Path("plan.yaml").write_text("interventions: [{lumen@mid: +1sd}, {lumen@mid: -1sd}]\n")
    images = sorted(str(path) for path in Path("data/images").iterdir())
    for number, model in enumerate(("tiny-artery", str(exported))):
        assert main(["variables", model]) == 0
        assert "lumen@mid" in capsys.readouterr().out
        assert main(["counterfactual", model, *images, "--do", "lumen@mid=q0.9", "--out", f"one{number}"]) == 0
        assert len(list(Path(f"one{number}").glob("*.nii.gz"))) == 2
        made = ["generate", model, "--cohort", "data", "--do", "plan.yaml", "--out", f"all{number}"]
        assert main(made) == 0
        assert json.loads(Path(f"all{number}", "summary.json").read_text())["counterfactuals"] == 4
    assert "tiny-artery" in (main([]), capsys.readouterr().out)[1]


def test_what_this_package_ships_is_sound():
    for name in segue.shipped():
        model = segue.load(name)
        low, high = model.grid.intensity.usual
        noise = torch.rand(1, model.grid.channels, *model.grid.size, generator=torch.Generator().manual_seed(0))
        images = low + (high - low) * noise
        null = model.counterfactual(images, {})
        assert null.difference.abs().max() <= 64 * torch.finfo(torch.float32).eps * (high - low)
        card = (locate.MODELS / name / "README.md").read_text()
        assert "not for clinical use" in card.lower() and "has not been judged" not in card
