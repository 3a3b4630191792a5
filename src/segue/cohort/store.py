"""A prepared cohort on disk: a Zarr group of arrays and a Parquet table, read at random."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue.errors import InputError
from segue.sealed import damaged, read_json
from segue.text import one_line

COHORT_FORMAT = "segue-cohort-1"

SUMS = "checksums.json"
MOST_IMAGES, MOST_VALUES = 1 << 26, 1 << 27
"""Of a store, and of a chunk of it."""
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, pl.exceptions.PolarsError)
"""What Zarr and Parquet say of files that are damaged."""


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
    >>> from segue.cohort import Record, write_store
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
        self.path = path = Path(path)
        if not path.is_dir():
            raise InputError(f"{path}: no prepared cohort there; prepare it first")
        if (path / SUMS).is_file() and (name := damaged(path, read_json(path / SUMS, keys=["files"])["files"])):
            raise InputError(f"{path / name}: is damaged (its checksum is another); {self._mend()}")
        try:
            self._open(path)
        except UNREADABLE as error:
            raise InputError(f"{path}: is not a prepared cohort ({one_line(error)[:160]}); {self._mend()}") from None
        chunk_bytes = sum(4 * math.prod(array.chunks) for array in self._arrays.values())
        self._chunk = lru_cache(maxsize=2 * (cache_bytes // chunk_bytes))(self._decode)

    def _open(self, path: Path) -> None:
        """Table, arrays and attributes, as `write_store` wrote them."""
        import zarr  # slow to import, and a model that was exported has no store
        from zarr.codecs import Crc32cCodec

        group = zarr.open_group(path, mode="r", zarr_format=3)
        if (found := group.attrs.get("format")) != COHORT_FORMAT:
            raise ValueError(f"its format is {found!r}, not {COHORT_FORMAT!r}")
        stated: dict[str, Any] = dict(group.attrs)
        self.structures: tuple[str, ...] = tuple(map(str, stated["structures"]))
        self.size: tuple[int, ...] = tuple(map(int, stated["size"]))
        self.unit = str(stated["unit"])
        self.axes = cast("str | None", stated.get("axes"))  # stores from before there were axes have none
        usual = stated.get("intensity")
        self.intensity: tuple[float, float] | None = None if usual is None else (float(usual[0]), float(usual[1]))
        self.table = pl.read_parquet((path / "table.parquet").read_bytes())
        self._arrays: dict[str, Any] = {name: group[name] for name in ("images", "fractions")}
        self._check_shapes(spacing := cast(Any, group["spacing"]))
        self.channels = int(self._arrays["images"].shape[1])
        self.chunk = int(self._arrays["images"].chunks[0])
        self._checked = any(isinstance(one, Crc32cCodec) for one in self._arrays["images"].compressors)
        if self._checked and not (path / SUMS).is_file():
            raise ValueError(f"{SUMS} is missing")
        self._spacing: np.ndarray = np.asarray(spacing[:])
        if (self._spacing <= 0).any():  # zarr takes a missing chunk for zeros; what is not known is NaN
            raise ValueError("a spacing is not above 0")

    def _check_shapes(self, spacing: Any) -> None:
        """Refuse arrays that do not fit the table and one another, before memory is taken for them."""
        count, structures, size = len(self.table), len(self.structures), self.size
        images, fractions = self._arrays["images"], self._arrays["fractions"]
        fits = {"images": (count, images.shape[1], *size), "fractions": (count, structures, *size)}
        for name, array in {"images": images, "fractions": fractions}.items():
            if array.shape != fits[name] or math.prod(array.chunks) > MOST_VALUES or array.dtype != np.float32:
                raise ValueError(f"{name} is {array.shape} {array.dtype}, not {fits[name]} float32")
        if spacing.shape != (count, len(size)) or count > MOST_IMAGES or spacing.dtype != np.float64:
            raise ValueError(f"spacing is {spacing.shape} {spacing.dtype}, not {(count, len(size))} float64")
        if not {"id", "subject", "split"} <= set(self.table.columns):
            raise ValueError("its table lacks id, subject or split")

    def _mend(self) -> str:
        return f"remove {self.path.parent.name or self.path.parent}, and prepare the cohort again"

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

    def spacing(self) -> Float[Tensor, "images dims"]:
        """Size of a pixel of each image along each axis, in mm, or 1 where areas are in px."""
        mm = np.ones_like(self._spacing) if self.unit == "px" else self._spacing
        return torch.from_numpy(mm.astype(np.float32))

    def _take(self, name: str, indices: Int[np.ndarray, " batch"]) -> np.ndarray:
        """Rows of an array, in the order of the indices."""
        array = self._arrays[name]
        length = array.chunks[0]
        # A range over several chunks: one call decodes them in parallel, and they are not worth caching.
        if len(indices) > length and np.all(np.diff(indices) == 1):
            return self._range(name, int(indices[0]), int(indices[-1]) + 1)
        rows = np.empty((len(indices), *array.shape[1:]), dtype=array.dtype)
        chunks, offsets = np.divmod(indices, length)
        for chunk in np.unique(chunks):
            here = chunks == chunk
            rows[here] = self._chunk(name, int(chunk))[offsets[here]]
        return rows

    def _decode(self, name: str, chunk: int) -> np.ndarray:
        length = self._arrays[name].chunks[0]
        return self._range(name, chunk * length, (chunk + 1) * length)

    def _range(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of an array, of which no chunk is missing or damaged.

        Raises:
            InputError: one is.
        """
        array = self._arrays[name]
        try:
            if self._checked:
                self._check_chunks(name, start, min(stop, len(self)))
            return np.asarray(array[start:stop])
        except UNREADABLE as error:
            where = f"{self.path / name}: images {start} to {min(stop, len(self)) - 1}"
            raise InputError(f"{where} are damaged ({one_line(error)[:120]}); {self._mend()}") from None

    def _check_chunks(self, name: str, start: int, stop: int) -> None:
        """Zarr takes a chunk that is missing for one of zeros; of this store every chunk was written."""
        array = self._arrays[name]
        zeros = "/".join(["0"] * (array.ndim - 1))
        for chunk in range(start // array.chunks[0], -(-stop // array.chunks[0])):
            if not (self.path / name / "c" / str(chunk) / zeros).is_file():
                raise ValueError(f"chunk {chunk} is missing")
