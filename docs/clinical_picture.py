"""Make docs/clinical.png: one simulated artery under three stenoses, by segue and as the phantom knows it.

python docs/clinical_picture.py RUN, with the run of studies/coronary-stenosis.yaml.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import segue
from segue.cohort import Store
from segue.phantom import VARIABLES, counterfactual, noise_of

STENOSIS, ASKED, IMAGE = "lumen@mid:stenosis", (0.3, 0.6, 0.8), 20
WINDOW = {"cmap": "gray", "vmin": -200, "vmax": 900, "interpolation": "nearest"}  # HU


def main(run: Path) -> None:
    """Write the picture, and say what the guide measures."""
    model, store = segue.load(run), Store(run / "prepare" / "cohort.zarr")
    place = store.indices("test")[IMAGE]
    raw, id_ = store.read(np.array([place]))["image"], store.table["id"][int(place)]
    noise, free = noise_of([id_], seed=3, law="stenosed"), set(VARIABLES) - set(model.measured_names)
    figure = Figure(figsize=(11, 2.7), layout="constrained")
    axes = figure.subplots(2, 1 + len(ASKED))
    axes[1, 0].axis("off")
    for axis, asked in zip(axes[:, 1:].T, ASKED, strict=True):
        answer = model.counterfactual(raw, {STENOSIS: asked})
        found = 100 * float(answer.achieved[STENOSIS][0])
        true = counterfactual(noise, {STENOSIS: np.array([asked])}, model.grid.size, free=free).image
        show(axis[0], answer.image[0, 0].numpy(), f"segue: asked {100 * asked:.0f}%, the guide measures {found:.0f}%")
        show(axis[1], np.asarray(true)[0, 0], f"the true answer to {100 * asked:.0f}%")
        print(f"asked {100 * asked:.0f}%, measured {found:.0f}%")
    show(axes[0, 0], raw[0, 0].numpy(), f"factual: {100 * float(answer.factual[STENOSIS][0]):.0f}%")
    figure.savefig(Path(__file__).parent / "clinical.png", dpi=110)


def show(axis: Axes, image: np.ndarray, title: str) -> None:
    """One image, as CT is shown."""
    axis.imshow(image, **WINDOW)
    axis.set_title(title, fontsize=8)
    axis.axis("off")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
