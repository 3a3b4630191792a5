"""Rows as a table, and a leaderboard as a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segue.errors import InputError
from segue.files import write_text
from segue.report.table import pipe_table

COLUMNS = ("distance to the truth", "MAE (HU)", "inside", "error (sd)", "off-target (sd)", "s an answer")


def board_table(rows: Sequence[dict[str, Any]]) -> str:
    """The leaderboard as Markdown, nearest to the truth first.

    >>> row = {"name": "mine", "distance": 0.5, "distance_ci95": [0.4, 0.6], "mae_hu": 2.0, "mae_hu_inside": 4.0}
    >>> row |= {"error_sd": 0.25, "error_sd_ci95": [0.2, 0.3], "off_target_sd": 0.1, "seconds_per_answer": 0.05}
    >>> print(board_table([row]).splitlines()[2])
    | mine   | 0.500 [0.400, 0.600]  | 2.00     | 4.00   | 0.250 [0.200, 0.300] | 0.100           | 0.0500      |
    """
    lines = [
        [
            row["name"] if row.get("official", True) else f"{row['name']} (unofficial: {row['images']} images)",
            with_interval(row, "distance"),
            f"{row['mae_hu']:.2f}",
            f"{row['mae_hu_inside']:.2f}",
            with_interval(row, "error_sd"),
            f"{row['off_target_sd']:.3f}",
            f"{row['seconds_per_answer']:.4f}",
        ]
        for row in sorted(rows, key=lambda row: row["distance"])
    ]
    return pipe_table(["method", *COLUMNS], lines)


def with_interval(row: dict[str, Any], key: str) -> str:
    """A number and its 95% interval."""
    low, high = row[f"{key}_ci95"]
    return f"{row[key]:.3f} [{low:.3f}, {high:.3f}]"


def read_board(path: Path) -> list[dict[str, Any]]:
    """The rows of a leaderboard's file; none where there is no file.

    Raises:
        InputError: it is no leaderboard.
    """
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())["rows"]
        board_table(rows)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no leaderboard ({error}); name another file") from None
    return rows


def write_board(path: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add rows to a leaderboard's file, in place of earlier ones of the same name; all its rows, nearest first."""
    names = {row["name"] for row in rows}
    kept = [row for row in read_board(path) if row["name"] not in names]
    every = sorted([*kept, *rows], key=lambda row: row["distance"])
    write_text(path, json.dumps({"rows": every}, indent=1) + "\n")
    return every
