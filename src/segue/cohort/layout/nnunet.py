"""nnU-Net's raw data: `imagesTr/NAME_0000.nii.gz`, a file a channel, and `labelsTr/NAME.nii.gz`."""

import re
from pathlib import Path

from segue.cohort.io import image_files
from segue.cohort.layout.base import ChannelFile, FoundLayout, paired
from segue.cohort.layout.dataset_json import FILE, channels_in, labels_in, read_dataset
from segue.errors import InputError

IMAGES_TR, LABELS_TR = "imagesTr", "labelsTr"


def find_nnunet(folder: Path) -> FoundLayout | None:
    """The training cases; the images of `imagesTs` have no masks.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("imagesTr/a_0000.png", "imagesTr/a_0001.png", "labelsTr/a.png"):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     (folder / name).touch()
    >>> [(case.id, len(case.channels)) for case in find_nnunet(folder).cases]
    [('a', 2)]
    """
    if not (folder / IMAGES_TR).is_dir() or not (folder / LABELS_TR).is_dir():
        return None
    files = [(re.fullmatch(r"(.+)_(\d{4})", stem), path) for stem, path in image_files(folder / IMAGES_TR).items()]
    if not any(match for match, _ in files):
        return None
    content, images = read_dataset(folder), dict[str, dict[int, Path]]()
    for match, path in files:
        if match is None:
            raise InputError(f"{path}: has no number of its channel; call it NAME_0000 and so on")
        images.setdefault(match[1], {})[int(match[2])] = path
    names = channels_in(content)
    count = len(names) or len(next(iter(images.values())))
    for by_number in images.values():
        if sorted(by_number) != list(range(count)):
            found = ", ".join(f"{number:04d}" for number in sorted(by_number))
            raise InputError(f"{next(iter(by_number.values()))}: has channels {found}; {count} are needed, from 0000")
    channels = {id: tuple(ChannelFile(of[i]) for i in range(count)) for id, of in images.items()}
    masks = image_files(folder / LABELS_TR)
    return FoundLayout(paired(channels, masks), labels_in(folder / FILE, content), names)
