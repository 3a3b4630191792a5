"""Writing counterfactual images: one Zarr array, or a folder of NIfTI or PNG files."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import zarr
from jaxtyping import Float, Shaped
from PIL import Image
from zarr.codecs import Crc32cCodec, ZstdCodec

from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.io.write_back import file_affine, placed_in_space
from segue.cohort.io.write_file import bits_of, to_bits, write_nifti
from segue.disk import flush
from segue.engine.answer import CaseAnswer
from segue.engine.original import case_on_file
from segue.errors import InputError
from segue.files import fitting_name, remove_temporaries, whole_file

Format = Literal["zarr", "nifti", "png"]
STORE = "counterfactuals.zarr"
IMAGE_FOLDER = "images"

CaseImages = Float[np.ndarray, "_ channel *space"]  # one for each request of the image


@runtime_checkable
class Output(Protocol):
    """Writes the images of a shard. Writing a shard twice has the same result as writing it once."""

    def stored(self, image: Shaped[np.ndarray, "channel *space"]) -> np.ndarray:
        """The values of one counterfactual as they are stored; its checksum is computed from these."""
        ...

    def images(self, case: Case, found: CaseAnswer, grid: Grid) -> CaseImages:
        """The counterfactuals of an image on the grid on which they are written."""
        ...

    def write(self, shard: int, places: Sequence[int], cases: Sequence[Case], images: Iterable[CaseImages]) -> None:
        """Write the counterfactuals of images of a shard; `places`: their indices in the cohort."""
        ...


def create_store(
    path: Path, *, images: int, requests: int, shard: int, channels: int, size: tuple[int, ...], about: dict[str, Any]
) -> None:
    """An empty store: `images` (image, request, channel, *space), float32, NaN where nothing is written.

    Each shard is one file, so no two workers write the same file. The counterfactuals of an image are one chunk.
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
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        dimension_names=["image", "request", "channel", *("depth", "row", "column")[-len(size) :]],
    )
    group.attrs.put(about)


class ZarrOutput:
    """The store that `create_store` made at `path`."""

    def __init__(self, path: Path, *, shard: int) -> None:
        self.path, self.shard = path, shard
        self.array: Any = zarr.open_group(path, mode="r+", zarr_format=3)["images"]

    def stored(self, image: np.ndarray) -> np.ndarray:
        return image

    def images(self, case: Case, found: CaseAnswer, grid: Grid) -> CaseImages:
        """The study's."""
        return found.images

    def write(self, shard: int, places: Sequence[int], cases: Sequence[Case], images: Iterable[CaseImages]) -> None:
        first, last = shard * self.shard, min((shard + 1) * self.shard, self.array.shape[0])
        block = np.full((last - first, *self.array.shape[1:]), np.nan, dtype=np.float32)
        for place, answers in zip(places, images, strict=True):
            block[place - first, : len(answers)] = answers
        shutil.rmtree(self.path / "images" / "c" / str(shard), ignore_errors=True)  # else the old file is read first
        self.array[first:last] = block
        if (written := self.path / "images" / "c" / str(shard)).exists():
            flush(written)  # before the shard counts as done


class FileOutput:
    """Files `<id>_<request>.nii.gz` (float32) or `.png`: on the grid of the image's file, or of the store."""

    def __init__(self, folder: Path, *, format: Literal["nifti", "png"], usual: tuple[float, float]) -> None:
        self.folder, self.format, self.usual = folder, format, usual

    def stored(self, image: np.ndarray) -> np.ndarray:
        if self.format == "nifti":
            return image[0]
        return to_bits(image[0], bits=bits_of(self.usual, image))

    def images(self, case: Case, found: CaseAnswer, grid: Grid) -> CaseImages:
        """The file's own pixels, moved and painted (`segue.engine.original`)."""
        return found.images if case.origin is None else case_on_file(case, found, grid)

    def write(self, shard: int, places: Sequence[int], cases: Sequence[Case], images: Iterable[CaseImages]) -> None:
        for case, answers in zip(cases, images, strict=True):
            for request, image in enumerate(answers):
                with whole_file(self.folder / file_name(case.id, request, self.format)) as partial:
                    if self.format == "nifti":
                        write_stored(partial, self.stored(image), case)
                    else:
                        Image.fromarray(self.stored(image)).save(partial)


def write_stored(path: Path, image: Shaped[np.ndarray, "*space"], case: Case) -> None:
    """A NIfTI file of a case's image."""
    if case.origin is None:
        write_nifti(path, image, case.affine)
    else:
        write_nifti(path, placed_in_space(case.origin, image), file_affine(case.origin))


def file_name(id: str, request: int, format: Format) -> str:
    """The name of one counterfactual's file."""
    return fitting_name(id, f"_{request:04d}{'.png' if format == 'png' else '.nii.gz'}")


def check_files(ids: Sequence[str], format: Format, *, channels: int, dims: int) -> None:
    """Refuse images and ids that cannot be stored as files."""
    if channels != 1:
        raise InputError(f"--format {format}: files hold one channel, the run's images have {channels}; choose zarr")
    if format == "png" and dims != 2:
        raise InputError(f"--format png: the run's images have {dims} axes; choose nifti or zarr")
    if bad := next((id for id in ids if Path(id).name != id), None):
        raise InputError(f"--format {format}: the id {bad!r} is not a file's name; choose zarr")


def remove_partial_files(out: Path) -> None:
    """Remove the partial files of killed writers; the files themselves were written again."""
    remove_temporaries(out)
    for path in (out / STORE).rglob("*.partial"):  # zarr's own
        path.unlink(missing_ok=True)
