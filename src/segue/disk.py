"""Writing to a disk: what goes wrong there, said in one line, and what is to outlast a power cut."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segue.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)
NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)  # a file system that has no such thing
MANY = 256  # files; more are flushed all at once


@contextmanager
def writing(path: Path, *, room: int = 0, partial: Path | None = None) -> Iterator[None]:
    """Turn what the disk says while `path` is written into one line: the path, the reason, the room, the mend.

    Args:
        room: bytes that are needed, where that is known. partial: what is written until it is complete.

    Raises:
        InputError: no room, no permission, a disk that is read only, gone or damaged.

    >>> import tempfile
    >>> with writing(Path(tempfile.mkdtemp()) / "image.png", room=2_500_000):
    ...     raise OSError(errno.EROFS, "Read-only file system")
    Traceback (most recent call last):
    segue.errors.InputError: ...image.png: cannot be written (Read-only file system): it needs 2.5 MB; ...
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or not concerns(error, path):
            raise
        raise InputError(disk_refusal(path, error, room, 0 if partial is None else size_of(partial))) from None


def concerns(error: OSError, path: Path) -> bool:
    """Whether an error is of writing `path`, or of some other file that was read meanwhile."""
    if error.filename is None:
        return True
    folder, named = path.absolute().parent, Path(os.fsdecode(error.filename)).absolute()
    return folder in (named, *named.parents) or named in folder.parents


def disk_refusal(path: Path, error: OSError, room: int, held: int) -> str:
    """The line that says why `path` was not written.

    Args:
        room: bytes that are needed; 0: not known. held: bytes that were written when the disk was full.
    """
    said = f"{path}: cannot be written ({error.strerror or error})"
    if error.errno in FULL:
        free = free_bytes(path)
        needs = f"it needs {in_bytes(room)}" if room else f"it needs more than {in_bytes(held + free)}"
        return f"{said}: {needs}, {in_bytes(free)} are free there; make room, then give the same command again"
    if error.errno in IN_THE_WAY:
        return f"{said}: a file stands where a folder is to be; name another folder"
    needs = f": it needs {in_bytes(room)}" if room else ""
    return f"{said}{needs}; have {path.absolute().parent.name or 'the folder'} made writable, or name another folder"


def free_bytes(path: Path) -> int:
    """The room on the disk of a path, of which the last parts need not exist; 0 where it cannot be told."""
    there = next((one for one in (path, *path.absolute().parents) if one.exists()), path)
    with suppress(OSError):
        return shutil.disk_usage(there).free
    return 0


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 where there is nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total


def in_bytes(count: int) -> str:
    """A number of bytes for readers.

    >>> in_bytes(0), in_bytes(532_000), in_bytes(2_500_000), in_bytes(31_000_000_000)
    ('0 kB', '532 kB', '2.5 MB', '31.0 GB')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{-(-count // 1000)} kB"


def flush(path: Path) -> None:
    """Have a file, or a folder with all that is in it, on the disk itself (fsync): a power cut takes what is not.

    >>> import tempfile
    >>> flush(Path(tempfile.mkdtemp()))
    """
    inside = list(path.rglob("*")) if path.is_dir() else []
    if len(inside) > MANY:
        os.sync()
        return
    for one in (*inside, path):
        flush_one(one)


def flush_one(path: Path) -> None:
    """Have a file on the disk itself, or the names in a folder: that of a file which was renamed into it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_FSYNC:
            raise
    finally:
        os.close(handle)
