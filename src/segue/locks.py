"""One writer at a time: a lock, which a process that dies gives back."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from segue.disk import writing
from segue.errors import InputError
from segue.text import one_line

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def locked(lock: Path, of: Path, *, mend: str, stays: bool = False) -> Iterator[None]:
    """Keep every other command out of what is written at `of`, by a lock on the file `lock`.

    Within, the same process may take the lock again. Where the file system gives no locks, a line on stderr says so.

    Args:
        mend: what else can be done where another command holds it. stays: whether the file stays afterwards.

    Raises:
        InputError: another command holds the lock, or the file cannot be made.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with locked(folder / ".lock", folder, mend="name another folder"):
    ...     print((folder / ".lock").exists())
    True
    >>> (folder / ".lock").exists()
    False
    """
    held = FileLock(lock, timeout=0, is_singleton=True)
    outermost = not held.is_locked
    if not taken(held, lock, of, mend):
        yield
        return
    try:
        yield
    finally:
        if outermost and not stays:
            lock.unlink(missing_ok=True)  # still held: who waits for it looks whether its file has a name
        held.release()


def taken(held: BaseFileLock, lock: Path, of: Path, mend: str) -> bool:
    """Take a lock; False where the file system gives none, which is said."""
    try:
        with writing(of):
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.acquire()
            except (OSError, NotImplementedError) as error:
                if getattr(error, "errno", errno.ENOSYS) not in NO_LOCKS:
                    raise
                said = f"its file system gives no locks ({one_line(error)}): give one command at a time there"
                print(f"warning: {of}: {said}", file=sys.stderr)
                return False
    except Timeout:
        raise InputError(f"{of}: another command is at work in it: wait for it, or {mend}") from None
    return True
