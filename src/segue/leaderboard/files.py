"""The task as files, for a method outside segue: the format of `segue requests` (docs/judge-your-method.md)."""

from pathlib import Path
from typing import Any

from segue.leaderboard.task import GRID, TASK_SPACING, Task
from segue.phantom import VARIABLES
from segue.pipeline.exchange import Exported, write_requests


def export_task(task: Task, out: Path) -> Path:
    """Write `out`: images/ID.nii.gz in HU, regions/ID.nii.gz, requests.csv, about.json.

    Raises:
        InputError: `out` exists.
    """
    about: dict[str, Any] = {"study": "segue benchmark", "unit": GRID.unit, "size": list(GRID.size)}
    about |= {"variables": list(VARIABLES), "intensity": GRID.intensity.settings(), "images_sha256": task.images_hash}
    about |= {"requests_sha256": task.requests_hash}
    one = task.regions.numpy()
    cases = Exported(task.ids, task.raw.numpy(), (one for _ in task.ids), [TASK_SPACING] * len(task.ids))
    return write_requests(out, cases, task.areas, task.values, about)
