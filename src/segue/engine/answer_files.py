"""Answers as files: images, and a JSON file with what an image cannot hold. They appear whole, or not at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from segue.cohort.io.dicom_answer import DicomAnswer, write_segmentation
from segue.cohort.io.write_back import answer_suffix, write_changed, write_map
from segue.cohort.io.write_file import bits_of, write_image, write_nifti
from segue.cohort.origin import Origin
from segue.cohort.placement import Affine
from segue.disk import writing
from segue.engine.original import labels_on_file
from segue.errors import InputError, nearest
from segue.files import all_or_none, fitting_name, whole_file, write_text

if TYPE_CHECKING:
    from segue.engine.counterfactual import Counterfactual

__all__ = [
    "PARTS",
    "FileFormat",
    "FileKind",
    "check_parts",
    "paths_of",
    "refuse_existing",
    "sidecar_of",
    "write_answers",
]

PARTS = ("counterfactual", "difference", "masks")
FileFormat = Literal["nifti", "png"]


def check_parts(parts: Sequence[str]) -> None:
    """Refuse a part that is not known.

    >>> check_parts(["mask"])
    Traceback (most recent call last):
    segue.errors.InputError: 'mask' cannot be saved; did you mean masks?
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise InputError(f"{unknown[0]!r} cannot be saved{nearest(unknown[0], PARTS)}")
    if not parts:
        raise InputError(f"nothing is to be saved; choose from {', '.join(PARTS)}")


def paths_of(
    folder: Path, stem: str, parts: Sequence[str], suffix: str, *, segmentation: bool = False
) -> list[Path]:
    """The files of an answer: one a part, and the JSON file. Only PNG holds masks of its own kind.

    Args:
        suffix: of the counterfactual. segmentation: masks of DICOM are DICOM SEG.

    >>> [path.name for path in paths_of(Path("out"), "a", ["masks", "difference"], ".png")]
    ['a_masks.png', 'a_difference.nii.gz', 'a_counterfactual.json']
    """
    masks = ".png" if suffix == ".png" else ".dcm" if suffix == ".dcm" and segmentation else ".nii.gz"
    suffixes = {"counterfactual": suffix, "difference": ".nii.gz", "masks": masks}
    endings = [*(f"_{part}{suffixes[part]}" for part in parts), "_counterfactual.json"]
    return [folder / fitting_name(stem, ending) for ending in endings]


def refuse_existing(paths: Sequence[Path]) -> None:
    """Refuse to write over a file.

    >>> refuse_existing([Path("nothing-here.png")])
    """
    if found := [path for path in paths if path.exists()]:
        raise InputError(f"{found[0]}: exists already; name another folder, or replace it (--force, force=True)")


def sidecar_of(answer: "Counterfactual", row: int) -> dict[str, Any]:
    """The values and the verdict of one image, for JSON.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> found = sidecar_of(model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}), 0)
    >>> sorted(found), found["verdict"]["word"]
    (['structures', 'unit', 'variables', 'verdict'], 'met')
    """
    kinds = {"factual": answer.factual, "requested": answer.requested, "achieved": answer.achieved}
    values = {
        name: {kind: float(value[name][row]) for kind, value in kinds.items() if name in value}
        for name in answer.factual
    }
    structures = list(answer.structures)
    return {"unit": answer.unit, "structures": structures, "variables": values, "verdict": answer.verdict[row].plain()}


@dataclass(frozen=True)
class FileKind:
    """What answers are written as.

    Attributes:
        format: on the study's grid. origins: instead, one file an image, whose grid and type it has.
        coarse: although there are origins, answers are on the study's grid, as `format`, where the files lie.
        dicom: what DICOM files say. segmentation: whether masks of DICOM are DICOM SEG; otherwise they are NIfTI.

    >>> FileKind("png").suffix(0)
    '.png'
    """

    format: FileFormat = "nifti"
    origins: tuple[Origin, ...] = ()
    dicom: DicomAnswer = field(default_factory=DicomAnswer)
    segmentation: bool = False
    coarse: bool = False

    def suffix(self, row: int) -> str:
        """Of the counterfactual of an image."""
        if self.origins and not self.coarse:
            return answer_suffix(self.origins[row].file)
        return ".png" if self.format == "png" else ".nii.gz"


