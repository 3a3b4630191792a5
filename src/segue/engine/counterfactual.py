"""The answer to a request, for a batch of images: tensors, a verdict, a table, a figure, files."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float
from torch import Tensor

from segue.anatomy import variable_unit
from segue.cohort.grid import Grid, Spacing
from segue.cohort.io.dicom_answer import DicomAnswer
from segue.cohort.origin import Origin
from segue.engine.answer_files import PARTS, FileFormat, FileKind, write_answers
from segue.engine.original import change_on_file, file_pixels
from segue.engine.verdict import Reached, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Counterfactual"]


@dataclass(frozen=True, repr=False)
class Counterfactual:
    """The answer to one request, for a batch of images; images in the source's units.

    Attributes:
        image: x*, (batch, channel, *space). difference: x* - x.
        soft: the guide's soft masks of x*, (batch, structure, *space), in the order of `structures`.
        factual_soft: those of x.
        weights: the region of each measured variable, (batch, variable, *space).
        factual, requested, achieved: by variable, (batch,), in `unit` (covariates in their own). What follows from
            the request along the graph is requested too.
        verdict: one an image: what was achieved of what was asked, and every reason to doubt it.
        grid: of the images. spacing: of each image, mm, where it is known.
        displacement: (batch, dims, *space), in pixels: x* at p shows what x shows at p + displacement(p), but for what
            is painted; None where the method does not move.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> found = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    >>> found.requested["lumen@mid"] > found.factual["lumen@mid"]
    tensor([True])
    >>> found
    Counterfactual of 1 image, 1 x 48 x 144: met
      lumen@mid: factual 30.1 mm2, requested 34.5 mm2, achieved 34.7 mm2 (105% of the change; ...): met
    """

    image: Tensor
    difference: Tensor
    soft: Tensor
    factual_soft: Tensor
    weights: Tensor
    factual: dict[str, Tensor]
    requested: dict[str, Tensor]
    achieved: dict[str, Tensor]
    structures: tuple[str, ...]
    unit: str
    verdict: tuple[Verdict, ...]
    grid: Grid
    spacing: tuple[Spacing, ...]
    displacement: Tensor | None = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.image)

    def __repr__(self) -> str:
        """How many images are met and in doubt; of a single image, its lines."""
        size = " x ".join(map(str, self.image.shape[1:]))
        if len(self) > 1:
            counts = Counter(one.word for one in self.verdict)
            words = "; ".join(f"{count} {word}" for word, count in counts.items())
            return f"Counterfactual of {len(self)} images, {size}: {words}"
        (said,) = self.verdict
        lines = [f"  {line}" for line in said.lines() if not line.startswith("note:")]
        return "\n".join([f"Counterfactual of 1 image, {size}: {said.word}", *lines])

    def table(self) -> pl.DataFrame:
        """One row for each image and variable.

        Columns: image, variable, unit, factual, requested, achieved; ensemble, low, high, share, met of what was asked
        (null elsewhere); doubts, of the image.

        >>> import segue
        >>> model = segue.load("coronary-phantom")
        >>> answer = model.counterfactual(model.examples()[:2], {"lumen@mid": "+1sd"})
        >>> answer.table().filter(variable="lumen@mid")["met"].to_list()
        [True, True]
        """
        rows = [self.row(image, name) for image in range(len(self)) for name in self.factual]
        numbers = ("factual", "requested", "achieved", "ensemble", "low", "high", "share")
        return pl.DataFrame(rows, schema_overrides=dict.fromkeys(numbers, pl.Float64) | {"met": pl.Boolean})

    def row(self, image: int, name: str) -> dict[str, object]:
        """A row of the table."""
        said = self.verdict[image]
        one: Reached | None = next((one for one in said.reached if one.variable == name), None)
        low, high = (one and one.interval) or (None, None)
        return {
            "image": image,
            "variable": name,
            "unit": variable_unit(name, self.unit),
            "factual": float(self.factual[name][image]),
            "requested": float(self.requested[name][image]),
            "achieved": float(self.achieved[name][image]) if name in self.achieved else None,
            "ensemble": one and one.ensemble,
            "low": low,
            "high": high,
            "share": one and one.share,
            "met": one and one.met,
            "doubts": "; ".join(doubt.text for doubt in said.doubts),
        }

    def plot(self, image: int = 0) -> "Figure":
        """Factual, counterfactual and difference of one image, with outlines and the regions that were asked.

        Of three axes, three planes are shown, through the centre of what changed. `answer.plot().savefig("answer.png")`
        writes it.

        >>> import segue
        >>> model = segue.load("coronary-phantom")
        >>> answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
        >>> [axes.get_title() for axes in answer.plot().axes[:3]]
        ['factual', 'counterfactual', 'difference']
        """
        from segue.engine.plot import plot_answer

        return plot_answer(self, image)

    def save(
        self,
        folder: Path | str,
        *,
        parts: Collection[str] = PARTS,
        names: Collection[str] = (),
        format: FileFormat = "nifti",
        force: bool = False,
        files: Sequence[Origin] = (),
        dicom: DicomAnswer | None = None,
    ) -> list[Path]:
        """Write the images and, for each, a JSON file with its values and verdict; returns the paths of the images.

        Args:
            folder: is made where it is missing.
            parts: among "counterfactual", "difference", "masks" (0 is the background, k the k-th structure).
            names: one an image; default: image_0, image_1, ...
            format: of counterfactuals and masks. Differences are NIfTI: a PNG holds no value below 0.
            files: where the images came from (`Model.origin`), one an image. The answers then have the files' own
                grid, geometry and type; without, they are on the study's grid.
            dicom: what DICOM files say.
            force: whether files of these names are replaced.

        Raises:
            InputError: a file exists, or cannot be written; or a part is not known.

        >>> import segue, tempfile
        >>> model = segue.load("coronary-phantom")
        >>> answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
        >>> [path.name for path in answer.save(tempfile.mkdtemp(), parts=["counterfactual"], names=["a"])]
        ['a_counterfactual.nii.gz']
        """
        stems = list(names) or [f"image_{i}" for i in range(len(self))]
        kind = FileKind(format, tuple(files), dicom or DicomAnswer())
        return write_answers(self, Path(folder), stems, parts=tuple(parts), kind=kind, force=force)

    def on_file(self, origin: Origin, row: int = 0) -> Float[np.ndarray, "*space"]:
        """What changes of an image on the pixels of its file, in the study's axes; exactly 0 where nothing does.

        >>> import segue, tempfile
        >>> from PIL import Image
        >>> model = segue.load("chest")
        >>> path = Path(tempfile.mkdtemp()) / "a.png"
        >>> Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 180), np.uint8)).save(path)
        >>> answer = model.counterfactual(model.read(path)[0], {})
        >>> change = answer.on_file(model.origin(path))
        >>> change.shape, bool(change.any())
        ((200, 180), False)
        """
        x_star, shift = self.image[row].cpu().numpy(), self.displacement
        x = (self.image[row] - self.difference[row]).cpu().numpy()
        return change_on_file(
            file_pixels(origin, len(self.grid.size)),
            x[0],
            x_star[0],
            None if shift is None else shift[row].cpu().numpy(),
            window=self.grid.limits(x),
            marks=self.grid.marks,
        )
