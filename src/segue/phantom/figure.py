"""The figure of docs/phantom.md: `python -m segue.phantom.figure docs/phantom.png`."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from segue.files import whole_file
from segue.phantom import ACROSS, ALONG, VARIABLES, areas, counterfactual, draw, render

SIZE = (96, 288)
IMAGE = 39  # of cohort 0: it has plaques of both types
REQUESTS = {"lumen@mid": 0.7, "calcified_plaque@proximal": 2.0, "noncalcified_plaque@distal": 1.8}  # times the factual


def draw_figure(out: Path) -> None:
    """One row per request: factual, true counterfactual, difference; written to `out`, a PNG."""
    noise = draw(1, seed=0, start=IMAGE)
    factual, _ = render(noise, SIZE)
    figure, axes = plt.subplots(len(REQUESTS), 3, figsize=(10, 3.9), layout="constrained")
    grey = {"cmap": "gray", "vmin": -200, "vmax": 1000, "extent": (0, ALONG, ACROSS, 0)}
    for row, (name, times) in zip(axes, REQUESTS.items(), strict=True):
        before = areas(noise)[0, VARIABLES.index(name)]
        truth = counterfactual(noise, {name: times * before}, SIZE)
        assert truth.well_posed.all()
        row[0].imshow(factual[0, 0], **grey)
        row[1].imshow(truth.image[0, 0], **grey)
        row[2].imshow((truth.image - factual)[0, 0], **grey | {"cmap": "RdBu_r", "vmin": -600, "vmax": 600})
        row[1].set_title(f"{name}: {before:.1f} to {times * before:.1f} mm²", fontsize=9)
        for axis in row:
            axis.set(xticks=[ALONG / 3, 2 * ALONG / 3], yticks=[])
            axis.tick_params(length=2, labelsize=6)
    axes[0, 0].set_title("factual (proximal left)", fontsize=9)
    axes[0, 2].set_title("difference, ±600 HU", fontsize=9)
    axes[-1, 0].set_xlabel("mm", fontsize=7)
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=90, format="png")
    plt.close(figure)


if __name__ == "__main__":
    draw_figure(Path(sys.argv[1]))
