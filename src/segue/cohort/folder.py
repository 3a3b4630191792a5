"""A cohort in a folder: its cases, whatever the layout, with what the table says of them."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from segue.cohort.folder_settings import CohortCase, FolderSettings, check_settings
from segue.cohort.label_check import LabelCheck
from segue.cohort.layout import LABEL_MAP, LAYOUTS, CaseFiles, FoundLayout
from segue.cohort.layout.patterns import by_key, find_patterns, mask_of, paths_below
from segue.cohort.read_case import read_case
from segue.cohort.record import Record
from segue.cohort.table import CohortTable, TableRow
from segue.errors import InputError, nearest


def read_folder(folder: Path, settings: FolderSettings) -> Iterator[Record]:
    """Read a folder of images and masks, one image in memory at a time, in the order of their ids.

    Names, the table and the settings are checked at the call, and each file when the iteration reaches it.

    Raises:
        InputError: one line that names the file and what to do.

    >>> import tempfile, numpy as np
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for kind, values in (("images", [[10, 20]]), ("masks", [[0, 3]])):
    ...     (folder / kind).mkdir()
    ...     Image.fromarray(np.array(values, np.uint8)).save(folder / kind / "p1.png")
    >>> (record,) = read_folder(folder, FolderSettings({"heart": 3}, size=(1, 2)))
    >>> record.id, record.image.tolist(), record.fractions.tolist()
    ('p1', [[[10.0, 20.0]]], [[[0.0, 1.0]]])
    """
    return read_cases(list_folder(folder, settings), settings)


def list_folder(folder: Path, settings: FolderSettings) -> list[CohortCase]:
    """The cases of a folder in the order of their ids; no image is decoded.

    Raises:
        InputError: a file is missing, empty or a link to nothing; the table or the settings are wrong.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for kind in ("images", "masks"):
    ...     (folder / kind).mkdir()
    ...     _ = (folder / kind / "p1_slice2.png").write_bytes(b"any content")
    >>> settings = FolderSettings({"heart": 1}, (4, 4), subject_pattern="^p[0-9]+")
    >>> [(case.id, case.subject) for case in list_folder(folder, settings)]
    [('p1_slice2', 'p1')]
    """
    folder = Path(folder)
    check_settings(settings)
    pattern = compiled(settings.subject_pattern)
    cases = [checked_files(case, settings) for case in find_cases(folder, settings).cases]
    table = CohortTable(
        folder / "table.csv", dims=len(settings.size), covariates=settings.covariates, codes=settings.codes
    )
    complete = settings.missing in (None, "refuse")
    rows = [table.row(case.id, complete=complete) for case in cases]
    listed = [
        CohortCase(case, subject_of(case, row, pattern), row) for case, row in zip(cases, rows, strict=True)
    ]
    return without_gaps(listed, settings, table.path)


def find_cases(folder: Path, settings: FolderSettings) -> FoundLayout:
    """The cases of a folder, by the patterns or the layout of the settings, with the channels and masks asked for.

    Raises:
        InputError: the folder is laid out otherwise, or lacks a channel or a mask.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path")
    if settings.images or settings.masks:
        images, label_map = settings.images or "images/{name}", settings.masks or "masks/{name}"
        patterns = {**({LABEL_MAP: label_map} if settings.labels else {}), **settings.organs}
        return find_patterns(folder, images, patterns, channels=settings.channels)
    layout = settings.layout or "pairs"
    if layout not in LAYOUTS:
        raise InputError(f"layout: {layout!r} is not known{nearest(layout, LAYOUTS)}")
    found = LAYOUTS[layout](folder)
    if found is None:
        what = "images/ and masks/" if layout == "pairs" else f"a data set in the layout {layout}"
        raise InputError(f"{folder}: does not hold {what}; see what it holds with: segue init {folder}")
    cases = with_organs(folder, with_channels(found, settings.channels).cases, settings.organs)
    return replace(found, cases=cases, channels=settings.channels or found.channels)


def with_channels(found: FoundLayout, names: tuple[str, ...]) -> FoundLayout:
    """The cases with the named channels alone, in this order; with all for ()."""
    if not names:
        return found
    if unknown := [name for name in names if name not in found.channels]:
        known = found.channels or ("the data set names none",)
        raise InputError(f"channels: {unknown[0]} is no channel of the images{nearest(unknown[0], known)}")
    places = [found.channels.index(name) for name in names]
    cases = [replace(case, channels=tuple(case.channels[place] for place in places)) for case in found.cases]
    return replace(found, cases=tuple(cases))


