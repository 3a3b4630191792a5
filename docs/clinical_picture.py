"""Make the pictures of docs/clinical.md: one test image under three requests, in the words of the clinic.

python docs/clinical_picture.py RUN, with the run of a study in `PICTURES`. Above, segue's answers and what the judge
measures; below, where the phantom is asked, its true answers, and elsewhere the outlines that the judge draws.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import segue
from segue.anatomy import hard
from segue.cohort import Store
from segue.engine.answer import abduct_images, check_inputs
from segue.evaluation.effect import areas_by
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.phantom import VARIABLES, counterfactual, noise_of
from segue.phantom.noise import Noise
from segue.study.read import load_study

Array = np.ndarray


class Picture(NamedTuple):
    """A variable, what is asked of it, the test image, and how image and values are shown."""

    file: str
    variable: str
    asked: tuple[str, ...]
    number: int
    window: tuple[float, float]
    shown: Callable[[float], str]
    height: float


def percent(value: float) -> str:
    """A share as the clinic writes it."""
    return f"{100 * value:.0f}%"


def pixels(value: float) -> str:
    """A length on the study's grid."""
    return f"{value:.1f} px"


PICTURES = {
    "coronary-stenosis": Picture(
        "clinical.png", "lumen@mid:stenosis", ("25%", "50%", "70%", "90%"), 20, (-200, 900), percent, 2.7
    ),
    "chest-ratio": Picture(
        "clinical-chest.png", "heart@whole:ratio", ("40%", "50%", "60%"), 20, (0, 255), percent, 6
    ),
    "cardiac-thickness": Picture(
        "clinical-heart.png", "myocardium@septal:thickness", ("-30%", "+30%", "+60%"), 20, (0, 255), pixels, 6
    ),
}


def main(run: Path) -> None:
    """Write the picture of a run, and say what the judge measures."""
    model, store = segue.load(run), Store(run / "prepare" / "cohort.zarr")
    picture = PICTURES[run.name]
    place = np.array([store.indices("test")[picture.number]])
    raw, id_ = store.read(place)["image"], store.table["id"][int(place[0])]
    answers = [model.counterfactual(raw, {picture.variable: asked}) for asked in picture.asked]
    images = [raw[0, 0].numpy(), *(one.image[0, 0].numpy() for one in answers)]
    measured, outlines = judged(run, model, [raw, *(one.image for one in answers)], picture.variable)
    values = [float(one.requested[picture.variable][0]) for one in answers]
    asked = zip(picture.asked, map(picture.shown, values), strict=True)
    said = ["factual", *(f"asked {text}" if text == value else f"asked {text} ({value})" for text, value in asked)]
    titles = [f"{text}, the judge: {picture.shown(value)}" for text, value in zip(said, measured, strict=True)]
    print(*titles, sep="\n")
    below = images
    if (phantom := load_study(run / "study.yaml").cohort.phantom) is not None:
        noise = noise_of([id_], seed=phantom.seed, law=phantom.law)
        below, outlines = [images[0], *true_answers(model, noise, picture.variable, values)], [None] * len(images)
    draw(picture, titles, images, below, outlines)


def judged(run: Path, model: Any, images: list[torch.Tensor], variable: str) -> tuple[list[float], list[Array | None]]:
    """What the judge measures of a variable in the factual image's regions, and the structure that it sees."""
    judge = load_pretrained(Segmentor, run / "judge").eval()
    facts, v = abduct_images(model, check_inputs(model, images[0])).facts, model.measured_names.index(variable)
    structure = 1 + int(model.parents.structure_of[v])
    values, masks = [], []
    with torch.inference_mode():
        for image in map(model.grid.scale, images):
            values.append(float(areas_by(judge, facts, image, model.parents)[0, v]))
            masks.append(hard(judge.soft(image))[0, structure].numpy())
    return values, masks


def true_answers(model: Any, noise: Noise, variable: str, values: list[float]) -> list[Array]:
    """What the phantom knows to be true."""
    free = set(VARIABLES) - set(model.measured_names)
    found = (counterfactual(noise, {variable: np.array([one])}, model.grid.size, free=free).image for one in values)
    return [np.asarray(image)[0, 0] for image in found]


def draw(
    picture: Picture, titles: list[str], images: list[Array], below: list[Array], outlines: list[Array | None]
) -> None:
    """One column an image: the image, and below it the truth or the outlines."""
    figure = Figure(figsize=(11, picture.height), layout="constrained")
    axes = figure.subplots(2, len(images))
    first = outlines[0]
    for column, title, image, lower, outline in zip(axes.T, titles, images, below, outlines, strict=True):
        show(column[0], image, picture.window, title)
        show(column[1], lower, picture.window, "" if outline is not None else "the truth")
        for mask, colour in ((first, "gold"), (outline, "cyan")):
            if mask is not None:
                column[1].contour(mask, [0.5], colors=colour, linewidths=0.8)
    figure.savefig(Path(__file__).parent / picture.file, dpi=110)


def show(axis: Axes, image: Array, window: tuple[float, float], title: str) -> None:
    """One image, in grey."""
    axis.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], interpolation="nearest")
    axis.set_title(title, fontsize=8)
    axis.axis("off")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
