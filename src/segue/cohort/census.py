"""What a cohort holds, counted by split: what cannot be learnt from is refused before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from segue.cohort.record import Record
from segue.errors import InputError

NEEDED_SPLITS = ("guide", "judge", "test")  # the splits without which there is no result
LEAST = {"guide": 2, "judge": 1, "test": 2}  # subjects
FAR_OFF = 1e4  # times the median of the cohort: values of another order of magnitude than those of all other images
RESPLIT = "choose another cohort.seed or cohort.split, add images, or leave the structure out"


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
    masks: list[list[bytes]] = field(default_factory=list)  # a digest of the mask of each structure
    peaks: list[float] = field(default_factory=list)  # the largest absolute value of each image
    flat: list[bool] = field(default_factory=list)  # images of one value

    def counted(self, records: Iterator[Record]) -> Iterator[Record]:
        """The same records."""
        for record in records:
            self.ids.append(record.id)
            self.present.append(np.array([one.any() for one in record.fractions]))
            self.masks.append([blake2b(one.tobytes()).digest() for one in record.fractions])
            self.peaks.append(float(np.abs(record.image).max()))
            self.flat.append(bool(record.image.min() == record.image.max()))
            if len(self.ids) == len(self.splits):  # a caller that counts records stops after the last
                self.check()
            yield record

    def check(self) -> None:
        """Refuse what nothing can be learnt from: structures that a split lacks, and images that are none."""
        present, splits = np.array(self.present), np.array(self.splits)
        for split in NEEDED_SPLITS:
            there = splits == split
            for name, seen in zip(self.structures, present.T, strict=True):
                if there.any() and not seen[there].any():
                    raise InputError(f"{name}: is in no mask of the split {split!r} ({there.sum()} images); {RESPLIT}")
        self.check_masks(splits == "guide")
        for split in NEEDED_SPLITS:
            self.check_flat(split, splits == split)
        self.check_peaks()

    def check_masks(self, guide: np.ndarray) -> None:
        """Refuse a structure whose masks do not vary where its area is learnt."""
        for k, (name, seen) in enumerate(zip(self.structures, np.array(self.present).T, strict=True)):
            images = int(guide.sum())
            if images > 2 and seen[guide].sum() == 1:
                raise InputError(f"{name}: is in one mask of the split 'guide' ({images} images); {RESPLIT}")
            if images > 1 and len({one[k] for one, of in zip(self.masks, guide, strict=True) if of}) == 1:
                what = f"has the same mask in all {images} images of the split 'guide', so its area cannot be learnt"
                raise InputError(f"{name}: {what}; see that each image has its own mask, or leave the structure out")

    def check_flat(self, split: str, there: np.ndarray) -> None:
        """Refuse a split of which half the images or more are of one value, such as all black."""
        flat = there & np.array(self.flat)
        if there.any() and 2 * flat.sum() >= there.sum():
            first = self.ids[int(np.flatnonzero(flat)[0])]
            what = f"{flat.sum()} of {there.sum()} images of the split {split!r} are of one value ({first} first)"
            raise InputError(f"{what}: nothing can be learnt from them; mend them, or leave them out")

    def check_peaks(self) -> None:
        """Refuse an image whose values are of another order of magnitude than all others."""
        peaks = np.array(self.peaks)
        usual, worst = float(np.median(peaks)), int(peaks.argmax())
        if usual > 0 and peaks[worst] > FAR_OFF * usual:
            what = f"image {self.ids[worst]}: holds values up to {peaks[worst]:.3g}, the cohort's median is {usual:.3g}"
            raise InputError(f"{what}; mend the image, or leave it out")

    def remarks(self) -> list[str]:
        """One line for each structure that some masks lack, and for images of one value: how many, and which."""
        lines = []
        for name, seen in zip(self.structures, np.array(self.present).T, strict=True):
            if not seen.all():
                lines.append(f"{name}: {(~seen).sum()} of {len(self.ids)} masks hold none of it {self.named(~seen)}")
        if any(self.flat):
            lines.append(f"{sum(self.flat)} of {len(self.ids)} images are of one value {self.named(self.flat)}")
        return lines

    def named(self, chosen: Sequence[bool] | np.ndarray) -> str:
        """The first of the chosen ids, in brackets."""
        ids = [id for id, one in zip(self.ids, chosen, strict=True) if one]
        return f"({', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''})"


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
