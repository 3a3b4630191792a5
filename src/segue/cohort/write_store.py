"""Write a prepared cohort: a Zarr group of arrays and a Parquet table, each with its checksum."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from segue.cohort.placement import common_axes
from segue.cohort.record import Record
from segue.cohort.split import Fold, Shares, assign_splits
from segue.cohort.store import COHORT_FORMAT, SUMS, Store
from segue.errors import InputError
from segue.files import whole_folder, write_text
from segue.sealed import sealed, sums_of

if TYPE_CHECKING:
    from zarr import Array

_CHUNK_BYTES = 1 << 19  # decoded fast for one image, and a cohort does not have a million files


def write_store(
    path: Path,
    records: Iterable[Record],
    *,
    structures: tuple[str, ...],
    size: tuple[int, ...],
    split: Shares,
    seed: int,
    fold: Fold | None = None,
    total: int | None = None,
) -> None:
    """Write records to a store one block after another; memory does not grow with their number.

    The store appears at `path` only once it is complete, and replaces a store that is already there.

    Args:
        path: the folder to write.
        records: the cohort; it is iterated once.
        structures: names of the structures, in the order of `Record.fractions`.
        size: of the grid of every record.
        split: share of the subjects in each split (see `assign_splits`).
        seed: of the draw of the splits.
        fold: of a cross-validation.
        total: number of records, if known: the arrays then have their size from the start.

    Raises:
        InputError: the records differ in shape, in axes, in covariates or in whether they have a spacing; an id is
            repeated; or there are no records.

    >>> import tempfile
    >>> from segue.phantom import STRUCTURES, render_cohort
    >>> path = Path(tempfile.mkdtemp()) / "cohort.zarr"
    >>> records = render_cohort(4, size=(8, 24))
    >>> write_store(path, records, structures=STRUCTURES, size=(8, 24), split={"guide": 0.5, "test": 0.5}, seed=0)
    >>> Store(path).table["split"].value_counts().sort("split").rows()
    [('guide', 2), ('test', 2)]
    """
    import zarr

    path = Path(path)
    if path.exists():
        Store(path)  # refuses to replace what is not a store
    with whole_folder(path, replaces="zarr.json") as partial:
        table, unit, axes = _write_arrays(partial, records, len(structures), tuple(size), total)
        splits = pl.Series("split", assign_splits(table["subject"].to_list(), split, seed, fold))
        table.insert_column(2, splits).write_parquet(partial / "table.parquet")
        attributes: dict[str, Any] = {"format": COHORT_FORMAT, "unit": unit}
        attributes |= {"structures": list(structures), "size": list(size), "axes": axes}
        zarr.open_group(partial, mode="r+").attrs.put(attributes)
        _write_sums(partial)


def _write_arrays(
    path: Path, records: Iterable[Record], n_structures: int, size: tuple[int, ...], total: int | None
) -> tuple[pl.DataFrame, str, str | None]:
    """Write images, fractions and spacing block by block; return the table, the unit of a measurement, and the axes."""
    axes: Counter[str | None] = Counter()
    rows: list[dict[str, Any]] = []
    arrays: dict[str, Array] = {}
    first: Record | None = None
    for block in _blocks(records, _chunk_length(size)):
        first = first or block[0]
        for record in block:
            _check_record(record, first, n_structures, size)
        stacks = _stack(block, len(size))
        arrays = arrays or _create_arrays(path, stacks, total or 0)
        _append(arrays, stacks, start=len(rows))
        axes.update(record.axes for record in block)
        rows += [{"id": r.id, "subject": r.subject} | r.covariates for r in block]
    if first is None:
        raise InputError(f"{path.stem}: the cohort holds no images; check its source")
    _resize(arrays, len(rows))
    return _table(rows, first), "px" if first.spacing is None else f"mm{len(size)}", common_axes(axes)


def _blocks(records: Iterable[Record], length: int) -> Iterator[list[Record]]:
    """Consecutive blocks of `length` records, the images of a chunk, so that no chunk is written twice."""
    iterator = iter(records)
    while block := list(islice(iterator, length)):
        yield block


def _chunk_length(size: tuple[int, ...]) -> int:
    """The number of images in a chunk."""
    return max(1, _CHUNK_BYTES // (4 * math.prod(size)))


def _check_record(record: Record, first: Record, n_structures: int, size: tuple[int, ...]) -> None:
    if record.image.shape != (first.image.shape[0], *size):
        raise InputError(
            f"{record.id}: the image is {record.image.shape}, not {(first.image.shape[0], *size)}; "
            "give all images one size and number of channels"
        )
    if record.fractions.shape != (n_structures, *size):
        raise InputError(
            f"{record.id}: the fractions are {record.fractions.shape}, not {(n_structures, *size)}; "
            "give one map per structure"
        )
    if record.covariates.keys() != first.covariates.keys():
        raise InputError(
            f"{record.id}: has covariates {sorted(record.covariates)}, "
            f"{first.id} has {sorted(first.covariates)}; give all images the same"
        )
    if (record.spacing is None) != (first.spacing is None):
        known, unknown = (first.id, record.id) if record.spacing is None else (record.id, first.id)
        raise InputError(
            f"{unknown}: has no pixel spacing while {known} has; "
            "give it for all images (columns spacing_0, spacing_1 of table.csv) or for none"
        )


def _stack(block: list[Record], dims: int) -> dict[str, np.ndarray]:
    unknown = (math.nan,) * dims
    return {
        "images": np.stack([record.image for record in block]),
        "fractions": np.stack([record.fractions for record in block]),
        "spacing": np.array([record.spacing or unknown for record in block], dtype=np.float64),
    }


def _create_arrays(path: Path, stacks: dict[str, np.ndarray], total: int) -> "dict[str, Array]":
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    group = zarr.open_group(path, mode="w", zarr_format=3)
    size = stacks["images"].shape[2:]
    lengths = {"images": _chunk_length(size), "fractions": _chunk_length(size), "spacing": 1 << 16}
    return {
        name: group.create_array(
            name,
            shape=(total, *stack.shape[1:]),
            dtype=stack.dtype,
            chunks=(lengths[name], *stack.shape[1:]),
            compressors=[ZstdCodec(level=1), Crc32cCodec()],
            config={"write_empty_chunks": True},  # so that one that is missing is seen
        )
        for name, stack in stacks.items()
    }


def _append(arrays: "dict[str, Array]", stacks: dict[str, np.ndarray], start: int) -> None:
    stop = start + len(stacks["images"])
    if stop > arrays["images"].shape[0]:
        _resize(arrays, stop)
    for name, array in arrays.items():
        array[start:stop] = stacks[name]


def _resize(arrays: "dict[str, Array]", length: int) -> None:
    for array in arrays.values():
        if array.shape[0] != length:
            array.resize((length, *array.shape[1:]))


def _table(rows: list[dict[str, Any]], first: Record) -> pl.DataFrame:
    schema = {"id": pl.String, "subject": pl.String} | dict.fromkeys(first.covariates, pl.Float64)
    reserved = {"id", "subject", "split"} & first.covariates.keys()
    if reserved:
        raise InputError(f"covariates: {min(reserved)!r} is a column of every cohort; rename the covariate")
    table = pl.DataFrame(rows, schema=schema, orient="row")
    repeated = table.filter(pl.col("id").is_duplicated())
    if len(repeated):
        raise InputError(f"{repeated['id'][0]}: two images of the cohort have this id; make ids unique")
    return table


def keep_intensity(path: Path, intensity: tuple[float, float]) -> None:
    """Add to a store what was found for `Store.intensity`."""
    import zarr

    zarr.open_group(path, mode="r+", zarr_format=3).attrs.update({"intensity": list(intensity)})
    _write_sums(path)


def _write_sums(path: Path) -> None:
    """The checksums of everything in a store but its chunks, which have their own in them."""
    sums = sums_of(path, of=lambda name: "c" not in name.parts and name.name != SUMS)
    write_text(path / SUMS, sealed({"files": sums}))
