"""The private folder of a server: uploads and scratch files. They are deleted by age, and at any end of the server."""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from segue.disk import size_of
from segue.errors import InputError

PREFIX, LOCK = "segue-explore-", ".lock"
VARIABLE = "GRADIO_TEMP_DIR"  # where gradio looks for its folder of uploads
CAPACITY = 2 << 30  # bytes of all uploads together
YOUNG = 60  # seconds: a folder this new may belong to a server that starts just now


class PrivateFolder:
    """A folder that no other account can read, and that ends with its server.

    The process holds a lock on it while it lives. What a killed process left behind, the next server deletes.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        remove_abandoned(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()  # mode 700
        self.capacity, self.expected = capacity, 0
        self._lock = FileLock(self.path / LOCK)
        self._lock.acquire(blocking=False)
        self._before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(self.path)
        atexit.register(self.remove)

    def files(self) -> list[Path]:
        """All files in it but the lock."""
        return [path for path in self.path.rglob("*") if path.is_file() and path.name != LOCK]

    @contextmanager
    def room_for(self, size: int) -> Iterator[bool]:
        """Whether `size` bytes fit; they are counted as used until the block ends, by when they are files."""
        fits = sum(map(size_of, self.files())) + self.expected + size <= self.capacity
        self.expected += size if fits else 0
        try:
            yield fits
        finally:
            self.expected -= size if fits else 0

    def name_of(self, path: str) -> str:
        """How a file in it is called outside, where nobody learns where the folder is."""
        return os.path.relpath(path, self.path)

    def find(self, name: str) -> Path:
        """The file of that name.

        Raises:
            InputError: there is none in the folder.
        """
        path = Path(os.path.abspath(self.path / name))
        if "\0" in name or not path.is_relative_to(self.path) or path.name == LOCK or not path.is_file():
            raise InputError("the file is not among the uploads (they are kept for an hour); upload it again")
        return path

    def forget(self, age: float | int) -> None:
        """Delete what is older than `age` in seconds."""
        latest = time.time() - age
        old = sorted((path for path in self.path.rglob("*") if changed_at(path) < latest), reverse=True)
        for path in old:  # what is in a folder comes before it
            if path.is_file() and path.name != LOCK:
                path.unlink(missing_ok=True)
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def remove(self) -> None:
        """Delete all, for good."""
        atexit.unregister(self.remove)
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)
        if os.environ.get(VARIABLE) == str(self.path):
            os.environ.pop(VARIABLE)
            os.environ.update({} if self._before is None else {VARIABLE: self._before})


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for one answer's files, in the server's private folder where there is one."""
    folder = os.environ.get(VARIABLE, "")
    return tempfile.TemporaryDirectory(dir=folder if os.path.isdir(folder) else None)


def remove_abandoned(parent: Path) -> None:
    """Delete the private folders of servers of this account that were killed: nobody holds their lock."""
    for path in parent.glob(f"{PREFIX}*"):
        if path.is_symlink() or not os.access(path, os.W_OK) or time.time() - changed_at(path) < YOUNG:
            continue
        try:
            with FileLock(path / LOCK, blocking=False):
                shutil.rmtree(path, ignore_errors=True)
        except Timeout:
            continue  # its server runs


def changed_at(path: Path) -> float:
    """When a file was changed; in the far future if it is gone by now, so that nobody deletes it again."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")
