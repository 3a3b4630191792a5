"""Mutated foreign files, read one after another in a process of their own: `python foreign_files.py FIRST COUNT OUT`.

Each input depends on its number alone. A line of JSON for each goes to OUT: what was read, what came of it, the
seconds of CPU time, and the process's peak memory in MB. A decoder that never ends, or dies, ends the process.
"""

import io
import json
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
import pydicom
import SimpleITK
import yaml
from dicom_file import write_dicom
from PIL import Image
from small_study import CHEST, STUDY

from segue.causal.request import Intervention
from segue.cli.arguments import pairs
from segue.cohort.folder import list_folder
from segue.cohort.folder_settings import FolderSettings
from segue.cohort.io import Pixels, decode_image, decode_labels
from segue.cohort.layout.bids import labels_of_table
from segue.cohort.layout.dataset_json import FILE, channels_in, labels_in, read_dataset
from segue.cohort.table import CohortTable
from segue.errors import InputError
from segue.generation.plan import read_plan
from segue.straightening import read_centreline
from segue.study.read import load_study

SECONDS = 20  # of CPU time, for one input
VARIABLES = ("lumen@mid", "lumen@distal", "age")
NOISE = np.random.default_rng(0).integers(0, 200, (24, 32), np.uint8)
NASTY = [
    b"", b"0", b"-1", b"1e999", b"9" * 5000, b"nan", b".inf", b"null", b"~", b"true", b"[", b"[" * 2000, b"{a: " * 500,
    b"&a [*a, *a]", b"*a", b"2024-02-31", b"x" * 300, b"\0", b"\n", b"\xff\xfe", "\u202e".encode(), b"'", b'"',
    b"=1+1", b"../../etc/passwd", b"/dev/zero", b"%s%s", b"0x" + b"f" * 3000, b",,,,", b";", b"\t",
    b"!!python/object:os.system",
]  # fmt: skip


class Kind(NamedTuple):
    """A kind of file: its content before it is changed, how it is read, and whether a checksum is of all of it."""

    content: bytes
    read: Callable[[Path], object]
    checked: bool = False
    text: bool = False


def saved(name: str, write: Callable[[Path], object]) -> bytes:
    """What a library writes."""
    path = Path(tempfile.mkdtemp()) / name
    write(path)
    return path.read_bytes()


def picture(array: np.ndarray, format: str, **how: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=format, **how)
    return stream.getvalue()


def deflated(path: Path) -> None:
    write_dicom(path, NOISE)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


def run_length(path: Path) -> None:
    write_dicom(path, NOISE)
    data = pydicom.dcmread(path)
    data.compress(pydicom.uid.RLELossless)
    data.save_as(path)


def table_rows(path: Path) -> object:
    table = CohortTable(path, dims=2, covariates=("age", "sex"), codes={"sex": {"M": 0.0, "F": 1.0}})
    return [table.row(name) for name in ("p1", "p2")]


def study_and_folder(path: Path) -> object:
    return load_study(path)


def dataset(path: Path) -> object:
    path.replace(path.with_name(FILE))
    content = read_dataset(path.parent)
    return labels_in(path, content), channels_in(content)


def decathlon(path: Path) -> object:
    path.replace(path.with_name(FILE))
    return list_folder(path.parent, FolderSettings({"heart": 1}, (8, 8), layout="decathlon"))


def bids(path: Path) -> object:
    (path.parent / "derivatives").mkdir(exist_ok=True)
    path.replace(path.parent / "derivatives" / "a_dseg.tsv")
    return labels_of_table(path.parent)


def requests(path: Path) -> object:
    text = path.read_bytes().decode(errors="replace")
    return [Intervention.parse(*one) for one in pairs(text.splitlines(), "--do", example="a=1").items()]