def write_answers(
    answer: "Counterfactual",
    folder: Path,
    stems: Sequence[str],
    *,
    parts: Sequence[str],
    kind: FileKind,
    force: bool,
    about: Mapping[str, Any] | None = None,
) -> list[Path]:
    """`Counterfactual.save`; `about` goes into each JSON file.

    >>> import segue, tempfile
    >>> model = segue.load("coronary-phantom")
    >>> answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    >>> given = {"parts": ["masks"], "kind": FileKind("png")}
    >>> folder = Path(tempfile.mkdtemp())
    >>> [path.name for path in write_answers(answer, folder, ["a"], force=False, **given)]
    ['a_masks.png']
    >>> write_answers(answer, folder, ["a"], force=False, **given)
    Traceback (most recent call last):
    segue.errors.InputError: ...a_masks.png: exists already; name another folder, or replace it (--force, force=True)
    """
    check_kind(answer, stems, parts, kind)
    seg = kind.segmentation
    paths = [paths_of(folder, stem, parts, kind.suffix(row), segmentation=seg) for row, stem in enumerate(stems)]
    if not force:
        refuse_existing([path for row in paths for path in row])
    with writing(paths[0][0]), all_or_none([path for row in paths for path in row]):
        folder.mkdir(parents=True, exist_ok=True)
        for row, (*images, sidecar) in enumerate(paths):
            write_parts(answer, row, dict(zip(parts, images, strict=True)), kind)
            stated = {**(about or {}), "measured_on": list(answer.grid.size), **sidecar_of(answer, row)}
            write_text(sidecar, json.dumps(stated, indent=1))
    return [path for *images, _ in paths for path in images]


def check_kind(answer: "Counterfactual", stems: Sequence[str], parts: Sequence[str], kind: FileKind) -> None:
    """Refuse names, parts and formats that these answers cannot have."""
    check_parts(parts)
    if len(set(stems)) != len(answer):
        raise InputError(f"{len(set(stems))} different names for {len(answer)} images: give one an image")
    if kind.origins and len(kind.origins) != len(answer):
        raise InputError(f"{len(kind.origins)} files for {len(answer)} images: give one an image")
    if kind.origins and not kind.coarse and answer.grid.channels != 1:
        raise InputError(f"these images have {answer.grid.channels} channels, a file has one: save on the study's grid")
    if kind.format == "png" and (kind.coarse or not kind.origins) and len(answer.grid.size) != 2:
        raise InputError(f"a PNG holds two axes, these images have {len(answer.grid.size)}; choose nifti")


def write_parts(answer: "Counterfactual", row: int, paths: Mapping[str, Path], kind: FileKind) -> None:
    """Write the files of one image, on the grid of its file where that is known, else on the study's."""
    if kind.coarse or not kind.origins:
        affine = kind.origins[row].placement.affine_on(answer.grid.size) if kind.origins else None
        for part, path in paths.items():
            write_one(answer, row, part, path, affine)
        return
    origin = kind.origins[row]
    change = answer.on_file(origin, row)
    for part, path in paths.items():
        with whole_file(path) as partial:
            if part == "counterfactual":
                write_changed(origin, change, partial, about=kind.dicom)
            elif part == "difference":
                write_map(origin, change, partial)
            else:
                write_masks(origin, labels_on_file(answer.soft[row], change.shape), answer.structures, partial)


def write_masks(origin: Origin, labels: np.ndarray, structures: tuple[str, ...], path: Path) -> None:
    """Labels on the file's pixels, in the study's axes: PNG, DICOM SEG or NIfTI by the path's suffix."""
    if path.suffix == ".png":
        write_image(path, origin.placement.to_file(labels), None, bits=8)
    elif path.suffix == ".dcm":
        write_segmentation(origin, origin.placement.to_file(labels), structures, path)
    else:
        write_map(origin, labels, path)


def write_one(answer: "Counterfactual", row: int, part: str, path: Path, affine: Affine | None) -> None:
    """Write one file on the study's grid: the first channel of an image, or the label of each pixel."""
    if part == "masks":
        content, bits = labels_on_file(answer.soft[row], answer.grid.size), 8
    else:
        chosen = answer.image if part == "counterfactual" else answer.difference
        content = chosen[row, 0].cpu().numpy()
        bits = bits_of(answer.grid.intensity.usual, answer.image[row].cpu().numpy())
    with whole_file(path) as partial:
        if affine is not None and path.suffix != ".png":
            write_nifti(partial, content, affine)
        else:
            write_image(partial, np.asarray(content), answer.spacing[row], bits=bits)
