"""One case of a folder to a record: its channels and masks are decoded, compared, and averaged onto the grid."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from segue.cohort.alignment import aligned
from segue.cohort.folder_settings import CohortCase, FolderSettings
from segue.cohort.io import Pixels, decode_image, decode_labels, place_pixels, to_grid
from segue.cohort.io.image_file import all_finite
from segue.cohort.io.series import read_segmentation, read_series
from segue.cohort.layout import LABEL_MAP, ChannelFile
from segue.cohort.record import Record
from segue.errors import InputError


def read_case(case: CohortCase, settings: FolderSettings) -> tuple[Record, set[int]]:
    """The record of a case, and the labels that its label map holds, other than 0."""
    size, files = settings.size, case.files
    channels = [decode_channel(one, len(size)) for one in files.channels]
    first, image = files.channels[0].path, channels[0]
    channels = [on_grid_of(image, one, file) for one, file in zip(channels, files.channels, strict=True)]
    decoded = {key: decode_mask(path, first, len(size)) for key, path in read_masks(case, settings)}
    masks = {
        key: aligned(files.masks[key], one, image, resample=settings.resample_masks) for key, one in decoded.items()
    }
    place = place_pixels(first, image, axes=settings.axes, spacing=case.row.spacing)
    maps = structure_maps({key: mask.array for key, mask in masks.items()}, settings)
    if settings.overlaps != "first":
        check_apart(case, maps)
    record = Record(
        id=case.id,
        subject=case.subject,
        image=np.stack([to_grid(place.to_study(one.array), size) for one in channels]),
        fractions=np.stack([to_grid(place.to_study(one), size) for one in first_come(maps).values()]),
        spacing=place.spacing_on(size),
        covariates=case.row.covariates,
        axes=place.axes(settings.axes),
    )
    found = np.unique(masks[LABEL_MAP].array).astype(int).tolist() if LABEL_MAP in masks else []
    return record, set(found) - {0}


def on_grid_of(image: Pixels, channel: Pixels, file: ChannelFile) -> Pixels:
    """A channel, if it lies where the first one does; channels of one file do."""
    return channel if file.place is not None else aligned(file.path, channel, image, mend="export both on one grid")


def read_masks(case: CohortCase, settings: FolderSettings) -> list[tuple[str, Path]]:
    """The masks that are read: the label map, if a structure has a label, and those of structures alone."""
    keys = [*([LABEL_MAP] if settings.labels else []), *settings.organs]
    return [(key, case.files.masks[key]) for key in keys]


def decode_channel(channel: ChannelFile, dims: int) -> Pixels:
    """A channel of an image, on the grid of its file."""
    if channel.path.is_dir():
        return all_finite(channel.path, read_series(channel.path))
    return decode_image(channel.path, dims, slice=channel.place)


def decode_mask(path: Path, image: Path, dims: int) -> Pixels:
    """The labels of a mask; of a DICOM SEG, on the grid of the series that is its image."""
    return read_segmentation(path, image) if image.is_dir() and path.is_file() else decode_labels(path, dims)


def structure_maps(
    masks: Mapping[str, np.ndarray], settings: FolderSettings
) -> dict[str, Bool[np.ndarray, "*space"]]:
    """Where each structure is, in the order of the settings: where it has a label, or where its own mask is not 0.

    >>> settings = FolderSettings({"heart": "heart/{name}.png", "lungs": (1, 2)}, size=(1, 3))
    >>> maps = structure_maps({"": np.array([[0, 1, 2]]), "heart": np.array([[255, 0, 0]])}, settings)
    >>> {name: one.tolist() for name, one in maps.items()}
    {'heart': [[True, False, False]], 'lungs': [[False, True, True]]}
    """
    labels = settings.labels
    return {
        name: np.isin(masks[LABEL_MAP], labels[name]) if name in labels else masks[name] != 0
        for name in settings.structures
    }


def check_apart(case: CohortCase, maps: Mapping[str, np.ndarray]) -> None:
    """Refuse masks of structures that overlap: each pixel is measured once."""
    taken: dict[str, np.ndarray] = {}
    for name, one in maps.items():
        for other, before in taken.items():
            if shared := int((one & before).sum()):
                path = case.files.masks.get(name) or case.files.masks[LABEL_MAP]
                mend = "mend the masks, or say cohort.overlaps: first, so that the structure named first has them"
                raise InputError(f"{path}: {shared} pixels of {name} are also {other}; {mend}")
        taken[name] = one


def first_come(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The maps, in which a pixel belongs to the first structure that has it.

    >>> first_come({"a": np.array([True, False]), "b": np.array([True, True])})["b"].tolist()
    [False, True]
    """
    found: dict[str, np.ndarray] = {}
    taken = np.zeros_like(next(iter(maps.values())))
    for name, one in maps.items():
        found[name] = one & ~taken
        taken = taken | one
    return found
