"""Stage: the cohort, from a folder or the phantom, to its store."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from segue.cohort import Fold, FolderSettings, Record, Store, assign_splits, list_folder, write_store
from segue.cohort.census import Census, check_counts, check_varying
from segue.cohort.folder import read_cases
from segue.cohort.folder_settings import CohortCase
from segue.errors import InputError
from segue.phantom import render_cohort
from segue.pipeline.common import Result
from segue.progress import track
from segue.study.schema import Cohort, Study

T = TypeVar("T")


def folder_settings(cohort: Cohort) -> FolderSettings:
    """How the study reads its folder, and every other one."""
    return FolderSettings(
        structures=cohort.structures,
        size=cohort.size,
        subject_pattern=cohort.subject_pattern,
        covariates=cohort.covariates,
        codes=cohort.codes,
        missing=cohort.missing,
        background=cohort.background,
        overlaps=cohort.overlaps,
        layout=cohort.layout,
        images=cohort.images,
        masks=cohort.masks,
        channels=cohort.channels,
    )


def prepare(study: Study, directory: Path) -> Result:
    """Write the cohort to its store."""
    cohort = study.cohort
    fold = Fold(cohort.fold, cohort.folds) if cohort.fold else None
    if cohort.folder is not None:
        cases = list_folder(cohort.folder, folder_settings(cohort))
        subjects = [case.subject for case in cases]
        splits = assign_splits(subjects, cohort.split, cohort.seed, fold)
        check_counts(subjects, splits)  # before images are read
        check_varying([case.row.covariates for case in cases], splits)
        return store_cases(study, cases, directory, split=cohort.split, fold=fold)
    assert cohort.phantom is not None  # checked with the study
    count, seed, law = cohort.phantom.images, cohort.phantom.seed, cohort.phantom.law
    height, width = cohort.size  # checked with the study too
    ids = [str(i) for i in range(count)]
    check_counts(ids, assign_splits(ids, cohort.split, cohort.seed, fold))
    records = render_cohort(count, size=(height, width), seed=seed, law=law)
    return store_records(study, records, count, directory, split=cohort.split, fold=fold)


def prepare_folder(study: Study, folder: Path, directory: Path, *, split: dict[str, float]) -> Result:
    """Write another cohort to a store, in the study's own way."""
    cases = list_folder(folder, folder_settings(study.cohort))
    if len(cases) < 2:
        raise InputError(f"{folder}: holds {len(cases)} image; give at least 2, so that values can be exchanged")
    return store_cases(study, cases, directory, split=split)


def store_cases(
    study: Study, cases: list[CohortCase], directory: Path, *, split: Mapping[str, float], fold: Fold | None = None
) -> Result:
    """Write the cases of a folder, and say what their masks lack."""
    cohort, shares = study.cohort, dict(split)
    splits = assign_splits([case.subject for case in cases], shares, cohort.seed, fold)
    census = Census(tuple(cohort.structures), splits)
    records = census.counted(read_cases(cases, folder_settings(cohort)))
    result = store_records(study, records, len(cases), directory, split=shares, fold=fold)
    for line in census.remarks():
        print(f"note: {line}", file=sys.stderr)
    return result | {"remarks": census.remarks()}


def store_records(
    study: Study,
    records: Iterator[Record],
    count: int,
    directory: Path,
    *,
    split: dict[str, float],
    fold: Fold | None = None,
) -> Result:
    cohort = study.cohort
    write_store(
        directory / "cohort.zarr",
        following(records, count, "prepare"),
        structures=tuple(cohort.structures),
        size=cohort.size,
        split=split,
        seed=cohort.seed,
        fold=fold,
        total=count,
    )
    store = Store(directory / "cohort.zarr")
    return {"images": len(store), "unit": store.unit, "splits": store.table["split"].value_counts().to_dicts()}


def following(items: Iterable[T], count: int, title: str) -> Iterator[T]:
    """Show progress over an iterable of known length."""
    iterator = iter(items)
    for _ in track(range(count), total=count, title=title):
        yield next(iterator)
