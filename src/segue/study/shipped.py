"""The studies that come with the package, by name: `studies:NAME` wherever a study's file is asked for."""

import re
from itertools import takewhile
from pathlib import Path

from segue.errors import InputError, nearest

BY_NAME = "studies:"
PACKAGED = Path(__file__).parents[1] / "studies"
STUDIES = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[3] / "studies"  # the latter in a checkout
PLACES = ("*.yaml", "baselines/*.yaml", "ablations/**/*.yaml")


def shipped_studies() -> dict[str, Path]:
    """The files by name, ablations last.

    >>> shipped_studies()["coronary-phantom"].name
    'coronary-phantom.yaml'
    """
    files = [path for place in PLACES for path in sorted(STUDIES.glob(place))]
    return {path.relative_to(STUDIES).with_suffix("").as_posix(): path for path in files}


def study_file(path: Path | str) -> Path:
    """The file of `studies:NAME`; any other path as it is.

    Raises:
        InputError: no study of this name comes with the package.

    >>> study_file("mine.yaml").name, study_file("studies:coronary-phantom").name
    ('mine.yaml', 'coronary-phantom.yaml')
    >>> study_file("studies:coronary-fantom")
    Traceback (most recent call last):
    segue.errors.InputError: studies:coronary-fantom: no such study comes with segue; did you mean coronary-phantom?
    """
    if not str(path).startswith(BY_NAME):
        return Path(path)
    known, name = shipped_studies(), str(path).removeprefix(BY_NAME)
    if name not in known:
        raise InputError(f"{path}: no such study comes with segue{nearest(name, known)}")
    return known[name]


def about_study(path: Path) -> str:
    """The first sentence of the comment at the top of a study's file, without what is in brackets.

    >>> about_study(study_file("studies:coronary-phantom"))
    'Nine areas of a simulated coronary artery: three structures, each in the proximal, mid and distal third.'
    """
    comment = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    text = " ".join(line.lstrip("# ") for line in comment)
    return re.split(r"(?<=[.?!]) (?=[A-Z`])", re.sub(r" \([^()]*\)", "", text))[0]
