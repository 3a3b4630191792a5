"""`segue straighten`: files there and back."""

import json

import nibabel
import numpy as np
import pytest
from helix import AFFINE, LUMEN, blurred_tube, foot_points, helix

from segue import Centreline, VesselSection, straighten
from segue.cli import main
from segue.straightening.map_files import map_of


@pytest.fixture
def case(tmp_path, monkeypatch):
    """A folder with a CT in 16 bits and a centreline, the proximal end stated."""
    monkeypatch.chdir(tmp_path)
    ct = np.rint(blurred_tube(foot_points()[0], LUMEN) - 100).astype(np.int16)
    image = nibabel.Nifti1Image(ct, AFFINE)
    image.header["descrip"] = b"scanner A"
    nibabel.save(image, "ct.nii.gz")
    rows = "\n".join(",".join(f"{value:.6f}" for value in point) for point in helix()[::-1] * [-1, -1, 1])
    (tmp_path / "line.csv").write_text(f"# proximal: last\n# space: LPS\nx,y,z\n{rows}\n")
    return ct


OPTIONS = ["--centreline", "line.csv", "--radius", "4", "--step", "0.5"]


def refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["straighten", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("kind", ["slices", "volume"])
def test_there_edit_and_back(case, tmp_path, capsys, kind):
    given = ["--planes", "2"] if kind == "slices" else ["--kind", "volume"]
    assert main(["straighten", "ct.nii.gz", *OPTIONS, *given, "--out", "lad.nii.gz"]) == 0
    files = capsys.readouterr().out.split()
    assert files == (["lad_000.0.nii.gz", "lad_090.0.nii.gz"] if kind == "slices" else ["lad.nii.gz"])
    truth = straighten("ct.nii.gz", Centreline(helix()), VesselSection(radius=4, step=0.5, planes=2))
    loaded = [nibabel.load(name) for name in files]
    found = np.stack([one.get_fdata(dtype=np.float32) for one in loaded])
    np.testing.assert_allclose(found if kind == "slices" else found[0], getattr(truth, kind), atol=1e-2)
    assert all(zoom == 0.5 for one in loaded for zoom in one.header.get_zooms())
    for one, name in zip(loaded, files, strict=True):
        edited = one.get_fdata(dtype=np.float32)
        edited[..., 20:40] += 50
        nibabel.save(nibabel.Nifti1Image(edited, one.affine), f"edited_{name}")
    back = ["--back", *(f"edited_{name}" for name in files), "--along", "lad.json", "--out", "back.nii.gz"]
    assert main(["straighten", "ct.nii.gz", *back]) == 0
    result = nibabel.load("back.nii.gz")
    stored = np.asarray(result.dataobj)
    assert stored.dtype == np.int16 and bytes(result.header["descrip"]).startswith(b"scanner A")
    np.testing.assert_array_equal(result.affine, nibabel.load("ct.nii.gz").affine)
    changed = stored != case
    assert (stored - case).max() == 50 and (stored - case).min() >= 0 and 0 < changed.mean() < 0.05
    assert main(["straighten", "ct.nii.gz", "--back", *files, "--along", "lad.json", "--out", "same.nii.gz"]) == 0
    assert np.array_equal(np.asarray(nibabel.load("same.nii.gz").dataobj), case)


def test_the_map_says_what_it_is_of(case, tmp_path):
    main(["straighten", "ct.nii.gz", *OPTIONS, "--out", "lad.nii.gz"])
    stated = json.loads(map_of(tmp_path / "lad.nii.gz").read_text())
    assert stated["volume"] == "ct.nii.gz" and stated["section"]["radius"] == 4
    np.testing.assert_allclose(stated["centreline"]["points"], helix(), atol=1e-5)


def test_refusals_leave_nothing(case, tmp_path, capsys):
    before = {path.name for path in tmp_path.iterdir()}
    out = ["--out", "a.nii.gz"]
    assert "give --centreline POINTS; or --back" in refused(capsys, "ct.nii.gz", *out)
    assert "--kind tube: choose slices or volume" in refused(capsys, "ct.nii.gz", *OPTIONS, *out, "--kind", "tube")
    assert "none.nii.gz: no such file" in refused(capsys, "none.nii.gz", *OPTIONS, *out)
    assert "straightened images are NIfTI" in refused(capsys, "ct.nii.gz", *OPTIONS, "--out", "a.png")
    assert "states proximal last" in refused(capsys, "ct.nii.gz", *OPTIONS, *out, "--proximal", "first")
    assert "radius is -1" in refused(capsys, "ct.nii.gz", "--centreline", "line.csv", "--radius=-1", *out)
    assert "no map of a straightened vessel" in refused(
        capsys, "ct.nii.gz", "--back", "ct.nii.gz", "--along", "line.csv", *out
    )
    assert {path.name for path in tmp_path.iterdir()} == before


def test_another_volume_and_another_size_are_refused(case, capsys):
    main(["straighten", "ct.nii.gz", *OPTIONS, "--out", "lad.nii.gz"])
    nibabel.save(nibabel.Nifti1Image(case + np.int16(1), AFFINE), "other.nii.gz")
    back = ["--along", "lad.json", "--out", "b.nii.gz", "--back"]
    assert "is not what lad.json was made of; give that volume (ct.nii.gz)" in refused(
        capsys, "other.nii.gz", *back, "lad.nii.gz"
    )
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4), np.float32), np.eye(4)), "small.nii.gz")
    assert "the edit has shape (1, 4, 4)" in refused(capsys, "ct.nii.gz", *back, "small.nii.gz")
    assert "lad.nii.gz: exists already" in refused(capsys, "ct.nii.gz", *OPTIONS, "--out", "lad.nii.gz")
