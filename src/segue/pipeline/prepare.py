"""Stage: the cohort, from a folder or the phantom, to its store."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from segue.cohort import Fold, Record, Store, assign_splits, read_folder, write_store
from segue.cohort.folder import list_folder
from segue.cohort.intensity import asked_intensity
from segue.cohort.io import passed_over
from segue.cohort.store import keep_intensity
from segue.cohort.values import found_intensity, misfit, percentiles_of, sampled_values, training_images
from segue.phantom import render_cohort
from segue.pipeline.common import Result
from segue.progress import track
from segue.study.schema import Study

T = TypeVar("T")


def prepare(study: Study, directory: Path) -> Result:
    """Write the cohort to its store."""
    cohort = study.cohort
    fold = Fold(cohort.fold, cohort.folds) if cohort.fold else None
    if cohort.folder is not None:
        return prepare_folder(study, cohort.folder, directory, split=cohort.split, fold=fold, axes=cohort.axes)
    assert cohort.phantom is not None  # checked with the study
    count, seed, law = cohort.phantom.images, cohort.phantom.seed, cohort.phantom.law
    height, width = cohort.size  # checked with the study too
    records = render_cohort(count, size=(height, width), seed=seed, law=law)
    return store_records(study, records, count, directory, split=cohort.split, fold=fold)


def prepare_folder(
    study: Study,
    folder: Path,
    directory: Path,
    *,
    split: dict[str, float],
    fold: Fold | None = None,
    axes: str | None = None,
) -> Result:
    """Write a folder to a store, its images turned into `axes`; None: as stored."""
    cohort = study.cohort
    reading = {"subject_pattern": cohort.subject_pattern, "covariates": cohort.covariates, "size": cohort.size}
    cases = list_folder(folder, **reading)  # type: ignore[arg-type]
    assign_splits([case.subject for case in cases], split, cohort.seed, fold)  # refuse bad splits before reading images
    turned = {"axes": axes, "resample_masks": cohort.resample_masks}
    say_passed_over(folder)
    records = read_folder(folder, structures=cohort.structures, **turned, **reading)  # type: ignore[arg-type]
    return store_records(study, records, len(cases), directory, split=split, fold=fold)


def say_passed_over(folder: Path) -> None:
    """Pictures of a cohort's folder whose format is not read are counted on stderr."""
    for part in (folder / "images", folder / "masks"):
        if found := passed_over(part):
            listed = ", ".join(f"{count} {suffix}" for suffix, count in found.items())
            print(f"warning: {part}: passed over, their format is not read: {listed}", file=sys.stderr)


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
    about = {"images": len(store), "unit": store.unit, "splits": store.table["split"].value_counts().to_dicts()}
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