def with_organs(folder: Path, cases: tuple[CaseFiles, ...], organs: Mapping[str, str]) -> tuple[CaseFiles, ...]:
    """The cases with the masks of structures that have files of their own."""
    if not organs:
        return cases
    paths = paths_below(folder)
    where = {name: by_key(folder, paths, pattern) for name, pattern in organs.items()}
    return tuple(
        replace(case, masks={**case.masks, **{name: mask_of(case, where[name], organs[name]) for name in organs}})
        for case in cases
    )


def checked_files(case: CaseFiles, settings: FolderSettings) -> CaseFiles:
    """The case, if it has the masks that are needed, and its files are there."""
    image = case.channels[0].path
    if any("\ud800" <= character <= "\udfff" for character in case.id):  # bytes that are no UTF-8
        raise InputError(f"{image}: its name is not in UTF-8; rename it")
    if settings.labels and LABEL_MAP not in case.masks:
        raise InputError(f"{image}: has no mask; add one of the same name, or remove the image")
    for path in (*(one.path for one in case.channels), *case.masks.values()):
        check_file(path)
    return case


def check_file(path: Path) -> None:
    """Refuse a file that is not there, or empty.

    >>> check_file(Path("nowhere.png"))
    Traceback (most recent call last):
    segue.errors.InputError: nowhere.png: cannot be read (No such file or directory); check the path and its permissions
    """
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        if path.is_symlink():
            mend = "fetch its content (git annex get, datalad get), or remove the link"
            raise InputError(f"{path}: is a link to {path.readlink()}, which is not there; {mend}") from None
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    if empty and not path.is_dir():
        raise InputError(f"{path}: the file is empty; export it again")


def compiled(subject_pattern: str | None) -> re.Pattern[str] | None:
    """The regular expression of subjects, if there is one."""
    try:
        return None if subject_pattern is None else re.compile(subject_pattern)
    except re.error as error:
        mend = f"{subject_pattern!r} is not a regular expression ({error}); correct it"
        raise InputError(f"subject_pattern: {mend}") from error


def subject_of(case: CaseFiles, row: TableRow, pattern: re.Pattern[str] | None) -> str:
    """By the table, else the pattern, else the layout; otherwise an image is its own subject."""
    if row.subject is not None or pattern is None:
        return row.subject or case.subject or case.id
    match = pattern.search(case.id)
    subject = match and match[1 if pattern.groups else 0]
    if not subject:
        mend = f"subject_pattern {pattern.pattern!r} finds no subject in {case.id!r}; correct it"
        raise InputError(f"{case.channels[0].path}: {mend}")
    return subject


def without_gaps(cases: list[CohortCase], settings: FolderSettings, table: Path) -> list[CohortCase]:
    """The cases whose covariates are all known, or with the mean of the known values in place of the others."""
    if settings.missing == "drop":
        kept = [case for case in cases if not any(map(math.isnan, case.row.covariates.values()))]
        if cases and not kept:
            raise InputError(f"{table}: every image lacks a covariate; leave one out of cohort.covariates")
        return kept
    means = {}
    for name in settings.covariates:
        known = [value for case in cases if not math.isnan(value := case.row.covariates[name])]
        if not known:
            raise InputError(f"{table}: {name!r} is known of no image; leave it out of cohort.covariates")
        means[name] = math.fsum(known) / len(known)
    return [replace(case, row=replace(case.row, covariates=filled_in(case.row.covariates, means))) for case in cases]


def filled_in(values: Mapping[str, float], means: Mapping[str, float]) -> dict[str, float]:
    """Values, with means where they are not known.

    >>> filled_in({"age": math.nan, "sex": 1.0}, {"age": 60.0, "sex": 0.5})
    {'age': 60.0, 'sex': 1.0}
    """
    return {name: means[name] if math.isnan(value) else value for name, value in values.items()}


def read_cases(cases: list[CohortCase], settings: FolderSettings) -> Iterator[Record]:
    """The records of cases; what concerns all masks together is checked before the last one."""
    check = LabelCheck(settings.labels, settings.background)
    for case in cases:
        record, labels = read_case(case, settings)
        check.add(case.files.masks.get(LABEL_MAP), labels)
        if case is cases[-1]:  # a caller that counts records stops after it
            check.finish()
        yield record
