"""What a layout finds in a folder: which files make up each case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from segue.errors import InputError

LABEL_MAP = ""  # the key of a mask in which each structure has a label, among the masks of a case


class ChannelFile(NamedTuple):
    """A channel of an image: a file, or a folder that is a series.

    `place` is the channel's place along the last axis of a file that holds several.

    >>> ChannelFile(Path("a.png"))
    ChannelFile(path=PosixPath('a.png'), place=None)
    """

    path: Path
    place: int | None = None


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Attributes:
        id: unique in the cohort. subject: as the layout knows it, or None.
        channels: of the image, in order.
        masks: by structure; that of all structures with labels has the key `LABEL_MAP`.

    >>> CaseFiles("a", (ChannelFile(Path("a.png")),)).masks
    {}
    """

    id: str
    channels: tuple[ChannelFile, ...]
    masks: Mapping[str, Path] = field(default_factory=dict)
    subject: str | None = None


@dataclass(frozen=True)
class FoundLayout:
    """The cases of a folder in the order of their ids, and what the data set says of itself.

    Attributes:
        labels: by name, the labels of a structure; of a region, several.
        channels: the names of the image's channels, () where nobody names them.

    >>> FoundLayout((), {"heart": (1,)}).channels
    ()
    """

    cases: tuple[CaseFiles, ...]
    labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    channels: tuple[str, ...] = ()


def paired(
    images: Mapping[str, tuple[ChannelFile, ...]],
    masks: Mapping[str, Path],
    *,
    subjects: Mapping[str, str] | None = None,
) -> tuple[CaseFiles, ...]:
    """The cases of images and label maps with the same ids; a mask without an image is refused.

    >>> paired({}, {"a": Path("masks/a.png")})
    Traceback (most recent call last):
    segue.errors.InputError: masks/a.png: has no image; add it, or remove the mask
    """
    for id in masks.keys() - images.keys():
        raise InputError(f"{masks[id]}: has no image; add it, or remove the mask")
    known = subjects or {}
    return tuple(
        CaseFiles(id, images[id], {LABEL_MAP: masks[id]} if id in masks else {}, known.get(id)) for id in sorted(images)
    )
