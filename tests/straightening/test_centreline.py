"""Centrelines from tables, from VTK (files that VTK 9.7 wrote) and from masks."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from helix import AFFINE, LENGTH, foot_points, helix
from scipy.spatial import cKDTree

from segue.errors import InputError
from segue.straightening import VesselSection, read_centreline
from segue.straightening.centreline import Centreline
from segue.straightening.skeleton import longest_path
from segue.straightening.tube import make_tube

VTK = Path(__file__).parent / "vtk"
POINTS = np.array([(0, 0, 0), (1, 0.5, 2), (2, 0.25, 4), (2.5, -0.5, 7)])


def written(tmp_path: Path, text: str, name: str = "line.csv") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


@pytest.mark.parametrize(
    "text",
    [
        "# proximal: first\nx,y,z\n1,2,3\n4,5,6\n",
        "# space: LPS\n# Proximal = last\nname;X;Y;Z\na;-4;-5;6\nb;-1;-2;3\n",
        "\ufeffx\ty\tz\tproximal\n1\t2\t3\tfirst\n4\t5\t6\tfirst\n",
        "x y z space proximal\n-4 -5 6 lps last\n-1 -2 3 lps last\n",
    ],
)
def test_tables(tmp_path, text):
    assert read_centreline(written(tmp_path, text)).points.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("x,y,z\n1,2,3\n4,5,6\n", {}, "does not say which end is proximal; give --proximal, one of first, last"),
        ("# proximal: first\nx,y,z\n1,2,3\n4,5,6\n", {"proximal": "last"}, "states proximal first, and last was given"),
        ("x,y,z,space\n1,2,3,LPS\n4,5,6,LPS\n", {"proximal": "first", "space": "RAS"}, "states space LPS"),
        ("x,y,z\n1,2,3\n4,five,6\n", {"proximal": "first"}, "row 3 is 4, five, 6"),
        ("x,y,z\n1,2,3\n4,nan,6\n", {"proximal": "first"}, "row 3"),
        ("1,2,3\n4,5,6\n", {"proximal": "first"}, "give a header with columns x, y, z"),
        ("", {"proximal": "first"}, "begins with nothing"),
        ("x,y,z\n1,2,3\n", {"proximal": "first"}, "give two points or more"),
        ("x,y,z\n1,2,3\n4,5,6\n", {"proximal": "up"}, "proximal is 'up'; choose from first"),
        ("x,y,z\n1,2,3\n4,5,3\n", {"proximal": "superior"}, "equally far superior"),
        ("x,y,z,proximal\n1,2,3,first\n4,5,6,last\n", {}, "column proximal holds 2 different words"),
    ],
)
def test_tables_that_do_not_say_enough(tmp_path, text, given, said):
    with pytest.raises(InputError, match=said) as found:
        read_centreline(written(tmp_path, text), **given)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", sorted(path.name for path in VTK.iterdir() if "bin.vtk" not in path.name))
def test_vtk(name):
    wanted = POINTS[[0, 3]] if name.startswith("two") else POINTS[[3, 1, 0, 2]]
    found = read_centreline(VTK / name, proximal="first", part=1 if name.startswith("two") else None)
    np.testing.assert_allclose(found.points, wanted, atol=1e-6)


def test_vtk_that_is_refused(tmp_path):
    def refused(path: Path, **given) -> str:
        with pytest.raises(InputError) as found:
            read_centreline(path, proximal="first", **given)
        assert str(found.value).startswith(str(path)) and "\n" not in str(found.value)
        return str(found.value)

    assert "has 2 lines; choose one with --part 0 to 1" in refused(VTK / "two_appended_zlib.vtp")
    assert "no line 2" in refused(VTK / "two_appended_zlib.vtp", part=2)
    assert "binary legacy file" in refused(VTK / "one_legacy51bin.vtk")
    for name in ("one_binary_none.vtp", "one_appendedraw_zlib.vtp", "one_legacy42.vtk"):
        content = (VTK / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 3])
        assert "save it again" in refused(tmp_path / name)
    surface = (VTK / "one_ascii_none.vtp").read_text().replace('"PolyData"', '"UnstructuredGrid"')
    assert "not PolyData" in refused(written(tmp_path, surface, "grid.vtp"))
    assert "no such file" in refused(tmp_path / "none.vtp")
    assert "not a centreline that is read" in refused(written(tmp_path, "{}", "line.json"))


def test_directions_name_the_proximal_end():
    words = ("superior", "left", "posterior", "anterior")
    ends = [Centreline.of(4 * POINTS, proximal=word).points[0].tolist() for word in words]
    assert ends == [[10, -2, 28], [0, 0, 0], [10, -2, 28], [0, 0, 0]]
    in_lps = Centreline.of(4 * POINTS, proximal="left", space="LPS").points[0]
    assert in_lps.tolist() == [-10, 2, 28]


def test_the_centreline_of_a_mask_is_that_of_its_tube(tmp_path):
    pytest.importorskip("skimage")
    distance, _ = foot_points()
    mask = (distance < 1.7).astype(np.uint8)
    mask[2:5, 2:5, 2:5] = 1  # something else that is smaller
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), path := tmp_path / "mask.nii.gz")
    found = read_centreline(path, proximal="superior")
    assert found.points[0, 2] > found.points[-1, 2]
    curve = make_tube(found, VesselSection(step=1)).curve
    off = cKDTree(helix(20_001)).query(curve.at(np.linspace(1, curve.length - 1, 200)))[0]
    assert np.sqrt((off**2).mean()) < 0.6 and abs(curve.length - LENGTH) < 3
    with pytest.raises(InputError, match="a mask has no first point"):
        read_centreline(path, proximal="first")
    nibabel.save(nibabel.Nifti1Image(mask + np.uint8(2) * (distance < 1), AFFINE), path)
    with pytest.raises(InputError, match="has labels 1, 3; name the vessel's with --part"):
        read_centreline(path, proximal="superior")
    with pytest.raises(InputError, match="not 7"):
        read_centreline(path, proximal="superior", part=7)


def test_the_longest_path_of_a_fork():
    pytest.importorskip("skimage")
    mask = np.zeros((30, 5, 40), dtype=bool)
    mask[15, 2, 2:38] = True
    mask[16:22, 2, 20] = True  # a short side branch
    path = longest_path(mask, np.diag([1.0, 1, 1, 1]))
    assert len(path) == 36 and (path[:, 0] <= 16).all()  # one voxel off where the branch leaves
    far = longest_path(mask, np.diag([9.0, 1, 1, 1]))  # in mm the side branch is the longer one
    assert far[:, 0].max() == 21
