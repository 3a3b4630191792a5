"""`segue init` looks at a stranger's folder, and writes a study that runs as it is."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from small_study import write_chest

from segue.cli import main
from segue.cohort import Store
from segue.study.read import load_study

NETWORKS = (
    "--segmentor.width=8 --judge.width=8 --regressor.width=8 --hvae.widths=[8,16] --hvae.depths=[1,1] "
    "--hvae.latent=2 --hvae.reach=2 --hvae.head=8 --evaluate.images=6 --evaluate.rows=1 --evaluate.bootstrap=20"
)
BUDGETS = [
    f"--{key}.budget.{what}"
    for key in ("segmentor", "judge", "regressor", "hvae", "finetune")
    for what in ("steps=2", "batch_size=4")
]
TINY = [*NETWORKS.split(), *BUDGETS, "--precision=no"]


def drawn(folder, place):
    """The chest cohort's images and masks, which `place(folder, name, image, mask)` stores elsewhere."""
    source = write_chest(folder / "drawn", subjects=12)
    for path in sorted((source / "images").iterdir()):
        arrays = [np.asarray(Image.open(one)) for one in (path, source / "masks" / path.name)]
        place(folder / "cohort", path.stem, *arrays)
    return folder / "cohort"


def png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def nifti(path, array, spacing=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([spacing, spacing, spacing, 1])), path)


def as_organs(folder, name, image, mask):
    png(folder / "scans" / f"{name}.png", image)
    for label, organ in enumerate(("left_lung", "no", "heart"), start=1):
        png(folder / "seg" / organ / f"{name}.png", ((mask == label) * 255).astype(np.uint8))


def as_nnunet(folder, name, image, mask):
    nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image.astype(np.int16) * 8 - 1000, 0.7)
    nifti(folder / "labelsTr" / f"{name}.nii.gz", mask, 0.7)
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "left lung": 1, "right lung": 2, "heart": 3}}
    (folder / "dataset.json").write_text(json.dumps(content | {"file_ending": ".nii.gz", "numTraining": 24}))


def as_bids(folder, name, image, mask):
    subject, view = name.split("_")
    stem = f"sub-{subject}_run-{ord(view)}"
    nifti(folder / f"sub-{subject}" / "anat" / f"{stem}_T1w.nii.gz", image.astype(np.float32) * 3.7)
    nifti(folder / "derivatives" / "manual" / f"sub-{subject}" / f"{stem}_dseg.nii.gz", mask)


def as_suffixes(folder, name, image, mask):
    subject, view = name.split("_")
    png(folder / subject / f"{view}_image.png", image)
    png(folder / subject / f"{view}_mask.png", mask)


def as_volumes(folder, name, image, mask):
    """Decathlon: shallow volumes of the slice and its neighbours, which are fainter."""
    if name.endswith("b"):
        return
    nifti(
        folder / "imagesTr" / f"{name}.nii.gz", np.stack([image * 0.5] * 6 + [image] * 12, axis=-1).astype(np.float32)
    )
    nifti(folder / "labelsTr" / f"{name}.nii.gz", np.stack([mask * 0] * 6 + [mask] * 12, axis=-1))
    pairs = [
        {"image": f"./imagesTr/{one.name}", "label": f"./labelsTr/{one.name}"}
        for one in sorted((folder / "imagesTr").iterdir())
    ]
    labels = {"0": "background", "1": "Anterior", "2": "Posterior", "3": "Rest"}
    (folder / "dataset.json").write_text(json.dumps({"training": pairs, "labels": labels, "modality": {"0": "MRI"}}))


LAYOUTS = {
    "organs": (as_organs, "structures.heart seg/heart/{name}", {"left_lung", "no", "heart"}, "[0, 255]", 12),
    "nnunet": (as_nnunet, "layout nnunet", {"left_lung", "right_lung", "heart"}, "CT, in HU", 12),
    "bids": (as_bids, "layout bids", {"label_1", "label_2", "label_3"}, "percentiles: [0.5, 99.5]", 12),
    "suffixes": (as_suffixes, "images {subject}/{name}_image", {"label_1", "label_2", "label_3"}, "[0, 255]", 12),
    "decathlon": (as_volumes, "layout decathlon", {"Anterior", "Posterior", "Rest"}, "percentiles", 12),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_strangers_folder_is_found_and_its_study_measures(tmp_path, capsys, kind):
    place, layout, structures, intensity, subjects = LAYOUTS[kind]
    folder, file = drawn(tmp_path, place), tmp_path / "study.yaml"
    assert main(["init", str(folder), "-o", str(file)]) == 0
    said = capsys.readouterr().out
    assert layout in said and f"subjects: {subjects}" in said and intensity in file.read_text()
    study = load_study(file)
    assert set(study.cohort.structures) == structures
    size = "[16,16]" if len(study.cohort.size) == 2 else "[16,16,16]"
    options = [*TINY, "--runs", str(tmp_path / "runs"), "--cohort.size", size]
    assert main(["measure", str(file), *options]) == 0
    store = Store(tmp_path / "runs" / study.name / "prepare" / "cohort.zarr")
    assert store.table["subject"].n_unique() == subjects and store.structures == tuple(study.cohort.structures)
    assert not np.isnan(store.read(np.arange(2))["image"].numpy()).any()


def test_a_study_that_init_wrote_runs_to_its_report(tmp_path, capsys):
    folder, file = write_chest(tmp_path / "My chests", subjects=12), tmp_path / "new" / "study.yaml"
    (folder / "table.csv").write_text("name;age;sex\n" + "".join(f"p{i:02d}_a;{50 + i};F\n" for i in range(12)))
    assert main(["init", str(folder), "-o", str(file)]) == 0
    said = capsys.readouterr().out
    assert "images: 24, masks: 24, subjects: 12" in said and "sizes 40 x 48 (24)" in said
    assert "label_3 in 24 of 24 masks" in said and "table.csv: age, sex" in said
    assert main(["run", str(file), *TINY, "--runs", str(tmp_path / "runs"), "--cohort.size", "[16,16]"]) == 0
    assert (tmp_path / "runs" / "my-chests" / "report" / "report.html").exists()
    assert main(["init", str(folder), "-o", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_folder_of_no_known_layout_is_one_line(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing")
    assert main(["init", str(tmp_path), "-o", str(tmp_path / "study.yaml")]) == 2
    error = capsys.readouterr().err
    assert "its layout is not known" in error and "cohort.images" in error and error.count("\n") == 1
    assert not Path(tmp_path / "study.yaml").exists()
