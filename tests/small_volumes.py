"""A study of volumes so small that all of it trains in seconds, through the command line as a user would."""

import functools
from pathlib import Path

import nibabel
import numpy as np
from small_study import scratch, write_study

from segue.cli import main

VOLUMES = """
name: volumes
precision: "no"
cohort:
  folder: {folder}
  structures: {{front: 1, back: 2}}
  size: [16, 24, 16]
  intensity: {{percentiles: [1, 99], per: image, usual: [0, 100]}}
  split: {{guide: 0.5, judge: 0.2, test: 0.3}}
partitions:
  halves: {{kind: extent, axis: 1, regions: [low, high], margin: 0.06}}
variables: {{front: halves, back: halves}}
segmentor:
  {{arch: unet, width: 8, patch: 1, budget: {{steps: 20, batch_size: 2, lr: 0.01}},
   augment: {{rotate: 5, scale: 0.05, elastic: 0.01, gamma: 0.2, blur: 0.3}}}}
judge: {{arch: segresnet, width: 8, patch: 1, budget: {{steps: 3, batch_size: 2}}}}
regressor: {{width: 8, budget: {{steps: 2, batch_size: 2}}}}
hvae: {{widths: [8, 8], depths: [1, 1], latent: 2, reach: 2, head: 8, budget: {{steps: 3, batch_size: 2}}}}
deformation: {{widths: [8, 8]}}
finetune:
  variants:
    segue:
      {{moves: true, start: moving, at_once: 2, smoothness: 1.0, painting: 1.0, outside: 1.0, shrinkage: 0.01,
       blur: 0.5, corrections: 1}}
    moving: {{moves: true, moves_only: true, budget: {{steps: 2, batch_size: 2, lr: 0.01}}}}
  budget: {{steps: 2, batch_size: 2}}
evaluate: {{images: 4, rows: 2, bootstrap: 20}}
"""
SUBJECTS = 14
SPACING = (1.2, 1.0, 1.5)


def write_volumes(folder: Path) -> Path:
    """One NIfTI volume a subject, each with a field of view of its own: two bright ellipsoids, one behind the other."""
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for subject in range(SUBJECTS):
        shape = tuple(random.integers(low, low + 5) for low in (16, 24, 14))
        x, y, z = (np.indices(shape) + 0.5) / np.array(shape)[:, None, None, None]
        labels = np.zeros(shape, np.uint8)
        for label, centre in ((1, 0.66), (2, 0.34)):
            wide, long, tall = random.uniform(0.2, 0.32), random.uniform(0.12, 0.2), random.uniform(0.2, 0.32)
            labels[((x - 0.5) / wide) ** 2 + ((y - centre) / long) ** 2 + ((z - 0.5) / tall) ** 2 < 1] = label
        gain = 10 ** random.uniform(0, 3)  # MR has no common scale
        image = gain * (np.array([20, 80, 60])[labels] + random.normal(0, 3, shape))
        affine = np.diag([*SPACING, 1.0])
        affine[:3, 3] = -10, 20, 30
        for kind, content in (("images", image.astype(np.float32)), ("masks", labels)):
            nibabel.save(nibabel.Nifti1Image(content, affine), folder / kind / f"s{subject:02d}.nii.gz")
    return folder


@functools.cache
def trained_volumes() -> tuple[Path, Path, Path]:
    """The study's file, its run and the folder of the volumes, trained once a process."""
    folder = scratch()
    volumes = write_volumes(folder / "cohort")
    study = write_study(folder, VOLUMES.format(folder=volumes))
    assert main(["run", str(study), "--runs", str(folder / "runs")]) == 0
    return study, folder / "runs" / "volumes", volumes
