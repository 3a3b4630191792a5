"""Make docs/vessels.png: a simulated vessel along a curve, straightened, answered by a shipped model, and back."""

import json
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import segue
from segue.cohort.io import Pixels
from segue.straightening import Straightened

VOXEL, SHAPE, BACKGROUND = 0.4, (110, 110, 100), -80.0
SECTION = segue.VesselSection(radius=6, step=0.25, start=4, length=36)
DO = {"lumen@mid": "-1sd"}


def curve(count: int = 200) -> np.ndarray:
    """Most of a turn of a helix, 45 mm long, the proximal end first."""
    t = np.linspace(0, 4.2, count)
    return np.stack([9 * np.cos(t) + 22, 9 * np.sin(t) + 22, 32 - 5.5 * t], axis=1)


def scene(model: segue.Model) -> Pixels:
    """A volume with an example image of the model swept along the curve: a slice and its turn about the axis."""
    noise = np.random.default_rng(0).normal(0, 15, SHAPE).astype(np.float32)
    empty = Pixels(BACKGROUND + noise, spacing=(VOXEL,) * 3, affine=np.diag([VOXEL, VOXEL, VOXEL, 1.0]))
    place = segue.straighten(empty, segue.Centreline(curve()), SECTION)
    image = model.examples()[0, 0].numpy()
    return Pixels(place.back(image[None]), spacing=empty.spacing, affine=empty.affine)


def measured(model: segue.Model, vessel: Straightened) -> float:
    """The area of the lumen's middle third in the straightened slice, mm2."""
    return float(model.measure(vessel.slices[:, None], spacing=vessel.spacing)["lumen@mid"])


def main(out: Path) -> dict[str, float]:
    """Write the picture; what was asked, and what is measured in the slice and in the volume."""
    model = segue.load("coronary-phantom")
    pixels, line = scene(model), segue.Centreline(curve())
    vessel = segue.straighten(pixels, line, SECTION)
    answer = model.counterfactual(vessel.slices[:, None], DO, spacing=vessel.spacing)
    volume = vessel.back(answer.image)
    again = segue.straighten(Pixels(volume, pixels.spacing, None, pixels.affine), line, SECTION)
    touched = np.zeros(SHAPE, dtype=bool)
    touched[tuple(vessel.reached.voxels.T)] = True
    inner = np.abs(SECTION.offsets) < 5
    off = np.abs(again.slices - answer.image[:, 0].numpy())[0, inner, 4:-4]
    draw(pixels, volume, vessel, answer.image[0, 0], out)
    return {
        "factual": float(answer.factual["lumen@mid"]),
        "requested": float(answer.requested["lumen@mid"]),
        "in the answer": float(answer.achieved["lumen@mid"]),
        "in the volume, straightened again": measured(model, again),
        "mean difference from the answer, HU": float(off.mean()),
        "voxels changed": int((volume != pixels.array).sum()),
        "voxels changed outside of the tube": int((volume != pixels.array)[~touched].sum()),
    }


def draw(pixels: Pixels, volume: np.ndarray, vessel: Straightened, answer: torch.Tensor, out: Path) -> None:
    """Projections of the volume before and after above, slices below."""
    figure = Figure(figsize=(9.5, 7.2), layout="constrained")
    top = figure.subplots(2, 2, height_ratios=(3, 1.2))
    grey = {"cmap": "gray", "vmin": -200, "vmax": 700}
    shown = ("the volume (largest value along the view)", "with the answer: what changed, in colour")
    change = (volume - pixels.array).astype(float)
    strongest = np.take_along_axis(change, np.abs(change).argmax(2)[..., None], 2)[..., 0]
    for axes, array, title in zip(top[0], (pixels.array, volume), shown, strict=True):
        axes.imshow(array.max(axis=2).T, origin="lower", **grey)
        axes.set_title(title, fontsize=10)
    top[0, 0].plot(*(curve()[:, :2] / VOXEL).T, color="tab:orange", linewidth=0.8)
    top[0, 0].annotate("proximal", curve()[0, :2] / VOXEL, color="tab:orange", fontsize=9)
    colour = np.ma.masked_where(np.abs(strongest) < 20, strongest)
    top[0, 1].imshow(colour.T, origin="lower", cmap="coolwarm", vmin=-300, vmax=300)
    slices = ((vessel.slices[0], "straightened"), (answer.numpy(), "the model's answer to lumen@mid = -1sd"))
    for axes, (image, title) in zip(top[1], slices, strict=True):
        axes.imshow(image, **grey)
        axes.set_title(title, fontsize=10)
        for cut in (48, 96):
            axes.axvline(cut - 0.5, color="white", linewidth=0.5, linestyle=":")
    for axes in top[0]:
        axes.set(xlim=(10, 98), ylim=(22, 102))
    for axes in top.flat:
        axes.set_axis_off()
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    print(json.dumps(main(Path(__file__).parent / "vessels.png"), indent=1))
