"""Files to download: counterfactuals as PNG and NIfTI with a sidecar, the figure, and Python that reproduces them."""

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from segue import __version__
from segue.anatomy import said_value, variable_unit
from segue.cohort.io import split_suffix
from segue.cohort.io.write_back import answer_suffix, write_changed, write_map
from segue.cohort.io.write_file import bits_of, write_image, write_nifti
from segue.cohort.marks import Marks
from segue.cohort.origin import Origin
from segue.engine.original import change_on_file, file_pixels, labels_on_file
from segue.explorer.asking import Answer, Array, Reading
from segue.explorer.markup import filled
from segue.explorer.models import Chosen, Explored, portable
from segue.explorer.panel import title
from segue.explorer.pictures import data_uri, display_grey, png
from segue.explorer.private_folder import scratch
from segue.files import fitting_name
from segue.quoting import in_comment, in_python
from segue.report.figure_row import FigureRow
from segue.text import typeset_unit

MEDIA_TYPES = {".png": "image/png", ".json": "application/json", ".pdf": "application/pdf", ".py": "text/x-python",
               ".csv": "text/csv"}  # fmt: skip
CONTENT_OF = {
    "_figure.png": "the figure of the report",
    "_figure.pdf": "the same to print",
    "_seen.png": "the counterfactual as it is on this page",
    "_difference.nii.gz": "counterfactual minus factual",
    "_masks.nii.gz": "the guide's segmentation of the counterfactual",
    ".json": "request, measurements and verdict",
    ".py": "the same request in Python",
}
"""By the end of a name, what is in the file; all others are the counterfactual."""


@dataclass(frozen=True)
class DownloadFile:
    """A file to download."""

    name: str
    content: bytes

    @property
    def what(self) -> str:
        """What is in it."""
        return next((said for end, said in CONTENT_OF.items() if self.name.endswith(end)), "the counterfactual")

    @property
    def uri(self) -> str:
        """The file as part of a link."""
        return data_uri(self.content, MEDIA_TYPES.get(Path(self.name).suffix, "application/octet-stream"))


