"""One study so small that all of it trains in seconds, through the command line as a user would."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from segue.cli import main

STUDY = """
name: small
precision: "no"
cohort:
  phantom: {images: 60, seed: 0}
  structures: {lumen: 1, calcified_plaque: 2, noncalcified_plaque: 3}
  size: [16, 48]
  intensity: [-200, 1200]
  split: {guide: 0.4, judge: 0.2, validation: 0.1, test: 0.3}
partitions:
  thirds: {kind: axis, axis: 1, regions: [proximal, mid, distal]}
variables: {lumen: thirds, calcified_plaque: thirds, noncalcified_plaque: thirds}
segmentor: {arch: unet, width: 8, patch: 1, budget: {steps: 20, batch_size: 8, lr: 0.01}}
judge: {arch: segresnet, width: 8, patch: 1, budget: {steps: 8, batch_size: 4, seed: 1}}
panel: {second: {arch: unet, width: 8, patch: 1, budget: {steps: 8, batch_size: 8, seed: 2}}}
regressor: {width: 8, budget: {steps: 4, batch_size: 4}}
hvae:
  conditioning: [map, broadcast]
  widths: [8, 16]
  depths: [1, 1]
  latent: 2
  reach: 2
  head: 8
  budget: {steps: 6, batch_size: 4}
finetune:
  variants: {segue: {at_once: 3, outside: 1.0, shrinkage: 0.01, blur: 0.7, corrections: 1, panel: true}}
  budget: {steps: 3, batch_size: 4}
evaluate: {images: 8, rows: 2, bootstrap: 50}
"""

METHODS = [
    *("no_cft", "reg_cft", "seg_cft", "pos_seg_cft", "segue"),
    *("no_cft_broadcast", "reg_cft_broadcast", "seg_cft_broadcast", "pos_seg_cft_broadcast", "segue_broadcast"),
]
VARIABLES = [
    f"{structure}@{region}"
    for structure in ("lumen", "calcified_plaque", "noncalcified_plaque")
    for region in ("proximal", "mid", "distal")
]

CHEST = """
name: chest
precision: "no"
cohort:
  folder: {folder}
  structures: {{left_lung: 1, right_lung: 2, heart: 3}}
  size: [32, 32]
  subject_pattern: "^(p[0-9]+)_"
  split: {{guide: 0.5, judge: 0.2, test: 0.3}}
partitions:
  zones: {{kind: extent, axis: 0, regions: [upper, lower], margin: 0.06}}
  whole: {{kind: whole}}
variables: {{left_lung: zones, right_lung: zones, heart: whole}}
graph: {{left_lung@lower: [left_lung@upper, heart@whole], right_lung@lower: [right_lung@upper]}}
scm: {{absent: {{heart: 1.0}}, hidden: [4], bins: 3, epochs: 10}}
segmentor:
  {{arch: unet, width: 8, patch: 1, budget: {{steps: 20, batch_size: 4, lr: 0.01}},
   augment: {{rotate: 5, noise: 0.02}}}}
judge: {{arch: segresnet, width: 8, patch: 1, budget: {{steps: 3, batch_size: 4}}}}
regressor: {{width: 8, budget: {{steps: 3, batch_size: 4}}}}
hvae: {{widths: [8, 16], depths: [1, 1], latent: 2, reach: 2, head: 8, budget: {{steps: 3, batch_size: 4}}}}
finetune:
  guides: [none, region]
  variants:
    segue:
      {{moves: true, start: moving, at_once: 2, smoothness: 1.0, painting: 1.0, outside: 1.0, shrinkage: 0.01,
       corrections: 1}}
    moving: {{moves: true, moves_only: true, budget: {{steps: 3, batch_size: 2, lr: 0.01}}}}
  budget: {{steps: 2, batch_size: 4}}
evaluate: {{images: 6, rows: 1, bootstrap: 20, particles: 2}}
"""


def scratch() -> Path:
    """A folder that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="segue-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_study(folder: Path, text: str = STUDY) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


@functools.cache
def trained() -> tuple[Path, Path]:
    """The study's file and its run, trained once a process. Copy the run to change it."""
    folder = scratch()
    study = write_study(folder)
    assert main(["run", str(study), "--runs", str(folder / "runs")]) == 0
    return study, folder / "runs" / "small"


@functools.cache
def trained_by_percentiles() -> Path:
    """The file of a study of two methods that scales each image by its own percentiles, trained beside it."""
    folder = scratch()
    text = STUDY.replace("intensity: [-200, 1200]", "intensity: {percentiles: [1, 99], usual: [-200, 1200]}")
    text = text.replace("conditioning: [map, broadcast]", "conditioning: [map]\n  augment: {shift: 0.02, gamma: 0.3}")
    text = text.replace("finetune:", "finetune:\n  guides: [none]").replace("name: small", "name: scanners")
    path = write_study(folder, text + f"runs: {folder / 'runs'}\n")
    assert main(["run", str(path)]) == 0
    return path


def write_chest(folder: Path, subjects: int, size: tuple[int, int] = (40, 48)) -> Path:
    """Two 8-bit PNGs a subject: two dark ellipses (lungs) of random size and a bright disc (heart) on grey."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]] / np.array(size)[:, None, None]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for subject in range(subjects):
        for view in "ab":
            labels = np.zeros(size, dtype=np.uint8)
            for label, centre in ((1, 0.75), (2, 0.25)):
                tall, wide = random.uniform(0.25, 0.4), random.uniform(0.12, 0.18)
                labels[((rows - 0.5) / tall) ** 2 + ((columns - centre) / wide) ** 2 < 1] = label
            labels[(rows - 0.6) ** 2 + (columns - 0.52) ** 2 < random.uniform(0.1, 0.16) ** 2] = 3
            grey = np.array([120, 40, 40, 200])[labels] + random.normal(0, 8, size)
            name = f"p{subject:02d}_{view}.png"
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / "images" / name)
            Image.fromarray(labels).save(folder / "masks" / name)
    return folder


@functools.cache
def trained_chest() -> tuple[Path, Path, Path]:
    """A study of a folder of PNG files: its file, its run and the folder."""
    folder = scratch()
    images = write_chest(folder / "cohort", subjects=12)
    study = write_study(folder, CHEST.format(folder=images))
    assert main(["run", str(study), "--runs", str(folder / "runs")]) == 0
    return study, folder / "runs" / "chest", images
