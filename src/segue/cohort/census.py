"""What a cohort holds, counted by split: what cannot be learnt from is refused before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.cohort.record import Record
from segue.errors import InputError

NEEDED_SPLITS = ("guide", "judge", "test")  # the splits without which there is no result
LEAST = {"guide": 2, "judge": 1, "test": 2}  # subjects


@dataclass
class Census:
    """Counts records as they pass, and refuses before the last one passes.

    Attributes:
        structures: names, in the order of `Record.fractions`. splits: of each record.

    >>> image, lung = np.ones((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    >>> list(Census(("lung",), ["test"]).counted(iter([Record("a", "a", image, lung)])))
    Traceback (most recent call last):
    segue.errors.InputError: lung: is in no mask of the split 'test' (1 images); ...
    """

    structures: Sequence[str]
    splits: Sequence[str]
    ids: list[str] = field(default_factory=list)
    present: list[np.ndarray] = field(default_factory=list)

    def counted(self, records: Iterator[Record]) -> Iterator[Record]:
        """The same records."""
        for record in records:
            self.ids.append(record.id)
            self.present.append(np.array([one.any() for one in record.fractions]))
            if len(self.ids) == len(self.splits):  # a caller that counts records stops after the last
                self.check()
            yield record

    def check(self) -> None:
        """Refuse a structure that a whole split lacks."""
        present, splits = np.array(self.present), np.array(self.splits)
        for split in NEEDED_SPLITS:
            there = splits == split
            for name, seen in zip(self.structures, present.T, strict=True):
                if there.any() and not seen[there].any():
                    mend = "choose another cohort.seed or cohort.split, add images, or leave the structure out"
                    raise InputError(f"{name}: is in no mask of the split {split!r} ({there.sum()} images); {mend}")

    def remarks(self) -> list[str]:
        """One line for each structure that some masks lack: how many, and which."""
        lines = []
        for name, seen in zip(self.structures, np.array(self.present).T, strict=True):
            if not seen.all():
                without = [id for id, one in zip(self.ids, seen, strict=True) if not one]
                shown = ", ".join(without[:5]) + (", ..." if len(without) > 5 else "")
                lines.append(f"{name}: {len(without)} of {len(self.ids)} masks hold none of it ({shown})")
        return lines


def check_counts(subjects: Sequence[str], splits: Sequence[str]) -> None:
    """Refuse splits with too few subjects to train on, or to compare.

    >>> check_counts(["a", "b", "c"], ["guide", "judge", "test"])
    Traceback (most recent call last):
    segue.errors.InputError: split: 'guide' has 1 of 3 subjects, and needs 2 at least; add subjects, or raise its share
    """
    total = len(set(subjects))
    for split, least in LEAST.items():
        count = len({subject for subject, one in zip(subjects, splits, strict=True) if one == split})
        if count < least:
            mend = f"and needs {least} at least; add subjects, or raise its share"
            raise InputError(f"split: {split!r} has {count} of {total} subjects, {mend}")


def check_varying(covariates: Sequence[Mapping[str, float]], splits: Sequence[str]) -> None:
    """Refuse a covariate that is the same in all images from which its effect is to be learnt.

    >>> check_varying([{"age": 63.0}, {"age": 63.0}], ["guide", "guide"])
    Traceback (most recent call last):
    segue.errors.InputError: covariates: 'age' is 63 in all 2 images of the split 'guide', so its effect cannot be ...
    """
    guide = [row for row, split in zip(covariates, splits, strict=True) if split == "guide"]
    for name in guide[0] if guide else ():
        values = {row[name] for row in guide}
        if max(values) - min(values) <= 1e-6 * max(map(abs, values)):
            where = f"is {next(iter(values)):g} in all {len(guide)} images of the split 'guide'"
            mend = "leave it out of cohort.covariates, or add images"
            raise InputError(f"covariates: {name!r} {where}, so its effect cannot be learnt; {mend}")
