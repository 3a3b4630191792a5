"""Folders of DICOM slices, each a volume, with a DICOM SEG somewhere beside them."""

import os
from pathlib import Path
from typing import Any

from segue.cohort.io.limits import decoding
from segue.cohort.io.series import headers_in, segment_labels
from segue.cohort.layout.base import ChannelFile, FoundLayout, paired
from segue.cohort.layout.dataset_json import as_name
from segue.errors import InputError


def find_dicom_series(folder: Path) -> FoundLayout | None:
    """The series that a DICOM SEG refers to. An id is the path of the series' folder, the subject its `PatientID`.

    >>> import tempfile
    >>> find_dicom_series(Path(tempfile.mkdtemp())) is None
    True
    """
    series: dict[str, tuple[Path, Any]] = {}
    masks: dict[str, Path] = {}
    for root, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path, header in headers_in(Path(root)).items():
            with decoding(path):
                uid, is_mask = str(header.get("SeriesInstanceUID")), header.get("Modality") == "SEG"
            if not is_mask:
                series.setdefault(uid, (Path(root), header))
            elif (of := referenced(path, header)) in masks:
                raise InputError(f"{path}: is of the same series as {masks[of]}; keep one of them")
            else:
                masks[of] = path
    if not masks:
        return None
    if strange := [path for uid, path in masks.items() if uid not in series]:
        raise InputError(f"{strange[0]}: is of a series that is not in {folder}; add it, or remove the mask")
    ids = {uid: "_".join(series[uid][0].relative_to(folder).parts) or "volume" for uid in masks}
    images = {ids[uid]: (ChannelFile(series[uid][0]),) for uid in masks}
    subjects = {ids[uid]: str(series[uid][1].get("PatientID") or "") or ids[uid] for uid in masks}
    found = paired(images, {ids[uid]: path for uid, path in masks.items()}, subjects=subjects)
    return FoundLayout(found, same_labels(masks))


def referenced(path: Path, header: Any) -> str:
    """The series of which a SEG is."""
    with decoding(path):
        found = header.get("ReferencedSeriesSequence")
        if not found:
            raise InputError(f"{path}: does not say of which series it is (ReferencedSeriesSequence); export it again")
        return str(found[0].SeriesInstanceUID)


def same_labels(masks: dict[str, Path]) -> dict[str, tuple[int, ...]]:
    """The numbers of the segments by name, which all files must share."""
    numbers: dict[str, int] = {}
    for path in masks.values():
        for label, number in segment_labels(path).items():
            if numbers.setdefault(label, number) != number:
                mend = f"segment {number}, and {numbers[label]} in another file; number them alike"
                raise InputError(f"{path}: {label!r} is {mend}")
    return {as_name(label): (number,) for label, number in numbers.items()}
