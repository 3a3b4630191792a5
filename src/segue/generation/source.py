"""The images of a cohort: a prepared store, or a folder of image files. They are read one at a time."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from segue.cohort import Store
from segue.cohort.case import Case
from segue.cohort.io import PlacedImage, image_files, place_image, stamp
from segue.cohort.origin import Origin
from segue.cohort.placement import scaled_axes
from segue.cohort.table import CohortTable
from segue.engine.model import Model
from segue.errors import InputError


@runtime_checkable
class Source(Protocol):
    """CaseImages by number."""

    ids: list[str]

    def read(self, index: int) -> Case:
        """One image; an exception concerns only this image."""
        ...

    def identity(self) -> Any:
        """What distinguishes this cohort from others, without reading its images."""
        ...


def open_source(path: Path, model: Model, *, split: str | None = None) -> Source:
    """The cohort at `path`, which must match the model.

    Args:
        split: of a prepared store; only the images of this split are used.

    Raises:
        InputError: there is none, or its size, unit or number of channels differs from the run's.
    """
    path = Path(path)
    names = model.space.covariates
    if (path / "zarr.json").is_file():
        return StoreImages(path, model, names, split)
    if split is not None:
        raise InputError(f"--split {split}: a folder of files has no splits; leave it out, or give a prepared store")
    return FolderImages(path, model, names)


class StoreImages:
    """A prepared cohort (`runs/<study>/prepare/cohort.zarr`)."""

    def __init__(self, path: Path, model: Model, covariates: tuple[str, ...], split: str | None) -> None:
        self.path, self.covariates = path, covariates
        self.store = Store(path, cache_bytes=1 << 26)  # images come in order: a few chunks suffice
        check_fit(path, self.store, model)
        if missing := [name for name in covariates if name not in self.store.table.columns]:
            raise InputError(f"{path}: has no covariate {missing[0]!r}, which the run needs; prepare it with it")
        self.rows = np.arange(len(self.store)) if split is None else self.store.indices(split)
        if not len(self.rows):
            known = ", ".join(sorted(set(self.store.table["split"])))
            raise InputError(f"--split {split}: {path} has no images in it; choose from {known}")
        self.table = self.store.table[self.rows.tolist()]
        self.ids: list[str] = self.table["id"].to_list()

    def read(self, index: int) -> Case:
        read = self.store.read(self.rows[index : index + 1])
        known = self.store.unit != "px"
        spacing = tuple(float(mm) for mm in read["spacing"][0]) if known else None
        covariates = {name: float(self.table[name][index]) for name in self.covariates}
        return Case(self.ids[index], read["image"][0].numpy(), spacing, scaled_axes(spacing), covariates)

    def identity(self) -> Any:
        return [*map(stamp, [self.path / "table.parquet", self.path / "zarr.json"]), self.ids]


def check_fit(path: Path, store: Store, model: Model) -> None:
    """Refuse a store whose size, channels or unit differ from those of the training data."""
    facts = {
        "size": (list(store.size), list(model.grid.size)),
        "number of channels": (store.channels, model.grid.channels),
        "unit": (store.unit, model.grid.unit),
        "order of axes": (store.axes or model.grid.axes, model.grid.axes or store.axes),
    }
    for what, (found, needed) in facts.items():
        if found != needed:
            raise InputError(f"{path}: its {what} is {found}, the run's is {needed}; prepare it as the run's was")


class FolderImages:
    """PNG and NIfTI files in a folder or its `images/`; spacing and covariates are optional, in its `table.csv`."""

    def __init__(self, path: Path, model: Model, covariates: tuple[str, ...]) -> None:
        folder = path / "images" if (path / "images").is_dir() else path
        if not folder.is_dir():
            raise InputError(f"{path}: no such cohort; give a prepared store (.../cohort.zarr) or a folder of images")
        if model.grid.channels != 1:
            count = model.grid.channels
            raise InputError(f"{path}: image files have one channel, the run's images {count}; give a store")
        self.files = image_files(folder)
        self.ids = list(self.files)
        self.size, self.axes = model.grid.size, model.grid.axes
        self.path = path / "table.csv"
        self.table = CohortTable(self.path, dims=len(model.grid.size), covariates=covariates)

    def read(self, index: int) -> Case:
        id = self.ids[index]
        row, file = self.table.row(id), self.files[id]
        found = place_image(file, self.size, axes=self.axes, spacing=row.spacing)
        return case_of(id, found, file, self.size, row.covariates)

    def identity(self) -> Any:
        return [stamp(path) for path in [*self.files.values(), *([self.path] if self.path.exists() else [])]]


def case_of(
    id: str,
    found: PlacedImage,
    file: Path,
    size: tuple[int, ...],
    covariates: dict[str, float],
    *,
    slice: int | None = None,
) -> Case:
    """A case from a file that was read onto a grid of `size`."""
    place = found.placement
    origin = Origin(file, place, slice)
    return Case(id, found.image, place.spacing_on(size), place.affine_on(size), covariates, origin)
