"""What a folder holds, counted on some of its cases: sizes, spacing, axes, labels and intensities."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.cohort.folder import check_file
from segue.cohort.guess import GuessedLayout, guess_layout, guess_subjects
from segue.cohort.io import reader_of
from segue.cohort.io.limits import bounded_text, decoding
from segue.cohort.layout import LABEL_MAP, CaseFiles
from segue.cohort.read_case import decode_channel, decode_mask
from segue.cohort.table import NAME_COLUMNS, separator_of
from segue.cohort.values import TOLD_LEVELS

LOOKED_AT = 60  # cases that are decoded, evenly spaced


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        shapes, spacings, axes: of the images, with counts. labels: of each label, the masks that hold it and its mean
            area there in pixels; of organs, by name.
        percentiles: `TOLD_LEVELS` of each image that was looked at. whole_numbers: whether all values are.
        subject_pattern: guessed from the names. columns: of table.csv.
    """

    guess: GuessedLayout
    looked_at: int
    shapes: Counter[tuple[int, ...]]
    spacings: Counter[tuple[float, ...] | None]
    axes: Counter[str]
    labels: dict[int | str, tuple[int, float]]
    percentiles: np.ndarray
    whole_numbers: bool
    subject_pattern: str | None
    columns: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """Of all cases."""
        return [case.id for case in self.guess.found.cases]

    @property
    def shape(self) -> tuple[int, ...]:
        """The median shape."""
        return tuple(int(n) for n in np.median(np.array(list(self.shapes.elements())), axis=0))


def survey_folder(folder: Path) -> Survey:
    """Look at a folder; `LOOKED_AT` of its cases are decoded.

    Raises:
        InputError: its layout is not known, or a file cannot be read.
    """
    guess = guess_layout(folder)
    cases = guess.found.cases
    chosen = [cases[i] for i in sorted(set(np.linspace(0, len(cases) - 1, min(len(cases), LOOKED_AT)).astype(int)))]
    looks = [look_at(case) for case in chosen]
    labels: dict[int | str, list[float]] = {}
    for one in looks:
        for label, area in one.areas.items():
            labels.setdefault(label, []).append(area)
    own = any(case.subject not in (None, case.id) for case in cases)
    return Survey(
        guess=guess,
        looked_at=len(chosen),
        shapes=Counter(one.shape for one in looks),
        spacings=Counter(one.spacing for one in looks),
        axes=Counter(one.axes for one in looks if one.axes),
        labels={label: (len(areas), float(np.mean(areas))) for label, areas in sorted(labels.items(), key=str)},
        percentiles=np.array([one.percentiles for one in looks]),
        whole_numbers=all(one.whole_numbers for one in looks),
        subject_pattern=None if own else guess_subjects([case.id for case in cases]),
        columns=table_columns(folder / "table.csv"),
    )


@dataclass(frozen=True)
class Look:
    """One case, as it is stored."""

    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None
    axes: str
    areas: dict[int | str, float]
    percentiles: Sequence[float]
    whole_numbers: bool


def look_at(case: CaseFiles) -> Look:
    """Decode the first channel and the masks of a case."""
    first = case.channels[0]
    for path in (first.path, *case.masks.values()):
        check_file(path)
    dims = 3 if first.place is not None or first.path.is_dir() else dims_of(first.path)
    pixels = decode_channel(first, dims)
    areas: dict[int | str, float] = {}
    for key, path in case.masks.items():
        mask = decode_mask(path, first.path, dims).array
        values, counts = np.unique(mask if key == LABEL_MAP else mask != 0, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value:
                areas[int(value) if key == LABEL_MAP else key] = float(count)
    array = pixels.array
    spacing = pixels.spacing and tuple(round(float(mm), 3) for mm in pixels.spacing)
    axes = "".join(str(one) for one in pixels.axes[:dims]) if pixels.axes else ""
    whole = bool(np.array_equal(array, np.rint(array)))
    return Look(array.shape, spacing, axes, areas, np.percentile(array, TOLD_LEVELS).tolist(), whole)


def dims_of(path: Path) -> int:
    """The axes of an image, two or three, without further ones of length 1."""
    with decoding(path):
        shape = reader_of(path).shape(path)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return len(shape)


def table_columns(path: Path) -> tuple[str, ...]:
    """The columns of a table, if there is one, without that of the names."""
    if not path.is_file():
        return ()
    text = bounded_text(path)
    header = next(csv.reader([text.split("\n", 1)[0]], delimiter=separator_of(text)), [])
    return tuple(column.strip() for column in header if column.strip() not in NAME_COLUMNS)
