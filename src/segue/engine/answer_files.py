"""Answers as files: images, and a JSON file with what an image cannot hold. They appear whole, or not at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from segue.anatomy import hard
from segue.cohort.io.write_file import bits_of, write_image
from segue.errors import InputError, nearest
from segue.files import fitting_name, whole_file, write_text

if TYPE_CHECKING:
    from segue.engine.counterfactual import Counterfactual

__all__ = ["PARTS", "FileFormat", "check_parts", "paths_of", "refuse_existing", "sidecar_of", "write_answers"]

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


def paths_of(folder: Path, stem: str, parts: Sequence[str], format: FileFormat) -> list[Path]:
    """The files of an answer: one a part, and the JSON file.

    >>> [path.name for path in paths_of(Path("out"), "a", ["masks", "difference"], "png")]
    ['a_masks.png', 'a_difference.nii.gz', 'a_counterfactual.json']
    """
    suffixes = [".png" if format == "png" and part != "difference" else ".nii.gz" for part in parts]
    endings = [f"_{part}{suffix}" for part, suffix in zip(parts, suffixes, strict=True)]
    return [folder / fitting_name(stem, ending) for ending in (*endings, "_counterfactual.json")]


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


def write_answers(
    answer: "Counterfactual",
    folder: Path,
    stems: Sequence[str],
    *,
    parts: Sequence[str],
    format: FileFormat,
    force: bool,
    about: Mapping[str, Any] | None = None,
) -> list[Path]:
    """`Counterfactual.save`; `about` goes into each JSON file.

    >>> import segue, tempfile
    >>> model = segue.load("coronary-phantom")
    >>> answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"})
    >>> given = {"parts": ["masks"], "format": "png"}
    >>> folder = Path(tempfile.mkdtemp())
    >>> [path.name for path in write_answers(answer, folder, ["a"], force=False, **given)]
    ['a_masks.png']
    >>> write_answers(answer, folder, ["a"], force=False, **given)
    Traceback (most recent call last):
    segue.errors.InputError: ...a_masks.png: exists already; name another folder, or replace it (--force, force=True)
    """
    check_parts(parts)
    if len(set(stems)) != len(answer):
        raise InputError(f"{len(set(stems))} different names for {len(answer)} images: give one an image")
    if format == "png" and len(answer.grid.size) != 2:
        raise InputError(f"a PNG holds two axes, these images have {len(answer.grid.size)}; choose nifti")
    paths = [paths_of(folder, stem, parts, format) for stem in stems]
    if not force:
        refuse_existing([path for row in paths for path in row])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for row, (*images, sidecar) in enumerate(paths):
            for part, path in zip(parts, images, strict=True):
                write_one(answer, row, part, path)
            write_text(sidecar, json.dumps({**(about or {}), **sidecar_of(answer, row)}, indent=1))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error}); name another folder") from None
    return [path for *images, _ in paths for path in images]


def write_one(answer: "Counterfactual", row: int, part: str, path: Path) -> None:
    """Write one file: the first channel of an image, or the label of each pixel."""
    image = (answer.image[row] - answer.difference[row]).cpu().numpy()
    if part == "masks":
        content, bits = hard(answer.soft[row : row + 1])[0].argmax(0).cpu().numpy(), 8
    else:
        chosen = answer.image if part == "counterfactual" else answer.difference
        content, bits = chosen[row, 0].cpu().numpy(), bits_of(answer.grid.limits(image))
    with whole_file(path) as partial:
        write_image(partial, np.asarray(content), answer.spacing[row], bits=bits)
