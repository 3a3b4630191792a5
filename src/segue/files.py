"""Files and folders that appear under their name only once they are complete, and the names that they may have.

Everything is written under a temporary name beside the target and then renamed, which is atomic on one file system:
a killed process leaves the old content or the new one, never half of it. Nothing is removed that segue did not make:
a temporary file has a name that no other has, and a temporary folder has a mark in it.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segue.disk import flush, flush_one, writing
from segue.errors import InputError
from segue.locks import locked

__all__ = [
    "all_or_none", "check_name", "fitting_name", "remove_temporaries", "slug", "whole_file", "whole_folder",
    "write_bytes", "write_text",
]  # fmt: skip

PARTIAL = ".partial-"
NAME_BYTES = 255 - len(PARTIAL)  # what a file system takes, and what a temporary name adds
FOLDER_NAME, LONGEST_NAME = re.compile(r"\w[\w.-]*"), 120
TEMPORARY = re.compile(re.escape(PARTIAL) + r"[0-9a-f]{8}-.*", re.DOTALL)
MARK = ".segue"
"""In a temporary folder that segue made."""


def check_name(name: str, what: str) -> None:
    """Refuse a name of which a folder or a file is to be made, if it could be a path, or is not a plain name.

    Args:
        what: the key or option that gives it.

    Raises:
        InputError: it is no plain name.

    >>> check_name("coronary-phantom.v2", "name")
    >>> check_name("/home/me", "name")
    Traceback (most recent call last):
    segue.errors.InputError: name: '/home/me' is to name a folder: give letters, digits, _, - and ., ...
    """
    if not FOLDER_NAME.fullmatch(name) or len(name.encode(errors="replace")) > LONGEST_NAME:
        mend = f"give letters, digits, _, - and ., not . or - first, {LONGEST_NAME} bytes at most"
        raise InputError(f"{what}: {name[:60]!r} is to name a folder: {mend}")


def slug(text: str) -> str:
    """Text as part of a folder's name.

    >>> slug("St. Mary's / 2024")
    'St.-Mary-s-2024'
    """
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


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
def whole_file(path: Path, *, room: int = 0) -> Iterator[Path]:
    """A temporary path in the same folder; it takes the name `path` at the end, or is removed after an error.

    The temporary name keeps the suffix, by which many libraries choose a format.

    Args:
        room: bytes that are needed, where that is known; for the message where there is none.

    Raises:
        InputError: the file cannot be written; the message says why, and what the mend is.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with whole_file(target) as partial:
    ...     _ = partial.write_text("done")
    ...     before = target.exists()
    >>> before, target.read_text()
    (False, 'done')
    """
    partial = path.with_name(f"{PARTIAL}{secrets.token_hex(4)}-{path.name[-40:]}")
    try:
        with writing(path, room=room, partial=partial):
            yield partial
            flush(partial)
            os.replace(partial, path)
            flush_one(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def all_or_none(paths: Iterable[Path]) -> Iterator[None]:
    """Remove after an error those of several files, and their folders, that were not there before it.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "answers" / "a.txt"
    >>> with suppress(InputError), all_or_none([target]):
    ...     target.parent.mkdir()
    ...     write_text(target, "a line")
    ...     raise InputError("the second file cannot be written")
    >>> target.parent.exists()
    False
    """
    files = [path for path in paths if not path.exists()]
    folders = {path.parent for path in files if not path.parent.exists()}
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in files:
                path.unlink(missing_ok=True)
            for folder in folders:
                folder.rmdir()
        raise


def remove_temporaries(folder: Path, *, below: bool = True) -> None:
    """Remove what killed writers left in a folder, and `below` it. Only whoever holds the folder's lock may.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in (".partial-0123abcd-a.txt", "a.txt"):
    ...     _ = (folder / name).write_text("")
    >>> remove_temporaries(folder)
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    for path in folder.rglob(f"{PARTIAL}*") if below else folder.glob(f"{PARTIAL}*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.bin"
    >>> write_bytes(target, b"123")
    >>> target.read_bytes()
    b'123'
    """
    with whole_file(path, room=len(content)) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_text(target, "a line")
    >>> target.read_text()
    'a line'
    """
    write_bytes(path, text.encode())


@contextmanager
def whole_folder(out: Path, *, replaces: str = "", room: int = 0) -> Iterator[Path]:
    """A folder to fill; it takes the name `out` at the end, or is removed after an error. Meanwhile `out` is locked.

    Args:
        replaces: the name of a file by which segue knows a folder of its own: a folder with this file is replaced once
            the new one is complete. Nothing else ever is. room: as of `whole_file`.

    Raises:
        InputError: the folder cannot be written, another command is writing it, or something that is not segue's own is
            in the way.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "answers"
    >>> with whole_folder(target) as partial:
    ...     write_text(partial / "a.txt", "1")
    >>> [path.name for path in target.iterdir()]
    ['a.txt']
    """
    aside = out.with_name(PARTIAL + out.name)
    with writing(out, room=room), locked(lock_beside(out), out, mend="name another folder"):
        clear_aside(aside, out)
        try:
            aside.mkdir()
            (aside / MARK).touch()
            with writing(out, room=room, partial=aside):
                (folder := aside / out.name).mkdir()
                yield folder
                flush(folder)
                take_place(folder, out, replaces)
        finally:
            clear_aside(aside, out)


def lock_beside(out: Path) -> Path:
    """The lock of whoever writes the folder `out`, which need not be there yet."""
    return out.with_name(f".{out.name}.lock")


def take_place(folder: Path, out: Path, replaces: str) -> None:
    """Give a complete folder its name; what has the name so far is moved beside it."""
    if replaces and out.exists():
        check_own(out, replaces)
        out.rename(before_of(folder))
    folder.rename(out)
    flush_one(out.parent)


def before_of(folder: Path) -> Path:
    """Where the earlier folder is while `folder` takes its name."""
    return folder.with_name(folder.name + ".before")


def check_own(folder: Path, mark: str) -> None:
    """Refuse to remove a folder that holds something, and not the file by which segue knows its own."""
    if not (folder / mark).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds files that segue did not make ({mark} is missing); move them elsewhere")


def clear_aside(aside: Path, out: Path) -> None:
    """Remove the temporary folder of a writer that has ended, once what it moved away of `out` is back in its place."""
    if not aside.exists():
        return
    check_own(aside, MARK)
    if (before := before_of(aside / out.name)).exists() and not out.exists():
        before.rename(out)
    for path in aside.iterdir():
        if path.name != MARK:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)
