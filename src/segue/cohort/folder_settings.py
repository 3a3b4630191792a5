"""How a cohort's folder is read, and a case of it before it is decoded."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segue.cohort.layout import CaseFiles
from segue.cohort.table import Codes, TableRow
from segue.errors import InputError

Missing = Literal["refuse", "drop", "mean"]
Overlaps = Literal["refuse", "first"]
Labels = int | tuple[int, ...] | str
"""Of a structure: its label, the labels of a region, or the pattern of the files that hold it alone."""


@dataclass(frozen=True)
class FolderSettings:
    """How a folder is read.

    Attributes:
        structures: by name, the label (or labels) in the masks; every other label is background.
        size: of the grid onto which images and masks are averaged, two entries or three.
        layout: a key of `LAYOUTS`; None: images/ and masks/.
        images, masks: patterns instead of a layout (`segue.cohort.layout.patterns`).
        channels: names of the channels to read, in this order; () for all that there are.
        subject_pattern: regular expression searched in the id; its first group, or else the whole match, is the
            subject. A column `subject` of the table has precedence over it, and it over the layout's own subject.
        covariates: columns of the table to keep. codes: numbers for the words in them.
        missing: what becomes of an image whose covariate is not known; None: it is refused.
        overlaps: what becomes of a pixel that two structures hold: it is the first one's, or refused (None).
        background: labels that are no structure, in masks that hold nothing else.
        axes: into which images and masks are turned (`segue.cohort.placement`); None: as stored.
        resample_masks: whether a mask on another grid than its image is brought to it (`segue.cohort.alignment`).

    >>> FolderSettings({"heart": 3}, (64, 64)).labels
    {'heart': (3,)}
    """

    structures: Mapping[str, Labels]
    size: tuple[int, ...]
    layout: str | None = None
    images: str | None = None
    masks: str | None = None
    channels: tuple[str, ...] = ()
    subject_pattern: str | None = None
    covariates: tuple[str, ...] = ()
    codes: Codes = field(default_factory=dict)
    missing: Missing | None = None
    overlaps: Overlaps | None = None
    background: tuple[int, ...] = ()
    axes: str | None = None
    resample_masks: bool = False

    @property
    def labels(self) -> dict[str, tuple[int, ...]]:
        """The labels of the structures that have some."""
        found = {name: value for name, value in self.structures.items() if not isinstance(value, str)}
        return {name: (value,) if isinstance(value, int) else tuple(value) for name, value in found.items()}

    @property
    def organs(self) -> dict[str, str]:
        """The patterns of the structures that have files of their own."""
        return {name: value for name, value in self.structures.items() if isinstance(value, str)}


@dataclass(frozen=True)
class CohortCase:
    """A case of a folder, before it is decoded: its files, its subject, and its row of the table."""

    files: CaseFiles
    subject: str
    row: TableRow

    @property
    def id(self) -> str:
        """Of the image."""
        return self.files.id

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, each once."""
        return tuple(dict.fromkeys([*(one.path for one in self.files.channels), *self.files.masks.values()]))


def check_settings(settings: FolderSettings) -> None:
    """Refuse a grid that is none, and structures that cannot be told apart."""
    size, structures = settings.size, settings.structures
    if len(size) not in (2, 3) or min(size) < 1:
        raise InputError(f"size: {list(size)} is not a grid; give two or three positive whole numbers")
    if not structures:
        raise InputError("structures: none is given; name at least one with its label in the masks")
    counts = Counter(label for labels in settings.labels.values() for label in labels)
    if 0 in counts or max(counts.values(), default=1) > 1 or () in settings.labels.values():
        mend = "give each its own, other than 0; regions that overlap cannot be measured together"
        raise InputError(f"structures: the labels are {list(settings.labels.values())}; {mend}")
