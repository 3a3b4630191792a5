"""The studies of chest, heart and hippocampus run from folders that are laid out as other people do it."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_study import write_chest
from small_volumes import write_volumes
from test_init import TINY, nifti, png

from segue.cli import main
from segue.cohort.io import decode_image, decode_labels

STUDIES = Path(__file__).parents[2] / "studies"
TINY_METHOD = "{tiny: {moves: true, at_once: 2, budget: {steps: 2, batch_size: 4}}}"
SMALLEST = [
    *TINY, "--deformation.widths=[8,8]", "--finetune.guides=[none]", f"--finetune.variants={TINY_METHOD}",
    "--cohort.split={guide: 0.5, judge: 0.2, validation: 0.1, test: 0.2}",
]  # fmt: skip


def chest(folder: Path) -> list[str]:
    """Radiographs by patient, each organ in a file of its own."""
    source = write_chest(folder / "drawn", subjects=12)
    for path in sorted((source / "images").iterdir()):
        image, mask = decode_image(path, 2).array, decode_labels(source / "masks" / path.name).array
        png(folder / "cohort" / path.stem / "film.png", image)
        for label, organ in enumerate(("left_lung", "right_lung", "heart"), start=1):
            png(folder / "cohort" / path.stem / f"{organ}.png", ((mask == label) * 255).astype(np.uint8))
    organs = ", ".join(f"{organ}: '{{name}}/{organ}.png'" for organ in ("left_lung", "right_lung", "heart"))
    return ["--cohort.images={name}/film.png", f"--cohort.structures={{{organs}}}", "--cohort.size=[32,32]"]


def heart(folder: Path) -> list[str]:
    """Short-axis slices in nnU-Net's layout: a cavity, the wall around it, and the other ventricle beside it."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:36, :40] - 18.0
    for case in range(12):
        labels, wall = np.zeros((36, 40), np.uint8), random.uniform(8, 11)
        labels[(rows / 12) ** 2 + ((columns + 8) / 9) ** 2 < 1] = 1
        labels[rows**2 + columns**2 < wall**2] = 2
        labels[rows**2 + columns**2 < random.uniform(4, 6) ** 2] = 3
        grey = np.array([40, 160, 90, 180])[labels] + random.normal(0, 8, labels.shape)
        name = f"patient{case:03d}_ed"
        nifti(folder / "cohort" / "imagesTr" / f"{name}_0000.nii.gz", grey.astype(np.float32))
        nifti(folder / "cohort" / "labelsTr" / f"{name}.nii.gz", labels)
    names = {"background": 0, "right ventricle": 1, "myocardium": 2, "left ventricle": 3}
    content = {"channel_names": {"0": "MR"}, "labels": names, "file_ending": ".nii.gz", "numTraining": 12}
    (folder / "cohort" / "dataset.json").write_text(json.dumps(content))
    return ["--cohort.layout=nnunet", "--cohort.size=[32,32]"]


def hippocampus(folder: Path) -> list[str]:
    """Volumes in the layout of the Medical Segmentation Decathlon, stored from the other side."""
    source, cohort = write_volumes(folder / "drawn"), folder / "cohort"
    pairs = []
    for path in sorted((source / "images").iterdir()):
        nifti(cohort / "imagesTr" / path.name, decode_image(path, 3).array[::-1].copy())
        nifti(cohort / "labelsTr" / path.name, decode_labels(source / "masks" / path.name).array[::-1].copy())
        pairs.append({"image": f"./imagesTr/{path.name}", "label": f"./labelsTr/{path.name}"})
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    (cohort / "dataset.json").write_text(json.dumps({"training": pairs, "labels": labels, "modality": {"0": "MRI"}}))
    small = ["--segmentor.patch=1", "--judge.patch=1", "--cohort.size=[16,24,16]"]
    return ["--cohort.layout=decathlon", "--cohort.axes=LAS", *small]


@pytest.mark.parametrize(
    ("study", "place"), [("chest-small", chest), ("cardiac-sectors", heart), ("hippocampus", hippocampus)]
)
def test_a_study_runs_from_a_strangers_layout(tmp_path, study, place):
    options = [*place(tmp_path), "--cohort.folder", str(tmp_path / "cohort"), "--runs", str(tmp_path / "runs")]
    assert main(["run", str(STUDIES / f"{study}.yaml"), *SMALLEST, *options]) == 0
    run = tmp_path / "runs" / study
    found = json.loads((run / "evaluate" / "metrics.json").read_text())
    assert set(found["methods"]) == {"no_cft", "tiny"} and (run / "report" / "report.html").exists()
