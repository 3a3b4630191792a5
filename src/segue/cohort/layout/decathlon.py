"""The Medical Segmentation Decathlon: the pairs that `dataset.json` lists under `training`."""

from pathlib import Path

from segue.cohort.io import split_suffix
from segue.cohort.layout.base import ChannelFile, FoundLayout, paired
from segue.cohort.layout.dataset_json import FILE, channels_in, labels_in, read_dataset
from segue.errors import InputError
from segue.text import shortened


def find_decathlon(folder: Path) -> FoundLayout | None:
    """The training cases. Where there are several modalities, they are the last axis of each file.

    >>> import json, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> pair = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    >>> content = {"training": [pair], "labels": {"0": "background", "1": "liver"}, "modality": {"0": "CT"}}
    >>> _ = (folder / FILE).write_text(json.dumps(content))
    >>> found = find_decathlon(folder)
    >>> found.labels, [case.id for case in found.cases]
    ({'liver': (1,)}, ['a'])
    """
    content = read_dataset(folder)
    pairs = content.get("training")
    if not isinstance(pairs, list) or not pairs:
        return None
    names = channels_in(content)
    places = range(len(names)) if len(names) > 1 else [None]
    images: dict[str, tuple[ChannelFile, ...]] = {}
    masks: dict[str, Path] = {}
    for entry in pairs:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("image", "label")):
            found = shortened(str(entry))
            raise InputError(f"{folder / FILE}: training: {found} is no pair; give an image and a label")
        path = folder / entry["image"]
        id = split_suffix(path.name)[0]
        if id in images:
            raise InputError(f"{folder / FILE}: training: lists {id} twice; keep one")
        images[id] = tuple(ChannelFile(path, place) for place in places)
        masks[id] = folder / entry["label"]
    return FoundLayout(paired(images, masks), labels_in(folder / FILE, content), names)
