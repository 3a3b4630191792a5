"""Tensors and tables of segue's own on disk: written whole, and checked when they are read."""

import io
from pathlib import Path

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from segue.errors import InputError
from segue.files import write_bytes
from segue.sealed import AGAIN, as_written
from segue.text import one_line


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write safetensors; the file appears once it is complete.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "measured.safetensors"
    >>> save_tensors({"areas": torch.ones(2)}, path)
    >>> read_tensors(path)["areas"].tolist()
    [1.0, 1.0]
    """
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def read_tensors(path: Path, *, mend: str = AGAIN) -> dict[str, Tensor]:
    """What `save_tensors` wrote, in the order of the names, so that what is made of it is the same each time.

    Raises:
        InputError: it is missing, or not as it was written.
    """
    try:
        return dict(sorted(load(as_written(path).read_bytes()).items()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {mend}") from None
    except (SafetensorError, ValueError, KeyError, RuntimeError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is damaged ({one_line(error)[:120]}); {mend}") from None


def save_table(table: pl.DataFrame, path: Path) -> None:
    """Write Parquet; the file appears once it is complete."""
    content = io.BytesIO()
    table.write_parquet(content)
    write_bytes(path, content.getvalue())


def read_table(path: Path, *, mend: str = AGAIN) -> pl.DataFrame:
    """What `save_table` wrote.

    Raises:
        InputError: it is missing, or not as it was written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "effects.parquet"
    >>> save_table(pl.DataFrame({"id": ["a"]}), path)
    >>> read_table(path)["id"].to_list()
    ['a']
    """
    try:
        return pl.read_parquet(as_written(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or one_line(error)}); {mend}") from None
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: is damaged ({one_line(error)[:120]}); {mend}") from None
