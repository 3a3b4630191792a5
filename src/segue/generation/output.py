"""Where counterfactual images go: one Zarr array, or a folder of NIfTI or PNG files."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import zarr
from jaxtyping import Float, Shaped
from PIL import Image
from zarr.codecs import ZstdCodec

from segue.cohort.case import Case
from segue.cohort.io.write_file import to_bits, write_nifti
from segue.errors import InputError
from segue.files import whole_file

Format = Literal["zarr", "nifti", "png"]
STORE = "counterfactuals.zarr"
FOLDER = "images"

Images = Float[np.ndarray, "_ channel *space"]  # as many requests as the image has


@runtime_checkable
class Output(Protocol):
    """Where a shard's images go. Writing a shard again leaves what writing it once did."""

    def stored(self, image: Shaped[np.ndarray, "channel *space"]) -> np.ndarray:
        """The values that are kept of one counterfactual: what its checksum is of."""
        ...

    def write(self, shard: int, places: Sequence[int], cases: Sequence[Case], images: Sequence[Images]) -> None:
        """Write the counterfactuals of some images of a shard, which lie at `places` of the cohort."""
        ...


def create_store(
    path: Path, *, images: int, requests: int, shard: int, channels: int, size: tuple[int, ...], about: dict[str, Any]
) -> None:
    """An empty store: `images` (image, request, channel, *space), float32, NaN where nothing is written.

    A shard is one file (no two workers write the same one), an image's counterfactuals are one chunk in it.
    """
    inner = (requests, channels, *size)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array(
        "images",
        shape=(images, *inner),
        dtype=np.float32,
        chunks=(1, *inner),
        shards=(shard, *inner),
        fill_value=np.nan,
        compressors=ZstdCodec(level=1),
        dimension_names=["image", "request", "channel", *("depth", "row", "column")[-len(size) :]],
    )
    group.attrs.put(about)


class ZarrOutput:
    """The store that `create_store` left at `path`."""

    def __init__(self, path: Path, *, shard: int) -> None:
        self.path, self.shard = path, shard
        self.array: Any = zarr.open_group(path, mode="r+", zarr_format=3)["images"]

    def stored(self, image: np.ndarray) -> np.ndarray:
        return image

    def write(self, shard: int, places: Sequence[int], cases: Sequence[Case], images: Sequence[Images]) -> None:
        first, last = shard * self.shard, min((shard + 1) * self.shard, self.array.shape[0])
        block = np.full((last - first, *self.array.shape[1:]), np.nan, dtype=np.float32)
        for place, answers in zip(places, images, strict=True):
            block[place - first, : len(answers)] = answers
        shutil.rmtree(self.path / "images" / "c" / str(shard), ignore_errors=True)  # else the old file is read first
        self.array[first:last] = block


class FileOutput:
    """Files `<id>_<request>.nii.gz` (float32, the study's grid laid over the source's field of view) or `.png`."""

    def __init__(self, folder: Path, *, format: Literal["nifti", "png"], bits: int) -> None:
        self.folder, self.format, self.bits = folder, format, bits

    def stored(self, image: np.ndarray) -> np.ndarray:
        return image[0] if self.format == "nifti" else to_bits(image[0], bits=self.bits)

    def write(self, shard: int, places: Sequence[int], cases: Sequence[Case], images: Sequence[Images]) -> None:
        for case, answers in zip(cases, images, strict=True):
            for request, image in enumerate(answers):
                with whole_file(self.folder / file_name(case.id, request, self.format)) as partial:
                    if self.format == "nifti":
                        write_nifti(partial, self.stored(image), case.affine)
                    else:
                        Image.fromarray(self.stored(image)).save(partial)


def file_name(id: str, request: int, format: Format) -> str:
    return f"{id}_{request:04d}{'.png' if format == 'png' else '.nii.gz'}"


def check_files(ids: Sequence[str], format: Format, *, channels: int, dims: int) -> None:
    """Refuse what files cannot hold."""
    if channels != 1:
        raise InputError(f"--format {format}: files hold one channel, the run's images have {channels}; choose zarr")
    if format == "png" and dims != 2:
        raise InputError(f"--format png: the run's images have {dims} axes; choose nifti or zarr")
    if bad := next((id for id in ids if Path(id).name != id), None):
        raise InputError(f"--format {format}: the id {bad!r} is not a file's name; choose zarr")


def sweep(out: Path) -> None:
    """Remove what killed writers left of files that were then written anew."""
    for path in [*(out / STORE).rglob("*.partial"), *(out / FOLDER).glob(".partial-*")]:
        path.unlink(missing_ok=True)
