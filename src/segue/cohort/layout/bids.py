"""BIDS: `sub-*/[ses-*/]anat/*_T1w.nii.gz`, with `derivatives/*/sub-*/.../anat/*_dseg.nii.gz`."""

import csv
import io
import re
from pathlib import Path

from segue.cohort.io.limits import bounded_text
from segue.cohort.layout.base import ChannelFile, FoundLayout, paired
from segue.errors import InputError
from segue.text import one_line, shortened

ENTITY = re.compile(r"(?:^|_)(sub|ses|run|acq)-([A-Za-z0-9]+)")
MASK = re.compile(r"_(dseg|mask)\.nii(\.gz)?$")


def find_bids(folder: Path) -> FoundLayout | None:
    """The anatomical images that have a segmentation among the derivatives, and names of labels from `*_dseg.tsv`.

    An image and its segmentation have the same subject, session, run and acquisition. Without a segmentation of any
    image this is another layout.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> stem = "sub-01/anat/sub-01"
    >>> for name in (f"{stem}_T1w.nii.gz", f"derivatives/fs/{stem}_space-orig_dseg.nii.gz"):
    ...     (folder / name).parent.mkdir(parents=True)
    ...     (folder / name).touch()
    >>> [(case.id, case.subject) for case in find_bids(folder).cases]
    [('sub-01', 'sub-01')]
    """
    derived = sorted(path for path in folder.glob("derivatives/**/*.nii*") if MASK.search(path.name))
    masks: dict[str, Path] = {}
    for path in derived:
        if (id := entities(path)) in masks:
            raise InputError(f"{path}: is a second segmentation beside {masks[id]}; name one by cohort.masks")
        masks[id] = path
    images: dict[str, tuple[ChannelFile, ...]] = {}
    for path in sorted([*folder.glob("sub-*/anat/*.nii*"), *folder.glob("sub-*/ses-*/anat/*.nii*")]):
        if MASK.search(path.name) or (id := entities(path)) not in masks:
            continue
        if id in images:
            raise InputError(f"{path}: is a second image beside {images[id][0].path}; name one by cohort.images")
        images[id] = (ChannelFile(path),)
    if not images:
        return None
    subjects = {id: id.split("_")[0] for id in images}
    used = {id: path for id, path in masks.items() if id in images}
    return FoundLayout(paired(images, used, subjects=subjects), labels_of_table(folder))


def entities(path: Path) -> str:
    """Subject, session, acquisition and run, which an image shares with its segmentation.

    >>> entities(Path("sub-01_ses-2_space-orig_dseg.nii.gz"))
    'sub-01_ses-2'
    """
    found = dict(ENTITY.findall(path.name))
    return "_".join(f"{key}-{found[key]}" for key in ("sub", "ses", "acq", "run") if key in found)


def labels_of_table(folder: Path) -> dict[str, tuple[int, ...]]:
    """The labels by name, from the first look-up table (`index`, `name`) of the derivatives."""
    for path in sorted(folder.glob("derivatives/**/*dseg.tsv")):
        try:
            rows = list(csv.DictReader(io.StringIO(bounded_text(path), newline=""), delimiter="\t"))
            if rows and {"index", "name"} <= rows[0].keys():
                labels = {(row["name"] or "").strip(): int(row["index"] or "") for row in rows}
                return {name: (label,) for name, label in labels.items() if label != 0}
        except (csv.Error, ValueError) as error:
            if isinstance(error, InputError):
                raise
            mend = "give a column index with whole numbers, and a column name"
            raise InputError(f"{path}: is no table of labels ({shortened(one_line(error))}); {mend}") from None
    return {}
