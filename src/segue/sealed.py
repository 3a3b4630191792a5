"""Files of segue's own, which say whether they are as they were written: checksums, and JSON that is checked."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from segue.errors import InputError
from segue.text import one_line

DONE = "done.json"
FILES, SUM = "files", "checksum"
LONGEST_JSON = 1 << 28  # bytes; a metrics.json has kilobytes
AGAIN = "give `segue run STUDY` again, which makes it anew"


def sha256(file: Path) -> str:
    """Of a file's bytes, in hexadecimal.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the disk") from None


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a JSON file says, its own checksum aside.

    >>> checksum({"a": 1}) == checksum({"a": 1, "checksum": "..."})
    True
    """
    rest = {key: value for key, value in content.items() if key != SUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> str:
    """A JSON text that holds its own checksum.

    >>> list(json.loads(sealed({"a": 1})))
    ['a', 'checksum']
    """
    plain = json.loads(json.dumps(content))  # tuples as lists, keys as text: as it is read again
    return json.dumps({**plain, SUM: checksum(plain)}, indent=1)


def read_json(path: Path, *, keys: Iterable[str] = (), mend: str = AGAIN) -> dict[str, Any]:
    """A JSON file of segue's: a mapping with these keys, and with the checksum that it states, if it states one.

    Raises:
        InputError: it is missing, is no JSON, lacks a key, or is not as it was written.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "done.json"
    >>> _ = file.write_text('{"seconds": 1')
    >>> read_json(file, mend="make it anew")
    Traceback (most recent call last):
    segue.errors.InputError: ...done.json: is damaged (Expecting ',' delimiter: ...); make it anew
    """
    content = read_mapping_of(path, mend)
    if SUM in content and content[SUM] != checksum(content):
        raise InputError(f"{path}: is damaged or was edited (its checksum is another); {mend}")
    if lacking := [key for key in keys if key not in content]:
        raise InputError(f"{path}: is damaged (it has no {lacking[0]}); {mend}")
    return content


def read_mapping_of(path: Path, mend: str) -> dict[str, Any]:
    """The mapping of a JSON file, as it stands there.

    Raises:
        InputError: it is missing, or is no JSON mapping.
    """
    try:
        if path.stat().st_size > LONGEST_JSON:
            raise ValueError("it is too long")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, not a mapping")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {mend}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged ({one_line(error)[:120]}); {mend}") from None
    return content


def sums_of(folder: Path, *, of: Callable[[PurePath], bool] = lambda name: True) -> dict[str, str]:
    """SHA-256 of the files of a folder, by their paths in it; of those that are to have one.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("1")
    >>> {name: digest[:6] for name, digest in sums_of(folder).items()}
    {'a.txt': '6b86b2'}
    """
    inside = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name.as_posix(): sha256(path) for name, path in inside.items() if of(name)}


def damaged(folder: Path, sums: Mapping[str, str]) -> str | None:
    """The first file of a folder that is missing or not as its checksum says; None where all are."""
    return next((name for name, digest in sums.items() if not is_intact(folder / name, digest)), None)


def is_intact(file: Path, digest: str) -> bool:
    """Whether a file is there and has this checksum; a file that has not changed meanwhile is read once."""
    if not file.is_file():
        return False
    found = file.stat()
    return sum_of_state(file, found.st_mtime_ns, found.st_size, found.st_ino) == digest


@lru_cache(maxsize=4096)
def sum_of_state(file: Path, time: int, size: int, inode: int) -> str:
    """SHA-256 of a file in a state."""
    return sha256(file)


def as_written(file: Path) -> Path:
    """The file itself, once it is known to be as the stage that wrote it says in its `done.json`.

    A file of which no `done.json` speaks is taken as it is: earlier versions of segue wrote no checksums.

    Raises:
        InputError: it is not as it was written.
    """
    for folder in list(file.parents)[:3]:
        if (folder / DONE).is_file():
            sums = read_json(folder / DONE).get(FILES, {})
            digest = sums.get(file.relative_to(folder).as_posix()) if isinstance(sums, dict) else None
            if digest is not None and not is_intact(file, digest):
                raise InputError(f"{file}: is damaged (its checksum is another than in {DONE}); {AGAIN}")
            break
    return file
