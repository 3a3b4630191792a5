"""Stage: the cohort, from a folder or the phantom, to its store."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from segue.cohort import Fold, FolderSettings, Record, Store, assign_splits, list_folder, write_store
from segue.cohort.census import Census, check_counts, check_varying
from segue.cohort.folder import read_cases
from segue.cohort.folder_settings import CohortCase
from segue.cohort.intensity import asked_intensity
from segue.cohort.io import passed_over, stamp
from segue.cohort.placement import check_axes
from segue.cohort.split import Shares
from segue.cohort.values import found_intensity, misfit, percentiles_of, sampled_values, training_images
from segue.cohort.write_store import keep_intensity
from segue.errors import InputError
from segue.phantom import render_cohort
from segue.pipeline.common import Result
from segue.progress import track
from segue.study.schema import Cohort, Study

T = TypeVar("T")


def folder_settings(cohort: Cohort, axes: str | None = None) -> FolderSettings:
    """How the study reads its folder, and every other one; that in the `axes` that it was trained in."""
    axes = axes or cohort.axes
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
        axes=axes and check_axes(axes, len(cohort.size)),
        resample_masks=cohort.resample_masks,
    )


def stamps_of(folder: Path, settings: FolderSettings) -> list[Any]:
    """What identifies a folder's content without reading it: names, sizes and times of its files."""
    paths = [path for case in list_folder(folder, settings) for path in case.paths]
    table = folder / "table.csv"
    return [stamp(path) for path in [*paths, *([table] if table.exists() else [])]]


def prepare(study: Study, directory: Path) -> Result:
    """Write the cohort to its store."""
    cohort = study.cohort
    fold = Fold(cohort.fold, cohort.folds) if cohort.fold else None
    if cohort.folder is not None:
        settings = folder_settings(cohort)
        cases = list_folder(cohort.folder, settings)
        subjects = [case.subject for case in cases]
        splits = assign_splits(subjects, cohort.split, cohort.seed, fold)
        check_counts(subjects, splits)  # before images are read
        check_varying([case.row.covariates for case in cases], splits)
        say_passed_over(cohort.folder)
        return store_cases(study, cases, settings, directory, split=cohort.split, fold=fold)
    assert cohort.phantom is not None  # checked with the study
    count, seed, law = cohort.phantom.images, cohort.phantom.seed, cohort.phantom.law
    height, width = cohort.size  # checked with the study too
    ids = [str(i) for i in range(count)]
    check_counts(ids, assign_splits(ids, cohort.split, cohort.seed, fold))
    records = render_cohort(count, size=(height, width), seed=seed, law=law)
    return store_records(study, records, count, directory, split=cohort.split, fold=fold)


def prepare_folder(
    study: Study, folder: Path, directory: Path, *, split: Shares, axes: str | None = None
) -> Result:
    """Write another cohort to a store, in the study's own way; its images turned into `axes`."""
    settings = folder_settings(study.cohort, axes)
    cases = list_folder(folder, settings)
    if len(cases) < 2:
        raise InputError(f"{folder}: holds {len(cases)} image; give at least 2, so that values can be exchanged")
    say_passed_over(folder)
    return store_cases(study, cases, settings, directory, split=split)


def store_cases(
    study: Study,
    cases: list[CohortCase],
    settings: FolderSettings,
    directory: Path,
    *,
    split: Shares,
    fold: Fold | None = None,
) -> Result:
    """Write the cases of a folder, and say what their masks lack."""
    cohort, shares = study.cohort, dict(split)
    splits = assign_splits([case.subject for case in cases], shares, cohort.seed, fold)
    census = Census(tuple(cohort.structures), splits)
    records = census.counted(read_cases(cases, settings))
    result = store_records(study, records, len(cases), directory, split=shares, fold=fold)
    for line in census.remarks():
        print(f"note: {line}", file=sys.stderr)
    return result | {"remarks": census.remarks()}


def say_passed_over(folder: Path) -> None:
    """Pictures of a cohort's folder whose format is not read are counted on stderr."""
    for part in (folder / "images", folder / "masks"):
        if part.is_dir() and (found := passed_over(part)):
            listed = ", ".join(f"{count} {suffix}" for suffix, count in found.items())
            print(f"warning: {part}: passed over, their format is not read: {listed}", file=sys.stderr)


def store_records(
    study: Study,
    records: Iterator[Record],
    count: int,
    directory: Path,
    *,
    split: Shares,
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
    splits = store.table["split"].value_counts().sort("split")
    about = {"images": len(store), "unit": store.unit, "splits": splits.to_dicts()}
    return about | {"values": told_values(study, directory / "cohort.zarr")}


def told_values(study: Study, path: Path) -> dict[str, float]:
    """Percentiles of the training images (of all, where there are none), told on stderr.

    What the study wants found in them is added to the store.
    """
    store, asked = Store(path), asked_intensity(study.cohort.intensity)
    rows = training_images(store)
    values = sampled_values(store, rows)
    found = percentiles_of(values)
    listed = ", ".join(f"{level}%: {value:.4g}" for level, value in found.items())
    print(f"values of {len(rows)} images, percentiles: {listed}", file=sys.stderr)
    if (usual := found_intensity(asked, store)) is not None:
        keep_intensity(path, usual)
        print(f"intensity: {usual[0]:.4g} to {usual[1]:.4g}, found in these images", file=sys.stderr)
    elif asked.usual is not None and asked.rule is None and (said := misfit(values, asked.usual)):
        print(f"warning: cohort.intensity: {said}: is it of these images?", file=sys.stderr)
    return found


def following(items: Iterable[T], count: int, title: str) -> Iterator[T]:
    """Show progress over an iterable of known length."""
    iterator = iter(items)
    for _ in track(range(count), total=count, title=title):
        yield next(iterator)
