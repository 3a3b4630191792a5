"""The folder of a stage: how it starts, what says that it is done, and whether it is still as it was written.

`started.json` marks the folder as segue's own. `done.json` holds the stage's fingerprint and a checksum of every file
(but of a store's chunks, which have their own).
"""

import json
import math
import shutil
from pathlib import Path, PurePath
from typing import Any

from segue import __version__
from segue.disk import flush, writing
from segue.errors import InputError
from segue.files import TEMPORARY, remove_temporaries, write_text
from segue.pipeline.common import Result, command, commit
from segue.sealed import AGAIN, DONE, FILES, damaged, read_json, sealed, sums_of
from segue.training.state import CHECKPOINT, EARLIER

STARTED = "started.json"
UNLISTED = (STARTED, DONE, CHECKPOINT, EARLIER)


def read_done(directory: Path) -> dict[str, Any] | None:
    """done.json of a stage's folder; None where the stage is not done.

    Raises:
        InputError: it is damaged.
    """
    path = directory / DONE
    if not path.exists():
        return None
    done = read_json(path, keys=["fingerprint", "seconds"])
    seconds, mappings = done["seconds"], [done.get("needs", {}), done.get(FILES, {})]
    number = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds >= 0
    if not (number and isinstance(done["fingerprint"], str) and all(map(is_text_mapping, mappings))):
        raise InputError(f"{path}: is damaged (a value is of another type); {AGAIN}")
    return done


def is_text_mapping(value: Any) -> bool:
    """Whether a value is a mapping of texts."""
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def done_as(directory: Path, mark: str) -> tuple[dict[str, Any] | None, str]:
    """done.json of a stage that is done with this fingerprint, and whose files are as they were written.

    Otherwise None, and what is damaged: "" where the stage is not done, or with another fingerprint.
    """
    try:
        done = read_done(directory)
    except InputError as error:
        return None, str(error).split(";")[0]
    if done is None or done["fingerprint"] != mark:
        return None, ""
    if (name := damaged(directory, done.get(FILES, {}))):
        return None, f"{directory / name}: is missing or damaged (its checksum is another)"
    return done, ""


def is_left(directory: Path, mark: str) -> bool:
    """Whether a stage is still to be done, or was done otherwise; its files are not looked at."""
    try:
        return (read_done(directory) or {}).get("fingerprint") != mark
    except InputError:
        return True


def start_stage(directory: Path, mark: str) -> None:
    """Make the directory ready: as an interrupted attempt at the same work left it, or empty.

    Raises:
        InputError: the directory holds files that are not segue's to remove.
    """
    with writing(directory / STARTED):
        directory.mkdir(parents=True, exist_ok=True)
    remove_temporaries(directory)
    begun = begun_as(directory)
    if begun is None and any(directory.iterdir()):
        raise InputError(f"{directory}: holds files that segue did not make; move them, or choose another name")
    if begun != mark or (directory / DONE).exists():
        check_strangers(directory)
        empty(directory)
        write_text(directory / STARTED, json.dumps({"fingerprint": mark}))
    (directory / DONE).unlink(missing_ok=True)


def begun_as(directory: Path) -> str | None:
    """The fingerprint of the work that was begun in a stage's folder, "" where it cannot be read; None: none was."""
    if not (directory / STARTED).is_file():
        return "" if (directory / DONE).is_file() else None
    try:
        return str(read_json(directory / STARTED, keys=["fingerprint"])["fingerprint"])
    except InputError:
        return ""


def check_strangers(directory: Path) -> None:
    """Refuse to empty the folder of a finished stage in which somebody put a file.

    Raises:
        InputError: naming the file.
    """
    try:
        listed = (read_done(directory) or {}).get(FILES)
    except InputError:
        return
    found = [path.relative_to(directory) for path in sorted(directory.rglob("*")) if path.is_file()]
    if listed and (strange := [name for name in found if is_output(name) and name.as_posix() not in listed]):
        raise InputError(f"{directory / strange[0]}: is in the way, and segue did not make it; move it elsewhere")


def empty(directory: Path) -> None:
    """Remove what a stage's folder holds, but the marks that it is segue's: a kill meanwhile leaves them."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (STARTED, DONE):
            path.unlink()


def finish_stage(directory: Path, facts: dict[str, Any], result: Result) -> None:
    """Write done.json once all else is on the disk, and remove the checkpoints."""
    with writing(directory / DONE):
        flush(directory)
    record = {**facts, "version": __version__, "commit": commit(), "command": command(), **result}
    write_text(directory / DONE, sealed(record | {FILES: sums_of(directory, of=is_output)}))
    for name in (CHECKPOINT, EARLIER):
        (directory / name).unlink(missing_ok=True)


def is_output(name: PurePath) -> bool:
    """Whether a file of a stage's folder, by its path in it, has its checksum in done.json."""
    chunk = any(part.endswith(".zarr") for part in name.parts) and "c" in name.parts
    return not chunk and name.as_posix() not in UNLISTED and not TEMPORARY.fullmatch(name.name)
