"""A MONAI bundle, run and verified by MONAI's own tools."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigParser, verify_net_in_out

import segue
from segue.bridges.bundle import export_bundle
from segue.cli import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "artery"
    assert main(["export", "coronary-phantom", "--monai-bundle", "--out", str(out)]) == 0
    return out


def test_monai_verifies_what_goes_in_and_out(bundle, monkeypatch):
    monkeypatch.chdir(bundle)
    verify_net_in_out("network_def", "configs/metadata.json", "configs/inference.json", device="cpu")
    about = json.loads(Path("configs/metadata.json").read_text())
    assert about["network_data_format"]["inputs"]["image"]["spatial_shape"] == [48, 144]
    wanted = {"version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors",
              "copyright", "network_data_format", "changelog", "schema"}  # fmt: skip
    assert wanted <= set(about)
    assert {path.suffix for path in Path("models").iterdir()} == {".json", ".md", ".safetensors"}  # no pickle


def test_the_configuration_answers_a_folder(bundle, tmp_path):
    model = segue.load("coronary-phantom")
    (tmp_path / "images").mkdir()
    for i, image in enumerate(model.examples()[:2]):
        written = nibabel.Nifti1Image(image[0].numpy(), np.diag([0.25, 0.25, 1, 1]))
        nibabel.save(written, tmp_path / "images" / f"p{i}.nii.gz")
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    do = {"lumen@mid": "-1sd"}
    given = {"bundle_root": str(bundle), "dataset_dir": str(tmp_path / "images"), "output_dir": str(tmp_path / "eval")}
    parser.update({**given, "do": do})
    (found,) = parser.get_parsed_content("run")
    answer = model.counterfactual(model.examples()[:2], do)
    assert [path.name for path in found] == ["p0_counterfactual.nii.gz", "p1_counterfactual.nii.gz"]
    for i in range(2):
        saved = nibabel.load(tmp_path / "eval" / f"p{i}_counterfactual.nii.gz")
        found_image = saved.get_fdata(dtype=np.float32)
        np.testing.assert_allclose(found_image, answer.image[i, 0].numpy(), atol=0.01)  # HU; batches of one and of two
        assert saved.header.get_zooms() == (0.25, 0.25)


def test_refusals(bundle, tmp_path):
    with pytest.raises(segue.InputError, match="exists already"):
        export_bundle("coronary-phantom", bundle)
    with pytest.raises(segue.InputError, match="no run here"):
        export_bundle("nothing", tmp_path / "b")
    assert not list(tmp_path.iterdir())
