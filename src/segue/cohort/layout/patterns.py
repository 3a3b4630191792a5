"""Layouts that a study describes by patterns of paths: `{subject}/anat/{name}_image.nii.gz`.

`{subject}`, `{name}` and `{channel}` stand for a part of a path without `/`, and `*` for any such part. A pattern
without the suffix of a format takes every format; one that ends in `/` takes folders, each of which is a DICOM series.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from segue.cohort.io.readers import READERS, split_suffix, suffixes_of
from segue.cohort.layout.base import CaseFiles, ChannelFile, FoundLayout
from segue.errors import InputError, nearest

FIELDS = {"subject": "[^/]+?", "name": "[^/]+", "channel": "[^/]+"}
Key = tuple[str | None, str | None]
"""Subject and name of a path, None where its pattern does not have them."""


def find_patterns(
    folder: Path, images: str, masks: Mapping[str, str], *, channels: Sequence[str] = ()
) -> FoundLayout:
    """The cases whose images match a pattern. Their id is the name, or subject_name where the pattern has both.

    Args:
        masks: the pattern of the masks by structure, `LABEL_MAP` for that of all structures with labels.
        channels: the names that `{channel}` stands for, in the image's order.

    Raises:
        InputError: nothing matches, a channel or a mask is missing, or two files have one id.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "p1").mkdir()
    >>> for name in ("p1/a.png", "p1/a_seg.png"):
    ...     (folder / name).touch()
    >>> found = find_patterns(folder, "{subject}/{name}.png", {"": "{subject}/{name}_seg.png"})
    >>> [(case.id, case.subject, case.masks[""].name) for case in found.cases]
    [('p1_a', 'p1', 'a_seg.png')]
    """
    check_patterns(images, masks, channels)
    paths = paths_below(folder)
    narrower = [pattern for pattern in masks.values() if literal(pattern) >= literal(images)]
    taken = {path for pattern in narrower for path, _ in hits(paths, pattern)}
    found: dict[Key, dict[str | None, str]] = {}
    for path, fields in hits(paths, images):
        if path in taken or (channels and fields["channel"] not in channels):
            continue
        added = found.setdefault((fields.get("subject"), fields.get("name")), {})
        if fields.get("channel") in added:
            raise InputError(f"{folder / path}: {images} also matches {added[fields.get('channel')]}; keep one of them")
        added[fields.get("channel")] = path
    if not found:
        raise InputError(f"{folder}: no file matches cohort.images: {images}; correct the pattern")
    cases = [files_of_case(folder, key, of, channels, images) for key, of in found.items()]
    where = {structure: by_key(folder, paths, pattern) for structure, pattern in masks.items()}
    with_masks = [
        replace(case, masks={structure: mask_of(case, where[structure], masks[structure], key) for structure in masks})
        for case, key in zip(cases, found, strict=True)
    ]
    return FoundLayout(tuple(sorted(with_masks, key=lambda case: case.id)), channels=tuple(channels))


def check_patterns(images: str, masks: Mapping[str, str], channels: Sequence[str]) -> None:
    """Refuse patterns in which a case has no name, and unknown fields.

    >>> check_patterns("{nmae}.png", {}, ())
    Traceback (most recent call last):
    segue.errors.InputError: {nmae}.png: {nmae} is not known; did you mean name?
    """
    for pattern in (images, *masks.values()):
        fields = re.findall(r"\{(.*?)\}", pattern)
        for one in fields:
            if one not in FIELDS:
                raise InputError(f"{pattern}: {{{one}}} is not known{nearest(one, FIELDS)}")
        if not {"name", "subject"} & set(fields):
            raise InputError(f"{pattern}: names no case; give it {{name}} or {{subject}}")
    if ("{channel}" in images) != bool(channels):
        raise InputError(f"{images}: {{channel}} and cohort.channels go together; give both, or neither")
    if bad := [pattern for pattern in masks.values() if "{channel}" in pattern]:
        raise InputError(f"{bad[0]}: a mask is of all channels; leave {{channel}} out")


def paths_below(folder: Path) -> list[str]:
    """All files and folders below a folder, as relative paths; folders end in `/`, and hidden ones are passed over."""
    found, seen = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if real not in seen else []
        seen.add(real)
        here = Path(root).relative_to(folder)
        found += [(here / name).as_posix() + "/" for name in folders]
        found += [(here / name).as_posix() for name in sorted(files) if not name.startswith(".")]
    return found


def expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression.

    >>> expression("{subject}/{name}_*.png").fullmatch("p1/a_7.png").groupdict()
    {'subject': 'p1', 'name': 'a'}
    """
    parts, seen = [], set()
    for part in re.split(r"(\{\w+\}|\*)", pattern.removeprefix("./")):
        name = part[1:-1]
        if part == "*":
            parts.append("[^/]*")
        elif part.startswith("{") and name in FIELDS:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{FIELDS[name]})")
            seen.add(name)
        else:
            parts.append(re.escape(part))
    if not pattern.endswith("/") and not split_suffix(pattern)[1]:
        parts.append("(?i:" + "|".join(map(re.escape, suffixes_of(READERS))) + ")")
    return re.compile("".join(parts))


def hits(paths: Sequence[str], pattern: str) -> list[tuple[str, dict[str, str]]]:
    """The paths that match a pattern, with what its fields stand for.

    >>> hits(["a.png", "b.txt"], "{name}")
    [('a.png', {'name': 'a'})]
    """
    compiled = expression(pattern)
    return [(path, match.groupdict()) for path in paths if (match := compiled.fullmatch(path))]


def literal(pattern: str) -> int:
    """The characters of a pattern that stand for themselves: of two patterns that match a file, the longer one has it.

    >>> literal("{name}.png") < literal("{name}_mask.png")
    True
    """
    return len(re.sub(r"\{\w+\}|\*", "", pattern))


def files_of_case(
    folder: Path, key: Key, found: Mapping[str | None, str], channels: Sequence[str], images: str
) -> CaseFiles:
    """The case of a key and its channels' paths."""
    id = "_".join(part for part in key if part)
    if missing := [channel for channel in channels if channel not in found]:
        there = folder / next(iter(found.values()))
        raise InputError(f"{there}: has no channel {missing[0]} beside it ({images}); add it, or remove the image")
    ordered = [found[channel] for channel in channels] if channels else [found[None]]
    return CaseFiles(id, tuple(ChannelFile(folder / path) for path in ordered), subject=key[0])


def by_key(folder: Path, paths: Sequence[str], pattern: str) -> dict[Key, Path]:
    """The masks of a pattern by subject and name."""
    found: dict[Key, Path] = {}
    for path, fields in hits(paths, pattern):
        key = (fields.get("subject"), fields.get("name"))
        if key in found:
            raise InputError(f"{folder / path}: {pattern} also matches {found[key]}; make the pattern narrower")
        found[key] = folder / path
    return found


def mask_of(case: CaseFiles, masks: Mapping[Key, Path], pattern: str, key: Key | None = None) -> Path:
    """The mask of a case: that with its subject and name (`key`), so far as the mask's pattern has them."""
    subject, name = key or (case.subject, case.id)
    for wanted in ((subject, name), (None, name), (subject, None), (None, case.id)):
        if wanted in masks:
            return masks[wanted]
    known = pattern.replace("{subject}", subject or "{subject}").replace("{name}", name or "{name}")
    raise InputError(f"{case.channels[0].path}: has no mask; add {known}, or remove the image")
