"""What methods cost: seconds of the stages that trained them, and of an answer."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from segue.engine.method import Method
from segue.errors import InputError
from segue.evaluation.cost import cost_of_answer
from segue.evaluation.judge import Judge
from segue.files import write_text
from segue.pipeline.asking import Examination
from segue.sealed import DONE, SUM, read_json, sealed

PREPARE = "prepare"


def training_seconds(root: Path, stages: Iterable[str]) -> float:
    """Seconds of some stages of a run, and of all that they rest on, each once; but for reading the images.

    >>> import json, tempfile
    >>> from segue.files import write_text
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, needs in (("segmentor", {}), ("tuned", {"segmentor": "..."})):
    ...     (root / name).mkdir()
    ...     write_text(root / name / DONE, json.dumps({"seconds": 2.0, "needs": needs}))
    >>> training_seconds(root, ["tuned", "segmentor"])
    4.0
    """
    seconds: dict[str, float] = {}
    frontier = list(stages)
    while frontier:
        name = frontier.pop()
        if name in seconds or name == PREPARE:
            continue
        done = read_json(root / name / DONE, keys=["seconds"])
        seconds[name] = done["seconds"]
        frontier += done.get("needs", ())
    return round(sum(seconds.values()), 1)


def answering_cost(
    path: Path, asked: Examination, judge: Judge, open_method: Callable[[], Method]
) -> dict[str, float]:
    """The cost of an answer of a method, measured once and written to `path`."""
    if not is_measured(path):
        method = open_method()
        one = judge.translate(asked.chosen(np.array([0]), title=path.stem), method).questions
        with torch.inference_mode():
            measured = cost_of_answer(method, one._replace(requests=one.requests[:1]))
        write_text(path, sealed(measured))
    return {key: value for key, value in read_json(path).items() if key != SUM}


def is_measured(path: Path) -> bool:
    """Whether a cost is there to be read."""
    try:
        return path.exists() and bool(read_json(path))
    except InputError:
        return False
