"""Stage: the cohort, from a folder or the phantom, to its store."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from segue.cohort import Fold, Record, Store, assign_splits, read_folder, write_store
from segue.cohort.folder import list_folder
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
    records = read_folder(folder, structures=cohort.structures, **turned, **reading)  # type: ignore[arg-type]
    return store_records(study, records, len(cases), directory, split=split, fold=fold)


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
