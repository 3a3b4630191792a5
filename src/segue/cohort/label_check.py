"""Labels in the masks of a cohort: a mask that holds unknown labels alone is of another convention."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from segue.errors import InputError


class LabelCheck:
    """Looks at one mask after another, and judges them together.

    An unknown label is background: a mask may hold more than is measured. But if a label is met only in masks that hold
    no known label, it is another convention (0/255 in place of 0/1), and not an image without the structure.

    Args:
        labels: of each structure. background: labels that are known to be no structure.

    >>> check = LabelCheck({"lung": (1,)})
    >>> check.add(Path("masks/a.png"), {1})
    >>> check.add(Path("masks/b.png"), {255})
    >>> check.finish()
    Traceback (most recent call last):
    segue.errors.InputError: masks/b.png: holds label 255 and none of the structures' (1); ...
    """

    def __init__(self, labels: Mapping[str, tuple[int, ...]], background: Iterable[int] = ()) -> None:
        self.labels, self.known = labels, {label for those in labels.values() for label in those}
        self.beside = set(background)  # unknown labels that are met beside known ones
        self.found: set[int] = set()
        self.strange: list[tuple[Path, set[int]]] = []  # masks without any known label
        self.folder: Path | None = None

    def add(self, path: Path | None, labels: set[int]) -> None:
        """A mask, and its labels other than 0; None where no structure has a label."""
        if path is None:
            return
        self.folder = self.folder or path.parent
        self.found |= labels & self.known
        if labels & self.known:
            self.beside |= labels - self.known
        elif labels:
            self.strange.append((path, labels))

    def finish(self) -> None:
        """Judge all masks.

        Raises:
            InputError: naming the first mask of another convention, or a structure that no mask holds.
        """
        for path, labels in self.strange:
            if self.found and not labels & self.beside:
                self._refuse(path, labels)
        for name, own in self.labels.items():
            if self.folder is not None and not self.found.intersection(own):
                numbers = ", ".join(map(str, own))
                others = sorted(self.beside.union(*(one for _, one in self.strange)))
                mend = f"the masks hold {', '.join(map(str, others)) or 'nothing'} beside; correct its label"
                raise InputError(f"{self.folder}: no mask holds structure {name!r} (label {numbers}): {mend}")

    def _refuse(self, path: Path, labels: set[int]) -> None:
        found, known = (", ".join(map(str, sorted(one)[:8])) for one in (labels, self.known))
        alike = sum(not one & self.beside for _, one in self.strange)
        more = f" (so do {alike - 1} more masks)" if alike > 1 else ""
        word = "label" if len(labels) == 1 else "labels"
        mend = "no other mask has both; give all masks the same labels, or say cohort.background: "
        raise InputError(
            f"{path}: holds {word} {found} and none of the structures' ({known}){more}; {mend}[{found}]"
        )
