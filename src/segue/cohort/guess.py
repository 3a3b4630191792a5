"""How a folder is laid out: a layout that is known, or patterns of the names that people give to images and masks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segue.cohort.layout import LABEL_MAP, LAYOUTS, FoundLayout
from segue.cohort.layout.patterns import find_patterns, paths_below
from segue.errors import InputError

IMAGE_WORDS = ("images", "image", "imgs", "img", "scans", "data", "ct", "mri", "raw")
MASK_WORDS = ("masks", "mask", "labels", "label", "segmentations", "segmentation", "segs", "seg", "gt", "annotations")


@dataclass(frozen=True)
class GuessedLayout:
    """A layout, and the keys of a study's `cohort` that name it.

    >>> GuessedLayout(FoundLayout(()), {"layout": "bids"}).organs
    {}
    """

    found: FoundLayout
    keys: Mapping[str, str] = field(default_factory=dict)
    organs: Mapping[str, str] = field(default_factory=dict)


def guess_layout(folder: Path) -> GuessedLayout:
    """The layout of a folder.

    Raises:
        InputError: it is of none that is known; or it is of one, and something is wrong with it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("Images/a.png", "Labels/a.png"):
    ...     (folder / name).parent.mkdir()
    ...     (folder / name).touch()
    >>> dict(guess_layout(folder).keys)
    {'images': 'Images/{name}', 'masks': 'Labels/{name}'}
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path")
    for name, find in LAYOUTS.items():
        found = find(folder)
        if found is not None and found.cases and all(LABEL_MAP in case.masks for case in found.cases[:1]):
            return GuessedLayout(found, {} if name == "pairs" else {"layout": name})
    failures = []
    for images, masks in guessed_patterns(paths_below(folder)):
        try:
            found = find_patterns(folder, images, masks)
        except InputError as error:
            failures += [str(error)] if "no file matches" not in str(error) else []
            continue
        organs = {name: pattern for name, pattern in masks.items() if name != LABEL_MAP}
        keys = {"images": images} | ({"masks": masks[LABEL_MAP]} if LABEL_MAP in masks else {})
        return GuessedLayout(found, keys, organs)
    mend = "describe it by cohort.images and cohort.masks, e.g. scans/{name}.nii.gz and labels/{name}.nii.gz"
    raise InputError(f"{folder}: its layout is not known ({failures[0] if failures else 'no pairs of files'}); {mend}")


def guessed_patterns(paths: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Patterns of images, and of masks by structure, that the names of folders and files suggest."""
    folders = sorted({path.rstrip("/") for path in paths if path.endswith("/")})
    top = {name.lower(): name for name in folders if "/" not in name}
    images = [top[word] for word in IMAGE_WORDS if word in top]
    masks = [top[word] for word in MASK_WORDS if word in top]
    for one in images:
        for other in masks:
            below = sorted(name.split("/")[1] for name in folders if re.fullmatch(re.escape(other) + "/[^/]+", name))
            if below and f"{one}/{below[0]}" not in folders:  # folders of organs, not of subjects
                yield f"{one}/{{name}}", {organ: f"{other}/{organ}/{{name}}" for organ in below}
            for nested in ("{name}", "{subject}/{name}", "{name}_image"):
                for tail in ("", *(f"_{word}" for word in MASK_WORDS)):
                    stem = nested.removesuffix("_image")
                    yield f"{one}/{nested}", {LABEL_MAP: f"{other}/{stem}{tail}"}
    for nested in ("", "{subject}/", *(f"{one}/" for one in images)):
        for image in ("{name}_image", "{name}_img", "{name}"):
            for word in MASK_WORDS:
                yield f"{nested}{image}", {LABEL_MAP: f"{nested}{{name}}_{word}"}
    for image in IMAGE_WORDS:
        for word in MASK_WORDS:
            yield f"{{subject}}/{image}", {LABEL_MAP: f"{{subject}}/{word}"}


def guess_subjects(ids: list[str]) -> str | None:
    """A regular expression that takes the subject from a name, if several images seem to be of one subject.

    >>> guess_subjects(["p01_a", "p01_b", "p02_a", "p02_b", "p03_a", "p04_a"])
    '^([^_-]+)[_-]'
    >>> guess_subjects(["case_001", "case_002", "case_003"]) is None
    True
    """
    for pattern in ("^([^_-]+)[_-]", "^(.+)_[^_]+$"):
        found = [match and match[1] for match in (re.search(pattern, id) for id in ids)]
        if None not in found and 4 <= len(set(found)) < len(ids) and any(map(str.isdigit, "".join(map(str, found)))):
            return pattern
    return None
