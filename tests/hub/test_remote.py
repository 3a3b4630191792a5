"""Models of the Hugging Face Hub, against a hub on this machine: the code of `huggingface_hub` is the real one."""

import json
import shutil
from pathlib import Path

import huggingface_hub.constants as constants
import pytest
import torch
from fake_hub import Hub, serve

import segue
from segue.hub.locate import MODELS
from segue.hub.remote import HubName


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub, an empty cache, an empty working folder."""
    hub = Hub()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with serve(hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield hub


def test_pushed_and_loaded_it_is_the_same_model(hub, capsys):
    pinned = segue.push_to_hub(MODELS / "coronary-phantom", "clinic/vessels")
    commit = hub.repositories["clinic/vessels"][0][0]
    assert pinned == f"clinic/vessels@{commit}" and hub.private["clinic/vessels"]
    assert set(hub.repositories["clinic/vessels"][0][1]) == {"model.json", "model.safetensors", "README.md"}
    assert any(path.startswith("/lfs/") for _, path in hub.asked)  # the weights went the way of large files

    model, shipped = segue.load("clinic/vessels"), segue.load("coronary-phantom")
    assert f'segue.load("{pinned}")' in capsys.readouterr().err  # which commit it was, and how to stay with it
    images, do = shipped.examples()[:1], {"lumen@mid": "+1sd"}
    assert torch.equal(model.counterfactual(images, do).image, shipped.counterfactual(images, do).image)

    hub.commit("clinic/vessels", {"model.json": b"{}"})  # somebody breaks main
    hub.asked.clear()
    assert segue.load(pinned).variables == shipped.variables
    assert not hub.asked and not capsys.readouterr().err  # at a commit the cache is enough: no network
    with pytest.raises(segue.InputError, match=r"its model\.json is no segue model's"):
        segue.load("clinic/vessels")


def test_what_is_not_fetched(hub):
    hub.repositories["evil/model"] = []
    settings = json.loads((MODELS / "chest" / "model.json").read_text())
    for name in ("weights.pkl", "../outside.json", "pytorch_model.bin", "code.py"):
        hub.commit("evil/model", {"model.json": json.dumps(settings | {"files": {name: "0"}}).encode(), name: b"x"})
        with pytest.raises(segue.InputError, match="such files are not fetched"):
            segue.load("evil/model")
        assert not any(name in path for _, path in hub.asked)
    damaged = {name: (MODELS / "chest" / name).read_bytes() for name in ("model.json", "model.safetensors")}
    hub.commit("evil/model", damaged | {"model.safetensors": damaged["model.safetensors"][:-1] + b"0"})
    with pytest.raises(segue.InputError, match="is damaged"):
        segue.load("evil/model")


def test_no_network_unless_asked(hub, tmp_path):
    Path("mine").mkdir()
    for name in ("nothing", "runs/chest", "mine/model", "./a/b", "/tmp/none/at-all", "a/b/c", "studies/chest.yaml"):
        assert HubName.of(name) is None
        with pytest.raises(segue.InputError, match="no run here"):
            segue.load(name)
    shutil.copytree(MODELS / "chest", "clinic/vessels")
    assert segue.load("clinic/vessels").grid.unit == segue.load("chest").grid.unit  # a folder comes first
    assert not hub.asked


def test_failures_are_one_line(hub, monkeypatch):
    for name in ("clinic/nothing", "clinic/nothing@v7"):
        with pytest.raises(segue.InputError, match="clinic/nothing: no folder here, and not fetched") as said:
            segue.load(name)
        assert "\n" not in str(said.value)
    with pytest.raises(segue.InputError, match="not the name of a repository"):
        segue.push_to_hub(MODELS / "chest", "chest")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(segue.InputError, match="not uploaded"):
        segue.push_to_hub(MODELS / "chest", "clinic/chest")