VTK = b"""# vtk DataFile Version 4.0
line
ASCII
DATASET POLYDATA
POINTS 3 float
0 0 0 1 1 1 2 2 2
LINES 1 4
3 0 1 2
"""
ITK = SimpleITK.GetImageFromArray(NOISE)
PLAN = b"each: {variables: [lumen@mid, age], values: [+1sd, -20%, q0.9, 4.2]}\nhold: [age]\nshard: 4\npropagate: true\n"
GRID = b"grid:\n  lumen@mid: ['-20%', '+20%']\n  lumen@distal: [3, 4]\n"
PAIR = {"image": "a.nii", "label": "b.nii"}
LABELS = {"0": "background", "1": "heart"}
DATASET = json.dumps({"labels": LABELS, "modality": {"0": "CT"}, "training": [PAIR]}).encode()
LINE = b"# proximal: first\nx,y,z,space\n0,0,0,RAS\n0,0,1.5,RAS\n0,0,3e0,RAS\n"

def image(path: Path) -> object:
    return decode_image(path, 2)


def nifti(kind: type) -> Callable[[Path], object]:
    return lambda path: nibabel.save(kind(NOISE, np.eye(4)), path)


def itk(*, packed: bool) -> Callable[[Path], object]:
    return lambda path: SimpleITK.WriteImage(ITK, str(path), packed)


KINDS: dict[str, Kind] = {
    "grey.png": Kind(picture(NOISE, "PNG"), image, checked=True),
    "deep.png": Kind(picture(NOISE.astype(np.uint16) * 100, "PNG"), image, checked=True),
    "labels.png": Kind(picture(NOISE % 4, "PNG"), decode_labels, checked=True),
    "a.jpg": Kind(picture(NOISE, "JPEG"), image),
    "raw.tif": Kind(picture(NOISE, "TIFF"), image),
    "lzw.tif": Kind(picture(NOISE, "TIFF", compression="tiff_lzw"), image),
    "deflate.tif": Kind(picture(NOISE, "TIFF", compression="tiff_adobe_deflate"), image),
    "a.nii": Kind(saved("a.nii", nifti(nibabel.Nifti1Image)), image),
    "a.nii.gz": Kind(saved("a.nii.gz", nifti(nibabel.Nifti1Image)), image, checked=True),
    "two.nii.gz": Kind(saved("a.nii.gz", nifti(nibabel.Nifti2Image)), image, checked=True),
    "a.dcm": Kind(saved("a.dcm", lambda path: write_dicom(path, NOISE)), image),
    "deflated.dcm": Kind(saved("a.dcm", deflated), image),
    "run-length.dcm": Kind(saved("a.dcm", run_length), image),
    "a.npy": Kind(saved("a.npy", lambda path: np.save(path, NOISE)), image),
    "raw.mha": Kind(saved("a.mha", itk(packed=False)), image),
    "packed.mha": Kind(saved("a.mha", itk(packed=True)), image),
    "raw.nrrd": Kind(saved("a.nrrd", itk(packed=False)), image),
    "packed.nrrd": Kind(saved("a.nrrd", itk(packed=True)), image),
    "table.csv": Kind(b"name,age,sex,subject\np1,63.5,M,s1\np2,51,F,s2\n", table_rows, text=True),
    "study.yaml": Kind(STUDY.encode(), study_and_folder, text=True),
    "chest.yaml": Kind(CHEST.format(folder="data").encode(), study_and_folder, text=True),
    "plan.yaml": Kind(PLAN, lambda path: read_plan(path, VARIABLES), text=True),
    "grid.yaml": Kind(GRID, lambda path: read_plan(path, VARIABLES), text=True),
    "requests.csv": Kind(b"id,lumen@mid,age\np1,+20%,\np2,,61\n", lambda path: plan_of_table(path), text=True),
    "do.txt": Kind(b"lumen@mid=+20%\nage=-1.5sd\nlumen@distal = q0.9\n", requests, text=True),
    "dataset.json": Kind(DATASET, dataset, text=True),
    "decathlon.json": Kind(DATASET, decathlon, text=True),
    "dseg.tsv": Kind(b"index\tname\n0\tbackground\n1\theart\n", bids, text=True),
    "line.csv": Kind(LINE, lambda path: read_centreline(path), text=True),
    "line.vtk": Kind(VTK, lambda path: read_centreline(path, proximal="first"), text=True),
}


