"""The file that an image came from, for an answer on the file's own pixels."""

from dataclasses import dataclass
from pathlib import Path

from segue.cohort.placement import Placement


@dataclass(frozen=True)
class Origin:
    """Where an image came from.

    Attributes:
        slice: along the file's last axis, where the image is a slice of a volume.
    """

    file: Path
    placement: Placement
    slice: int | None = None
