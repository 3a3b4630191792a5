"""A folder of DICOM slices as one volume, and a DICOM SEG on its grid. highdicom is imported where it is needed."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from segue.cohort.io.dicom import DICOM, open_dicom, shape_in
from segue.cohort.io.limits import check_decoded, decoding
from segue.cohort.io.reader import Pixels
from segue.errors import InputError

SAME = 0.01  # mm, and share of the distance of slices: differences below are rounding


def headers_in(folder: Path) -> dict[Path, Any]:
    """The headers of the DICOM files directly in a folder, whatever their suffix.

    Raises:
        InputError: pydicom is not installed.

    >>> import tempfile
    >>> headers_in(Path(tempfile.mkdtemp()))
    {}
    """
    found = {}
    for path in sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")):
        with path.open("rb") as stream:
            if DICOM.sniff(stream.read(132)):
                found[path] = open_dicom(path, stop_before_pixels=True)
    return found


def read_series(folder: Path) -> Pixels:
    """(row, column, slice) of the slices in a folder, ordered by where they lie; spacing and affine as of a NIfTI file.

    Raises:
        InputError: there are several series, sizes or directions; two slices are at one place; one is missing; or a
            file is damaged.
    """
    with decoding(folder):
        return stacked(folder, headers_in(folder))


def stacked(folder: Path, headers: dict[Path, Any]) -> Pixels:
    """`read_series`, of its headers."""
    ordered, places = in_order_of_place(folder, headers)
    steps = np.diff(places)
    step = float(np.median(steps))
    for path, gap in zip(ordered[1:], steps, strict=True):
        if gap < SAME:
            raise InputError(f"{path}: lies where another slice of {folder} does; keep one of them")
        if abs(gap - step) > SAME * max(step, 1):
            mend = f"{gap:.2f} mm from the slice before, the others {step:.2f}; export the whole series"
            raise InputError(f"{path}: lies {mend}")
    check_decoded(folder, (*shape_in(headers[ordered[0]]), len(ordered)), 4)
    slices = [one_slice(path) for path in ordered]
    first = slices[0]
    affine = None if first.affine is None else first.affine.copy()
    if affine is not None and slices[-1].affine is not None:
        affine[:3, 2] = (slices[-1].affine[:3, 3] - affine[:3, 3]) / (len(slices) - 1)
    spacing = None if first.spacing is None else (*first.spacing[:2], step)
    return Pixels(np.stack([one.array for one in slices], axis=-1), spacing, None, affine)


def one_slice(path: Path) -> Pixels:
    """A slice; what is wrong with it is said of its file."""
    with decoding(path):
        return DICOM.read(path, labels=False)


def in_order_of_place(folder: Path, headers: dict[Path, Any]) -> tuple[list[Path], np.ndarray]:
    """The slices of a series by their distance along its normal, and these distances."""
    if len(headers) < 2:
        raise InputError(f"{folder}: holds {len(headers)} DICOM slices; a volume needs 2 at least")
    first = next(iter(headers.values()))
    for path, header in headers.items():
        for key in ("SeriesInstanceUID", "Rows", "Columns", "ImageOrientationPatient", "PixelSpacing"):
            if not alike(header.get(key), first.get(key)):
                mend = f"{header.get(key)}, the first slice {first.get(key)}; give a folder for each series"
                raise InputError(f"{path}: has {key} {mend}")
        if header.get("ImagePositionPatient") is None or header.get("ImageOrientationPatient") is None:
            raise InputError(f"{path}: does not say where it lies (ImagePositionPatient); export it again")
    directions = np.array(first.ImageOrientationPatient, float)
    normal = np.cross(directions[:3], directions[3:])
    place = {path: float(np.array(header.ImagePositionPatient, float) @ normal) for path, header in headers.items()}
    ordered = sorted(place, key=lambda path: place[path])
    return ordered, np.array([place[path] for path in ordered])


def alike(one: Any, other: Any) -> bool:
    """Whether two values of a header are the same, numbers up to rounding.

    >>> alike([1, 0.00001], [1, 0]), alike("1.2", "1.3")
    (True, False)
    """
    try:
        return bool(np.allclose(np.array(one, float), np.array(other, float), atol=1e-3))
    except (TypeError, ValueError):
        return bool(one == other)


def read_segmentation(path: Path, folder: Path) -> Pixels:
    """The segments of a DICOM SEG by their numbers, on the grid of the series in `folder`.

    Raises:
        InputError: highdicom is not installed; the file is no SEG, is of another series, or its segments overlap.
    """
    try:
        import highdicom
    except ImportError:
        raise InputError(f'{path}: to read DICOM SEG, pip install "segue-counterfactual[dicom]"') from None
    headers = headers_in(folder)
    with decoding(folder):
        ordered, _ = in_order_of_place(folder, headers)
    data = open_dicom(path)
    with decoding(path):
        check_decoded(path, shape_in(data), 1)
    try:
        segmentation = highdicom.seg.Segmentation.from_dataset(data, copy=False)
        labels: Integer[np.ndarray, "slice row column"] = segmentation.get_pixels_by_source_instance(
            [headers[one].SOPInstanceUID for one in ordered],
            combine_segments=True,
            assert_missing_frames_are_empty=True,
        )
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is no segmentation of the series in {folder} ({reason})") from None
    return Pixels(np.moveaxis(labels, 0, -1).astype(np.int64))


def segment_labels(path: Path) -> dict[str, int]:
    """The number of each segment of a DICOM SEG by its label."""
    with decoding(path):
        segments = open_dicom(path, stop_before_pixels=True).SegmentSequence
        return {str(one.SegmentLabel): int(one.SegmentNumber) for one in segments}