def plan_of_table(path: Path) -> object:
    (path.parent / "plan.yaml").write_text(f"table: {path.name}")
    return read_plan(path.parent / "plan.yaml", VARIABLES)


def mutated(content: bytes, rng: random.Random, *, text: bool) -> bytes:
    """The content with one to three changes."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place, width = rng.randrange(len(found) + 1), rng.choice((1, 1, 2, 4, 16, 200))
        change = rng.choice(("flip", "set", "cut", "drop", "repeat", "number", *(("nasty",) * 4 if text else ())))
        if change == "flip" and place < len(found):
            found[place] ^= 1 << rng.randrange(8)
        elif change == "set":
            found[place : place + width] = rng.randbytes(width)
        elif change == "cut":
            del found[place:]
        elif change == "drop":
            del found[place : place + width]
        elif change == "repeat":
            found[place:place] = found[place : place + width] * rng.choice((1, 2, 50))
        elif change == "number":
            value = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
            found[place : place + 4] = value.to_bytes(4, rng.choice(("little", "big")))
        elif change == "nasty":
            found[place : place + rng.choice((0, width))] = rng.choice(NASTY)
    return bytes(found)


LEAVES = [
    None, True, -1, 0, 1, 2.5, 10**9, 10**30, -(10**6), 1e300, float("nan"), float("inf"), "", "x", "x" * 300, "a\nb",
    "../..", [], [1], ["a"], [[]], {}, {"a": 1}, {"kind": "axis"}, [0, 0], [1e9, 1e9], ["x"] * 200, "all", "none",
    "2024-02-31",
]  # fmt: skip


def changed_tree(content: bytes, rng: random.Random) -> bytes:
    """A study or plan with a value in place of another one, somewhere."""
    tree = yaml.safe_load(content)
    for _ in range(rng.randint(1, 2)):
        node: object = tree
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
            if not keys:
                break
            key, parent = rng.choice(keys), node
            node = parent[key]
            if not isinstance(node, dict | list) or not node or rng.random() < 0.15:
                parent[key] = rng.choice(LEAVES)
                break
    return yaml.safe_dump(tree).encode()


def peak_mb() -> int:
    """The most memory that this program has had; `ru_maxrss` also counts what started it."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) >> 10


def run_one(number: int, folder: Path) -> dict[str, object]:
    """Make and read one input."""
    rng = random.Random(number)
    name = rng.choice(list(KINDS))
    kind = KINDS[name]
    tree = name.endswith(".yaml") and rng.random() < 0.6
    content = changed_tree(kind.content, rng) if tree else mutated(kind.content, rng, text=kind.text)
    place = folder / str(number)
    place.mkdir()
    path, began, found = place / name, time.process_time(), {"number": number, "kind": name}
    path.write_bytes(content)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        pixels = kind.read(path)
        changed = isinstance(pixels, Pixels) and not np.array_equal(pixels.array, ORIGINAL[name])
        found |= {"result": ("garbage" if kind.checked else "other") if changed else "read"}
    except InputError as error:
        said = str(error)
        found |= {"result": "refused" if "\n" not in said and len(said) < 1500 else "long", "said": said[:300]}
    except Exception:
        found |= {"result": "traceback", "said": traceback.format_exc()[-1500:]}
    signal.setitimer(signal.ITIMER_PROF, 0)
    seconds, peak = time.process_time() - began, peak_mb()
    return found | {"seconds": round(seconds, 3), "peak_mb": peak}


ORIGINAL: dict[str, np.ndarray] = {}


def main(first: int, count: int, out: Path) -> None:
    """Read the inputs `first` to `first + count - 1`."""
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp())
    for name, kind in KINDS.items():
        (folder / name).write_bytes(kind.content)
        if kind.text:
            continue
        if isinstance(pixels := kind.read(folder / name), Pixels):
            ORIGINAL[name] = pixels.array
    with out.open("a") as stream:
        for number in range(first, first + count):
            stream.write(json.dumps({"began": number}) + "\n")
            stream.flush()
            stream.write(json.dumps(run_one(number, folder)) + "\n")
            stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
