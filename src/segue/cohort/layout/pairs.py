"""segue's own layout: `images/` and `masks/`, files of the same names."""

from pathlib import Path

from segue.cohort.io import image_files
from segue.cohort.layout.base import ChannelFile, FoundLayout, paired

IMAGES, MASKS = "images", "masks"


def find_pairs(folder: Path) -> FoundLayout | None:
    """Files of `images/` and `masks/` by their names without suffix; formats may differ. Masks may be missing.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for kind in (IMAGES, MASKS):
    ...     (folder / kind).mkdir()
    ...     _ = (folder / kind / "p1.png").write_bytes(b"any content")
    >>> [case.id for case in find_pairs(folder).cases]
    ['p1']
    """
    if not (folder / IMAGES).is_dir():
        return None
    images = {name: (ChannelFile(path),) for name, path in image_files(folder / IMAGES).items()}
    return FoundLayout(paired(images, image_files(folder / MASKS) if (folder / MASKS).is_dir() else {}))
