"""Models of strangers whose checksums are right: no program is started, and no setting takes the machine."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segue
from segue.errors import InputError
from segue.hub.locate import EXPORTED
from segue.sealed import checksum, sha256

SHIPPED = Path(segue.__file__).parent / "models" / "chest"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 96\n%%EndComments\nshowpage\n%%EOF\n"
MAP = {"kind": "label_map", "regions": ["upper", "mid", "lower"], "file": "map.png"}


def signed_again(folder: Path, changes: dict, **files: bytes) -> Path:
    """A copy of the chest model with other settings (by a path of keys) and further files; its checksums fit."""
    shutil.copytree(SHIPPED, folder)
    settings = json.loads((folder / EXPORTED).read_text())
    del settings["checksum"]
    for path, value in changes.items():
        *sections, key = path.split("/")
        node = settings
        for section in sections:
            node = node[section]
        node[key] = value
    for name, content in files.items():
        (folder / f"{name}.png").write_bytes(content)
        settings["files"][f"{name}.png"] = sha256(folder / f"{name}.png")
    (folder / EXPORTED).write_text(json.dumps(settings | {"checksum": checksum(settings)}))
    return folder


def test_a_map_that_is_a_program_starts_nothing(tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        pytest.fail("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    folder = signed_again(tmp_path / "eps", {"partitions/zones": MAP}, map=EPS)
    with pytest.raises(InputError, match=r"map\.png: cannot be decoded"):
        segue.load(folder)


def test_a_map_is_a_file_of_the_model(tmp_path):
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "map.png")
    for file in ("../map.png", str(tmp_path / "map.png")):
        folder = signed_again(tmp_path / f"at{len(file)}", {"partitions/zones": MAP | {"file": file}})
        with pytest.raises(InputError, match=r"map\.png: no such file"):
            segue.load(folder)


HOSTILE = {
    "corrections": [10**9, 1e9, float("nan")],
    "floor": [10**9, -1],
    "blur": [1e30, float("inf")],
    "size": [[10**6, 10**6]],
    "deformation/squarings": [10**6],
    "networks/image/depths": [[10**6] * 4, [64] * 4, [1] * 1000],
    "networks/image/widths": [[10**9] * 4, [4096] * 4],
    "networks/segmentor/width": [10**9, 4096],
    "networks/velocity/smoothing": [1e30],
    "intensity": [[float("nan"), 1.0]],
    "structures": [["x" * 300] * 3, ["two\nlines", "b", "c"]],
}


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_settings_are_refused_at_once(tmp_path, path):
    for i, value in enumerate(HOSTILE[path]):
        folder, began = signed_again(tmp_path / str(i), {path: value}), time.process_time()
        with pytest.raises(InputError) as caught:
            segue.load(folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
        assert time.process_time() - began < 30  # 1e9 corrections, or weights of gigabytes, would take longer
