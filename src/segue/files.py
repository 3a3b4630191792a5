"""Files and folders that appear under their name only once they are complete.

Everything is written under a temporary name beside the target and then renamed, which is atomic on one file system:
a killed process leaves the old content or the new one, never half of it.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME_BYTES = 255 - len(".partial-")  # what a file system takes, and what a temporary name adds


def fitting_name(stem: str, ending: str) -> str:
    """The name `stem` + `ending`; a stem for which there is no room is cut, and ends in a hash of all of it.

    File systems take names of 255 bytes. Two long stems that differ have names that differ.

    >>> fitting_name("p01", "_masks.png")
    'p01_masks.png'
    >>> len(fitting_name("水本" * 60, "_masks.png").encode()) <= NAME_BYTES
    True
    """
    room = NAME_BYTES - len(ending.encode())
    if len(stem.encode()) <= room:
        return stem + ending
    mark = "~" + hashlib.sha256(stem.encode()).hexdigest()[:10]
    return stem.encode()[: room - len(mark)].decode(errors="ignore") + mark + ending


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; it takes the name `path` at the end, or is removed after an error.

    The temporary name keeps the suffix, by which many libraries choose a format.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with whole_file(target) as partial:
    ...     _ = partial.write_text("done")
    ...     before = target.exists()
    >>> before, target.read_text()
    (False, 'done')
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_text(target, "a line")
    >>> target.read_text()
    'a line'
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(out: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; it takes the name `out` at the end, or is removed after an error.

    Args:
        replace: whether a folder of that name is removed once the new one is complete.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "answers"
    >>> with whole_folder(target) as partial:
    ...     write_text(partial / "a.txt", "1")
    >>> [path.name for path in target.iterdir()]
    ['a.txt']
    """
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if replace:
            shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
