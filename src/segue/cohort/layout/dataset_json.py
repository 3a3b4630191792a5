"""`dataset.json`, in which nnU-Net and the Medical Segmentation Decathlon say what channels and labels are."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segue.cohort.io.limits import bounded_text
from segue.errors import InputError
from segue.text import one_line, shortened

FILE = "dataset.json"


def read_dataset(folder: Path) -> dict[str, Any]:
    """What `dataset.json` says; {} where there is none.

    >>> read_dataset(Path("nowhere"))
    {}
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(bounded_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not JSON ({shortened(one_line(error))}); correct it") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no mapping; give what the layout asks for")
    return content


def labels_in(path: Path, content: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The labels by name, without the background: of a region, several.

    The Decathlon and the first nnU-Net have {"1": "heart"}, the second nnU-Net has {"heart": 1, "all": [1, 2]}.

    >>> labels_in(Path(FILE), {"labels": {"0": "background", "1": "Left atrium"}})
    {'Left_atrium': (1,)}
    >>> labels_in(Path(FILE), {"labels": {"background": 0, "tumour": [1, 2], "ignore": 3}})
    {'tumour': (1, 2)}
    """
    found: dict[str, tuple[int, ...]] = {}
    stated = content.get("labels") or {}
    if not isinstance(stated, dict):
        raise InputError(f"{path}: labels is {shortened(str(stated))}; give a mapping of names and numbers")
    for key, value in stated.items():
        name, labels = (value, key) if re.fullmatch(r"\d+", str(key)) and isinstance(value, str) else (key, value)
        try:
            numbers = tuple(int(one) for one in (labels if isinstance(labels, list) else [labels]))
        except (TypeError, ValueError):
            found_there = f"labels: {shortened(key)} is {shortened(repr(value))}"
            raise InputError(f"{path}: {found_there}; give a number, or a list of them") from None
        if numbers not in ((0,), ()) and name != "ignore":
            found[as_name(name)] = numbers
    return found


def channels_in(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the channels, in order (`channel_names`, or `modality` before nnU-Net's second version).

    >>> channels_in({"modality": {"0": "T1", "1": "T2"}})
    ('T1', 'T2')
    """
    named = content.get("channel_names") or content.get("modality") or {}
    if isinstance(named, dict):
        numbered = all(re.fullmatch(r"[0-9]{1,9}", key) for key in named)
        named = [name for _, name in sorted(named.items(), key=lambda item: int(item[0]) if numbered else 0)]
    if not isinstance(named, list):
        raise InputError(f"{FILE}: channel_names is {shortened(str(named))}; give a list, or names by number")
    return tuple(as_name(str(name)) for name in named)


def as_name(text: str) -> str:
    """A name of letters, digits, `_` and `-`, which can be a variable's.

    >>> as_name("LV cavity (ED)")
    'LV_cavity_ED'
    """
    return re.sub(r"[^\w-]+", "_", text.strip()).strip("_") or "label"
