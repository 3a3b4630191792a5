"""A prepared cohort on disk: a Zarr group of arrays and a Parquet table, written once, read at random."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
import zarr
from jaxtyping import Float, Int
from torch import Tensor
from zarr.codecs import ZstdCodec

from segue.cohort.placement import common_axes
from segue.cohort.record import Record
from segue.cohort.split import Fold, assign_splits
from segue.errors import InputError
from segue.files import whole_folder

COHORT_FORMAT = "segue-cohort-1"

_CHUNK_BYTES = 1 << 19  # decoded fast for one image, and a cohort does not have a million files


def write_store(
    path: Path,
    records: Iterable[Record],
    *,
    structures: tuple[str, ...],
    size: tuple[int, ...],
    split: dict[str, float],
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


def _write_arrays(
    path: Path, records: Iterable[Record], n_structures: int, size: tuple[int, ...], total: int | None
) -> tuple[pl.DataFrame, str, str | None]:
    """Write images, fractions and spacing block by block; return the table, the unit of a measurement, and the axes."""
    axes: Counter[str | None] = Counter()
    rows: list[dict[str, Any]] = []
    arrays: dict[str, zarr.Array] = {}
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


def _create_arrays(path: Path, stacks: dict[str, np.ndarray], total: int) -> dict[str, zarr.Array]:
    group = zarr.open_group(path, mode="w", zarr_format=3)
    size = stacks["images"].shape[2:]
    lengths = {"images": _chunk_length(size), "fractions": _chunk_length(size), "spacing": 1 << 16}
    return {
        name: group.create_array(
            name,
            shape=(total, *stack.shape[1:]),
            dtype=stack.dtype,
            chunks=(lengths[name], *stack.shape[1:]),
            compressors=ZstdCodec(level=1),
        )
        for name, stack in stacks.items()
    }


def _append(arrays: dict[str, zarr.Array], stacks: dict[str, np.ndarray], start: int) -> None:
    stop = start + len(stacks["images"])
    if stop > arrays["images"].shape[0]:
        _resize(arrays, stop)
    for name, array in arrays.items():
        array[start:stop] = stacks[name]


def _resize(arrays: dict[str, zarr.Array], length: int) -> None:
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
    zarr.open_group(path, mode="r+", zarr_format=3).attrs.update({"intensity": list(intensity)})


class Store:
    """A cohort that `write_store` wrote, read only; threads and forked workers may read it at the same time.

    Decoded chunks are cached, and the least recently used ones are dropped first. A cohort that fits into `cache_bytes`
    is decoded once.

    Attributes:
        structures: names, in the order of the fractions.
        size: of the grid. channels: of an image.
        chunk: images that are decoded together.
        unit: of a measurement, "mm2" or "mm3" where spacing is known, else "px".
        axes: letters of all images' axes (`segue.cohort.placement`); None where nothing is known of them.
        intensity: the usual two raw values, where a study had them found in the training images; else None.
        table: one row per image: id, subject, split, covariates.

    Raises:
        InputError: there is no store at the path, or it is something else.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cohort.zarr"
    >>> image, lung = np.ones((1, 2, 2), np.float32), np.full((1, 2, 2), 0.5, np.float32)
    >>> records = [Record("a", "p1", image, lung), Record("b", "p2", 2 * image, lung)]
    >>> write_store(path, records, structures=("lung",), size=(2, 2), split={"test": 1.0}, seed=0)
    >>> store = Store(path)
    >>> len(store), store.unit, store.indices("test").tolist()
    (2, 'px', [0, 1])
    >>> store.read(np.array([1]))["image"].flatten().tolist()
    [2.0, 2.0, 2.0, 2.0]
    """

    def __init__(self, path: Path, *, cache_bytes: int = 1 << 29) -> None:
        path = Path(path)
        if not path.is_dir():
            raise InputError(f"{path}: no prepared cohort there; prepare it first")
        try:
            group = zarr.open_group(path, mode="r", zarr_format=3)
            if (found := group.attrs.get("format")) != COHORT_FORMAT:
                raise ValueError(f"its format is {found!r}, not {COHORT_FORMAT!r}")
            self.table = pl.read_parquet(path / "table.parquet")
            self._arrays: dict[str, Any] = {name: group[name] for name in ("images", "fractions")}
            self._spacing: np.ndarray = np.asarray(cast(Any, group["spacing"])[:])
        except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: is not a prepared cohort ({reason}); prepare it again") from error
        self.structures: tuple[str, ...] = tuple(cast(Any, group.attrs["structures"]))
        self.size: tuple[int, ...] = tuple(cast(Any, group.attrs["size"]))
        self.unit = str(group.attrs["unit"])
        self.axes = cast("str | None", group.attrs.get("axes"))  # stores from before there were axes have none
        found = cast(Any, group.attrs.get("intensity"))
        self.intensity: tuple[float, float] | None = None if found is None else tuple(found)
        self.channels = int(self._arrays["images"].shape[1])
        self.chunk = int(self._arrays["images"].chunks[0])
        chunk_bytes = sum(4 * math.prod(array.chunks) for array in self._arrays.values())
        self._chunk = lru_cache(maxsize=2 * (cache_bytes // chunk_bytes))(self._decode)

    def __len__(self) -> int:
        return len(self.table)

    def indices(self, split: str) -> Int[np.ndarray, " images"]:
        """Indices of the images of a split, ascending."""
        return np.flatnonzero((self.table["split"] == split).to_numpy())

    def read(
        self, indices: Int[np.ndarray, " batch"], *, fractions: bool = True
    ) -> dict[str, Float[Tensor, "batch ..."]]:
        """Read images by index, in the order given; an index may be repeated, and ranges are read fastest.

        Returns:
            "image" (batch, channels, *space), "fractions" (batch, structures, *space) where they are wanted, and
            "spacing" (batch, dims) in mm, NaN where it is not known.

        Raises:
            IndexError: an index is not in [0, len(self)).
        """
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(
                f"indices from {indices.min()} to {indices.max()} in a store of {len(self)} images"
            )
        read = {
            "image": torch.from_numpy(self._take("images", indices)),
            "spacing": torch.from_numpy(self._spacing[indices].astype(np.float32)),
        }
        return read | ({"fractions": torch.from_numpy(self._take("fractions", indices))} if fractions else {})

    def pixel_area(self) -> Float[Tensor, " images"]:
        """Area (or volume) of a pixel of each image in `unit`: the product of its spacing, or 1 px."""
        area = np.ones(len(self)) if self.unit == "px" else self._spacing.prod(axis=1)
        return torch.from_numpy(area.astype(np.float32))

    def _take(self, name: str, indices: Int[np.ndarray, " batch"]) -> np.ndarray:
        """Rows of an array, in the order of the indices."""
        array = self._arrays[name]
        length = array.chunks[0]
        # A range over several chunks: one call decodes them in parallel, and they are not worth caching.
        if len(indices) > length and np.all(np.diff(indices) == 1):
            return np.asarray(array[int(indices[0]) : int(indices[-1]) + 1])
        rows = np.empty((len(indices), *array.shape[1:]), dtype=array.dtype)
        chunks, offsets = np.divmod(indices, length)
        for chunk in np.unique(chunks):
            here = chunks == chunk
            rows[here] = self._chunk(name, int(chunk))[offsets[here]]
        return rows

    def _decode(self, name: str, chunk: int) -> np.ndarray:
        array = self._arrays[name]
        return np.asarray(array[chunk * array.chunks[0] : (chunk + 1) * array.chunks[0]])