def files(explored: Explored, chosen: Chosen, answer: Answer) -> list[DownloadFile]:
    """All files of an answer, sorted by name."""
    stem = stem_of(chosen.case.id)
    longest = max(len(one.method) for one in answer.readings) + len("__difference.nii.gz")
    stem = fitting_name(stem, "x" * longest)[:-longest]
    with scratch() as made:
        folder = Path(made)
        for one in answer.readings:
            write_answer(folder, f"{stem}_{one.method}", explored, chosen, answer, one)
        for suffix in (".png", ".pdf"):
            write_figure(folder / f"{stem}_figure{suffix}", explored, answer)
        (folder / f"{stem}.py").write_text(snippet(explored, chosen, answer))
        return [DownloadFile(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]


def stem_of(id: str) -> str:
    """How the files of an image's answers begin: its id without suffix, and without characters that names may not have.

    >>> stem_of("ward 3/p1.nii.gz")
    'ward_3_p1'
    """
    return re.sub(r"[^\w.-]", "_", split_suffix(id)[0])


def write_answer(folder: Path, stem: str, explored: Explored, chosen: Chosen, answer: Answer, one: Reading) -> None:
    """One method's answer: NIfTI files with the input's affine, PNG if it is 2-D, and the sidecar as JSON.

    The PNG named `seen` is what the page shows, in 8 bits; the other one holds the image's own values.
    """
    if one.image.ndim == 2:
        if chosen.case.origin is None:
            write_image(folder / f"{stem}.png", one.image, None, bits=bits_of(answer.window, one.image))
        (folder / f"{stem}_seen.png").write_bytes(png(display_grey(one.image, answer.window)))
    if chosen.case.origin is not None:
        write_on_file(folder, stem, chosen.case.origin, (answer, one), explored.first.grid.marks)
    else:
        write_nifti(folder / f"{stem}.nii.gz", one.image, chosen.case.affine)
        write_nifti(folder / f"{stem}_difference.nii.gz", one.image - answer.image, chosen.case.affine)
        write_nifti(folder / f"{stem}_masks.nii.gz", label_image(one.outlines), chosen.case.affine)
    (folder / f"{stem}.json").write_text(json.dumps(sidecar(explored, chosen, answer, one), indent=1))


def write_on_file(
    folder: Path, stem: str, origin: Origin, asked: tuple[Answer, Reading], marks: Marks | None
) -> None:
    """The same on the pixels of the uploaded file: NIfTI, and the answer as a file of the upload's own type."""
    answer, one = asked
    pixels, window = file_pixels(origin, one.image.ndim), answer.window
    change = change_on_file(pixels, answer.image, one.image, one.displacement, window=window, marks=marks)
    write_changed(origin, change, folder / f"{stem}{answer_suffix(origin.file)}")
    write_map(origin, np.where(change == 0, pixels, pixels + change).astype(np.float32), folder / f"{stem}.nii.gz")
    write_map(origin, change, folder / f"{stem}_difference.nii.gz")
    soft = torch.from_numpy(np.stack(list(one.outlines.values())))
    write_map(origin, labels_on_file(soft, pixels.shape), folder / f"{stem}_masks.nii.gz")


def label_image(masks: Mapping[str, Array]) -> Array:
    """Soft masks as one image: 0 is background, 1 the first structure, and so on, wherever a mask is above one half.

    >>> label_image({"a": np.array([0.9, 0.1, 0.2]), "b": np.array([0.1, 0.8, 0.3])}).tolist()
    [1.0, 2.0, 0.0]
    """
    stacked = np.stack([np.full_like(next(iter(masks.values())), 0.5), *masks.values()])
    return stacked.argmax(0).astype(np.float32)


def sidecar(explored: Explored, chosen: Chosen, answer: Answer, one: Reading) -> dict[str, object]:
    """The request, the values before and after, and the metrics: what an image file cannot hold."""
    kinds = {"factual": answer.factual, "requested": answer.requested, "guide": one.guide, "judge": one.judge}
    return {
        "image": chosen.case.id,
        "model": explored.name,
        "method": one.method,
        "segue": __version__,
        "do": answer.do,
        "propagate": answer.propagate,
        "hold": list(answer.hold),
        "unit": answer.unit,
        "spacing": chosen.case.spacing,
        "variables": {
            name: {kind: values[name] for kind, values in kinds.items() if name in values} for name in answer.factual
        },
        "masks": {str(i + 1): name for i, name in enumerate(one.outlines)},
        "verdict": one.verdict.plain(),
        "leakage": one.leakage,
        "off_target_sd": one.off_target,
    }


def write_figure(path: Path, explored: Explored, answer: Answer) -> None:
    """The figure of the report, for this request."""
    asked = [answer.regions[name] for name in answer.moving if name in answer.regions]
    units = {name: typeset_unit(variable_unit(name, answer.unit)) for name in answer.do}
    changes = [f"{title(name)} = {said_value(name, value, units[name])}" for name, value in answer.do.items()]
    row = FigureRow(
        title=f"do({'; '.join(changes)})",
        factual=answer.image,
        counterfactuals={one.method: one.image for one in answer.readings},
        region=np.max(asked, axis=0) if asked else np.zeros_like(answer.image),
        outlines=answer.outlines,
    )
    from segue.report.figure import figure1  # draws with matplotlib, which the page does without

    figure1(path, rows=[row], methods=list(row.counterfactuals), intensity=answer.window)


def snippet(explored: Explored, chosen: Chosen, answer: Answer) -> str:
    """Python that makes the same request. It names no folder with an absolute path; every text in it is quoted."""
    case, methods = chosen.case, [one.method for one in answer.readings]
    opened = Path(explored.opened)
    model = portable(opened, opened)
    more = f", spacing={tuple(map(float, case.spacing))}" if case.spacing is not None else ""
    more += f", covariates={case.covariates}" if case.covariates else ""
    more += "" if answer.propagate else ", propagate=False"
    more += f", hold={list(answer.hold)}" if answer.hold else ""
    body = [
        f"model = segue.load({in_python(model)}, method=method)",
        chosen.code,
        f"answer = model.counterfactual(image, do={answer.do}{more})",
        "answers[method] = answer.image[0, 0].numpy()",
        "print(method, {name: float(answer.achieved[name][0]) for name in answer.achieved})",
    ]
    head = [*chosen.imports[:1], "", "import segue", *chosen.imports[1:]] if chosen.imports else ["import segue"]
    loop = textwrap.indent("\n".join(body), "    ")
    where = [f"# Run it in the folder that has {in_comment(model)} in it."] if opened.is_absolute() else []
    return "\n".join([*where, *head, "", "answers = {}", f"for method in {methods}:", loop, ""])


def links(files: list[DownloadFile]) -> str:
    """The files as links that contain their content, so that nothing is stored on the server."""
    return filled("links.html.j2", files=files)
