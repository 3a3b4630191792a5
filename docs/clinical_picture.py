"""Make docs/clinical.png: one simulated artery under four stenoses, by segue and as the phantom knows it.

python docs/clinical_picture.py RUN, with the run of studies/coronary-stenosis.yaml.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import segue
from segue.anatomy import category_of
from segue.cohort import Store
from segue.phantom import VARIABLES, counterfactual, noise_of

STENOSIS, ASKED, IMAGE = "lumen@mid:stenosis", (0.25, 0.5, 0.7, 0.9), 20
WINDOW = {"cmap": "gray", "vmin": -200, "vmax": 900, "interpolation": "nearest"}  # HU


def main(run: Path, out: Path = Path(__file__).parent / "clinical.png", image: int = IMAGE) -> None:
    """Write the picture, and say what the guide measures."""
    model, store = segue.load(run), Store(run / "prepare" / "cohort.zarr")
    place = store.indices("test")[image]
    raw, id_ = store.read(np.array([place]))["image"], store.table["id"][int(place)]
    noise, free = noise_of([id_], seed=3, law="stenosed"), set(VARIABLES) - set(model.measured_names)
    figure = Figure(figsize=(14, 2.7), layout="constrained")
    axes = figure.subplots(2, 1 + len(ASKED))
    axes[1, 0].axis("off")
    for axis, asked in zip(axes[:, 1:].T, ASKED, strict=True):
        answer = model.counterfactual(raw, {STENOSIS: asked})
        found, wanted = said(float(answer.achieved[STENOSIS][0])), said(asked)
        truth = counterfactual(noise, {STENOSIS: np.array([asked])}, model.grid.size, free=free)
        nearest = "" if truth.well_posed[0] else ", as far as there is one"
        show(axis[0], answer.image[0, 0].numpy(), f"segue: asked {wanted}\nmeasured {found}")
        show(axis[1], truth.image[0, 0], f"the true answer to {100 * asked:.0f}%{nearest}")
        print(f"asked {wanted}, measured {found}{nearest}")
    show(axes[0, 0], raw[0, 0].numpy(), f"factual: {said(float(answer.factual[STENOSIS][0]))}")
    figure.savefig(out, dpi=110)


def said(stenosis: float) -> str:
    """In percent, with its category."""
    return f"{100 * stenosis:.0f}% ({category_of(STENOSIS, stenosis)})"


def show(axis: Axes, image: np.ndarray, title: str) -> None:
    """One image, as CT is shown."""
    axis.imshow(image, **WINDOW)
    axis.set_title(title, fontsize=8)
    axis.axis("off")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
