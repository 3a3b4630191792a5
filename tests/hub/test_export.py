"""An exported model answers as its run does, holds nothing it should not, and refuses what is damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_study import CHEST, VARIABLES, trained, trained_chest, write_chest, write_study

import segue
from segue.anatomy import make_partition, partition_settings
from segue.cli import main
from segue.hub.export import LEVELS, export, halved, quantiles, stated
from segue.hub.folder import TENSORS, partition
from segue.sealed import checksum, sha256

pytestmark = pytest.mark.xdist_group("small_study")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return export(trained()[1], tmp_path_factory.mktemp("exported") / "deep" / "small", examples=3)


@pytest.fixture(scope="module")
def chest(tmp_path_factory) -> Path:
    return export(trained_chest()[1], tmp_path_factory.mktemp("exported") / "chest", examples=2, method="no_cft")


# ---- the same answers --------------------------------------------------------------------------------------------

# Half precision rounds each weight by at most 1 part in 2048. What that does grows with what is done to the image:
# images may differ by 1% of the change (root mean square), areas by 1 part in 1000 of their size.
CHANGE, AREA = 0.01, 1e-3


def images_agree(found: segue.Counterfactual, expected: segue.Counterfactual) -> bool:
    return bool((found.image - expected.image).norm() <= CHANGE * expected.difference.norm())


@pytest.mark.parametrize("request_", [4.25, "+20%", "-50 %", "+0.5sd", "q0.9", "q0.0375"])
def test_run_and_export_answer_alike(small, request_):
    run, model = segue.load(trained()[1]), segue.load(small)
    images, do = model.examples(), {"lumen@mid": request_, "calcified_plaque@distal": request_}
    expected, found = run.counterfactual(images, do), model.counterfactual(images, do)
    assert expected.difference.abs().max() > 1 and images_agree(found, expected)
    for kind in ("factual", "requested", "achieved"):
        values, wanted = getattr(found, kind), getattr(expected, kind)
        for name in VARIABLES:
            torch.testing.assert_close(values[name], wanted[name], rtol=AREA, atol=0.01)


def test_absolute_and_quantile_requests_are_the_very_same(small):
    run, model = segue.load(trained()[1]), segue.load(small)
    for request_ in (4.25, "q0.9", "q0.123"):
        expected, found = (m.counterfactual(model.examples(), {"lumen@mid": request_}) for m in (run, model))
        assert torch.equal(found.requested["lumen@mid"], expected.requested["lumen@mid"])


def test_a_percentage_is_of_what_the_exported_guide_measures(small):
    model = segue.load(small)
    found = model.counterfactual(model.examples(), {"lumen@mid": "+20%"})
    torch.testing.assert_close(found.requested["lumen@mid"], 1.2 * found.factual["lumen@mid"])


@pytest.mark.parametrize("which", ["small", "chest"])
def test_nothing_asked_nothing_changed(which, request):
    model = segue.load(request.getfixturevalue(which))
    found = model.counterfactual(model.examples(), {})
    low, high = model.grid.intensity.usual
    # x = loc + scale * ((x - loc) / scale) in float32, whatever the weights were rounded to
    assert found.difference.abs().max() <= 16 * torch.finfo(torch.float32).eps * (high - low)


def test_the_graph_travels_with_its_mechanisms_to_the_last_bit(chest):
    run, model = segue.load(trained_chest()[1], method="no_cft"), segue.load(chest)
    assert set(model.scm.graph.edges) == set(run.scm.graph.edges) and len(run.scm.graph.edges) == 3
    assert torch.equal(model.scm.sample(50, do={"heart@whole": 200.0}), run.scm.sample(50, do={"heart@whole": 200.0}))
    assert segue.load(trained()[1]).scm is None
    card = (chest / "README.md").read_text()
    assert "```mermaid" in card and "left_lung@lower" in card and "independencies that the graph implies" in card


def test_regions_that_follow_the_anatomy_and_pixels_as_unit(chest):
    run, model = segue.load(trained_chest()[1], method="no_cft"), segue.load(chest)
    assert model.grid.unit == "px" and model.variables == run.variables and model.grid.size == (32, 32)
    expected, found = (m.counterfactual(run.examples(), {"left_lung@upper": "-1sd"}) for m in (run, model))
    assert expected.difference.abs().max() > 0.1 and images_agree(found, expected)
    torch.testing.assert_close(found.factual["heart@whole"], expected.factual["heart@whole"], rtol=AREA, atol=0.01)


def test_covariates_travel_and_a_model_that_nobody_judged_says_so(tmp_path, monkeypatch, capsys):
    folder = write_chest(tmp_path / "cohort", subjects=12)
    names = sorted(path.stem for path in (folder / "images").iterdir())
    rows = [f"{name},{name[:3]},{40 + i}" for i, name in enumerate(names)]
    (folder / "table.csv").write_text("\n".join(["id,subject,age", *rows]))
    text = CHEST.format(folder=folder).replace("  size: [32, 32]", "  size: [32, 32]\n  covariates: [age]")
    study = write_study(tmp_path, text)
    for stage in ("pretrain", "scm"):
        assert main([stage, str(study), "--runs", str(tmp_path / "runs")]) == 0
    run = segue.load(tmp_path / "runs" / "chest")
    model = segue.load(export(tmp_path / "runs" / "chest", tmp_path / "out", examples=2))
    assert model.variables == run.variables and model.variables[-1] == "age"
    expected, found = (
        m.counterfactual(model.examples(), {"age": "+1sd"}, covariates={"age": torch.tensor([50.0, 60])})
        for m in (run, model)
    )
    assert torch.equal(found.requested["age"], expected.requested["age"])
    assert images_agree(found, expected)
    assert torch.equal(run.space.correlation, model.space.correlation)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "has not been judged" in card
    monkeypatch.chdir(tmp_path)
    exec(card.split("```python")[1].split("```")[0], {})  # the card's snippet runs as it is pasted
    assert "Counterfactual of 2 images" in capsys.readouterr().out


# ---- what is in the folder ---------------------------------------------------------------------------------------


def test_weights_are_halves_on_disk_and_float32_in_memory(small):
    with safe_open(small / "model.safetensors", "np") as tensors:
        kinds = {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118  # not a mapping
        mean = tensors.get_tensor("mean")
    checked = {kinds.pop(name) for name in list(kinds) if name.startswith("inputs.")}
    exact = {"mean", "sd", "marginal", "correlation", "examples"}
    assert {kinds[name] for name in exact} == {"F32"} and {kinds[name] for name in kinds.keys() - exact} == {"F16"}
    assert checked == {"F32", "F64"}
    run, model = segue.load(trained()[1]), segue.load(small)
    assert {p.dtype for p in model.mechanism.parameters()} == {torch.float32}
    assert np.array_equal(mean, run.parents.mean.numpy())
    rounded = dict(model.mechanism.named_parameters())
    for name, weight in run.mechanism.named_parameters():
        np.testing.assert_array_equal(rounded[name].numpy(), weight.numpy().astype(np.float16), err_msg=name)


def test_the_folder_holds_no_path_and_nobodys_row(chest):
    _, run, folder = trained_chest()
    assert {path.name for path in chest.iterdir()} == {"model.json", "model.safetensors", "README.md"}
    for path in chest.iterdir():
        for private in (folder, run):
            assert str(private.parent).encode() not in path.read_bytes()
    with safe_open(chest / "model.safetensors", "np") as tensors:
        assert (np.diff(tensors.get_tensor("marginal"), axis=0) >= 0).all()  # sorted, each variable on its own


def test_no_images_unless_asked_for(tmp_path):
    model = segue.load(export(trained()[1], tmp_path / "out"))
    with pytest.raises(segue.InputError, match="no example images"):
        model.examples()


def test_examples_are_test_images_of_the_store(small):
    from segue.cohort import Store

    store = Store(trained()[1] / "prepare" / "cohort.zarr")
    test = store.read(store.indices("test"))["image"]
    examples = segue.load(small).examples()
    assert examples.shape == (3, 1, 16, 48)
    assert all(any(torch.equal(image, other) for other in test) for image in examples)


def test_many_training_values_become_quantiles():
    values = torch.randn(7001, 2, generator=torch.Generator().manual_seed(0)).sort(dim=0).values
    kept = quantiles(values)
    assert kept.shape == (LEVELS, 2)
    for level in (0, 0.0005, 0.05, 0.5, 0.9, 1):
        expected = np.quantile(values.numpy(), level, axis=0)
        np.testing.assert_allclose(kept.quantile(level, dim=0).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    "part",
    [
        {"kind": "axis", "axis": 1, "regions": ("a", "b"), "cuts": (0.4,), "softness": 0.1},
        {"kind": "extent", "axis": 0, "regions": ("a", "b", "c"), "margin": 0.06},
        {"kind": "polar", "regions": tuple("abcd"), "rings": (0.4,), "start": 30.0, "clockwise": True, "softness": 0.1},
        {"kind": "whole"},
        {"kind": "label_map", "regions": ("a", "b"), "file": "rings.v2.npy"},
    ],
)
def test_partitions_come_back(tmp_path, part):
    if "file" in part:
        np.save(tmp_path / part["file"], np.arange(24).reshape(4, 6) % 3)
        part = part | {"file": tmp_path / part["file"]}
    (tmp_path / "out").mkdir()
    written = json.loads(json.dumps(stated(tmp_path / "out", "rings", partition_settings(part))))
    assert str(tmp_path) not in json.dumps(written)
    found = partition(tmp_path / "out", written)
    expected = make_partition(**part)
    mask = torch.zeros(1, 8, 12)
    mask[:, 2:7, 3:9] = 1
    assert torch.equal(found.weights(found.frame(mask), (8, 12)), expected.weights(expected.frame(mask), (8, 12)))


# ---- the input check ---------------------------------------------------------------------------------------------


def without_check(folder: Path, out: Path) -> Path:
    """A copy as an earlier version exported it."""
    shutil.copytree(folder, out)
    tensors = {name: one for name, one in load_file(out / TENSORS).items() if not name.startswith("inputs.")}
    save_file(tensors, out / TENSORS)
    settings = json.loads((out / "model.json").read_text())
    settings["files"][TENSORS] = sha256(out / TENSORS)
    (out / "model.json").write_text(json.dumps(settings | {"checksum": checksum(settings)}))
    (out / "README.md").write_text((out / "README.md").read_text().split("\n## Input check\n")[0])
    return out


def test_the_input_check_of_the_run_travels(small):
    run, model = segue.load(trained()[1]).input_check.typical, segue.load(small).input_check.typical
    assert run.images == 18 and run.false_alarm == 1 / 19  # 12 images of the judge's, 6 of validation
    assert (model.limit, dict(sorted(model.usual.items()))) == (run.limit, dict(sorted(run.usual.items())))
    assert "calibrated on 18 held-out images" in (small / "README.md").read_text()


def test_a_cohort_of_too_few_held_out_images_has_no_check(chest):
    assert segue.load(trained_chest()[1], method="no_cft").input_check is None
    assert segue.load(chest).input_check is None and "This model has none" in (chest / "README.md").read_text()


def test_a_check_is_added_to_an_earlier_export_and_nothing_else_changes(small, tmp_path, capsys):
    folder = without_check(small, tmp_path / "earlier")
    assert segue.load(folder).input_check is None
    for _ in range(2):
        assert main(["export", str(trained()[1]), "--add-check", str(folder)]) == 0
    assert capsys.readouterr().out.split() == [str(folder)] * 2
    before, after = load_file(small / TENSORS), load_file(folder / TENSORS)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], one) for name, one in before.items() if not name.startswith("inputs."))
    # the ranges are those of the weights in half precision
    expected, found = (segue.load(one).input_check.typical for one in (small, folder))
    for name, usual in expected.usual.items():
        np.testing.assert_allclose(found.usual[name], usual, rtol=0.02, atol=0.02, err_msg=name)
    assert (folder / "README.md").read_text() == (small / "README.md").read_text()


def test_a_check_of_another_cohort_or_of_no_model_is_refused(small, chest, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in chest.iterdir()}
    wrong = [["--add-check", str(chest)], ["--add-check", str(tmp_path)], [], ["--add-check", "a", "--out", "b"]]
    said = ["the run that the model was exported from", "no exported model here", *["give --out FOLDER"] * 2]
    for arguments, text in zip(wrong, said, strict=True):
        assert main(["export", str(trained()[1]), *arguments]) == 2
        assert text in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in chest.iterdir()} == before


# ---- refusals ----------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(bytes(content))


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text()) | changes
    if path.name == "done.json":  # as earlier versions wrote it
        content.pop("checksum", None)
    path.write_text(json.dumps(content))


DAMAGE = {
    "one bit": (lambda f: flip(f / "model.safetensors"), r"model\.safetensors: is damaged"),
    "cut short": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:99]),
        r"model\.safetensors: is damaged",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: is missing"),
    "edited": (lambda f: edit(f / "model.json", intensity=[0, 1]), r"model\.json: is damaged or was edited"),
    "no JSON": (lambda f: (f / "model.json").write_text("{"), r"model\.json: is damaged"),
    "other JSON": (lambda f: (f / "model.json").write_text("[3]"), r"model\.json: is damaged"),
    "bytes": (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), r"model\.json: is damaged"),
    "tomorrow's": (lambda f: edit(f / "model.json", format="segue-model-2"), "segue-model-2.*install"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_folder_is_one_line(small, tmp_path, kind):
    shutil.copytree(small, tmp_path / "m")
    damage, expected = DAMAGE[kind]
    damage(tmp_path / "m")
    with pytest.raises(segue.InputError, match=expected) as found:
        segue.load(tmp_path / "m")
    assert "\n" not in str(found.value)


def test_networks_that_do_not_fit_this_version(small, tmp_path):

    shutil.copytree(small, tmp_path / "m")
    settings = json.loads((tmp_path / "m" / "model.json").read_text())
    settings["networks"]["image"]["knobs"] = 3
    settings["checksum"] = checksum(settings)
    (tmp_path / "m" / "model.json").write_text(json.dumps(settings))
    with pytest.raises(segue.InputError, match=r"exported by segue .* does not fit"):
        segue.load(tmp_path / "m")


def test_the_card_may_be_edited(small, tmp_path):
    shutil.copytree(small, tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("mine")
    segue.load(tmp_path / "m")


def test_another_method_than_the_exported(small):
    with pytest.raises(segue.InputError, match="no_cft is not in it; this exported model is segue"):
        segue.load(small, method="no_cft")


def test_a_run_of_several_minds_is_not_exported(tmp_path):
    run = tmp_path / "small"
    shutil.copytree(trained()[1], run)
    edit(run / "segmentor" / "done.json", fingerprint="another")
    with pytest.raises(segue.InputError, match="measure was done with an earlier segmentor"):
        export(run, tmp_path / "out")
    shutil.copy(trained()[1] / "segmentor" / "done.json", run / "segmentor")
    edit(run / "finetune" / "segue" / "done.json", fingerprint="another")
    with pytest.raises(segue.InputError, match="evaluate was done with an earlier finetune/segue"):
        export(run, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"small"}


@pytest.mark.parametrize("weight", [7e4, torch.nan])
def test_weights_beyond_half_precision_are_refused(weight):
    net = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(net.weight, weight)
    with pytest.raises(segue.InputError, match=r"net\.weight: holds weights"):
        halved(net, "net.")


def test_what_an_export_refuses(tmp_path, capsys):
    run = trained()[1]
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("")
    ask = ["export", str(run), "--out"]
    for arguments, expected in (
        ([*ask, str(tmp_path / "there")], "there: exists already"),
        ([*ask, str(tmp_path / "new"), "--method", "seg_cfd"], "seg_cfd is not trained"),
        ([*ask, str(tmp_path / "new"), "--examples", "-1"], "give a number of images"),
        ([*ask, str(tmp_path / "new"), "--notes", str(tmp_path / "none.md")], "none.md: cannot be read"),
        ([*ask, str(tmp_path / "file" / "new")], "new: cannot be written"),
        (["export", str(tmp_path), "--out", str(tmp_path / "new")], "no run here"),
        (["export", str(run)], "give --out FOLDER"),
    ):
        capsys.readouterr()
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("segue: ") and expected in line
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file"}
