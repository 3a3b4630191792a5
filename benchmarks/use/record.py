"""What the three studies of use share: settings, rows that are written as they are done, and intervals over seeds."""

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy import stats
from torch import nn

from benchmarks.machine import ROOT, description
from segue.files import write_text
from segue.training.loop import fit
from segue.training.state import TrainingSettings
from segue.yaml_text import load_yaml

RESULTS = ROOT / "results" / "use"
Row = dict[str, Any]
Net = TypeVar("Net", bound=nn.Module)


def settings_of(name: str) -> dict[str, Any]:
    """studies/use/NAME.yaml."""
    return load_yaml((ROOT / "studies" / "use" / f"{name}.yaml").read_text())


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """The options that all three have."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.use.{name}", description=about)
    made.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the trained runs")
    made.add_argument("--cache", type=Path, help="counterfactuals and rows of an interrupted run; default: RUNS/use")
    seeds = "only these, so that processes can share the work; without any, what is there is written"
    made.add_argument("--seeds", type=int, nargs="*", help=seeds)
    return made


class Rows:
    """One JSON object a line, in a file; a row that is there is not made again."""

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.keys = path, keys
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a process was killed while it wrote
            write_text(path, whole)
        self.rows: list[Row] = [json.loads(line) for line in whole.splitlines()]

    def anew(self) -> "Rows":
        """As the file is now, with the rows of other processes."""
        return Rows(self.path, self.keys)

    def add(self, key: Mapping[str, Any], make: Callable[[], Row]) -> None:
        """The row of a key: as it was written, or made and written now."""
        if any(all(row[name] == key[name] for name in self.keys) for row in self.rows):
            return
        row = {**key, **make()}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        print(json.dumps(row), flush=True)


def interval(values: Iterable[float]) -> dict[str, Any]:
    """Mean over seeds and its 95% interval by Student's t; no interval of a single seed.

    >>> interval([1.0, 1.0, 1.0])
    {'mean': 1.0, 'ci95': [1.0, 1.0], 'seeds': 3}
    """
    found = np.array(list(values), float)
    mean, count = float(found.mean()), len(found)
    if count < 2:
        return {"mean": mean, "ci95": None, "seeds": count}
    half = float(stats.t.ppf(0.975, count - 1) * found.std(ddof=1) / math.sqrt(count))
    return {"mean": mean, "ci95": [mean - half, mean + half], "seeds": count}


def by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by their arm, in the order in which arms appear first."""
    return {arm: [row for row in rows if row["arm"] == arm] for arm in dict.fromkeys(row["arm"] for row in rows)}


def paired(rows: Sequence[Row], base: Sequence[Row], number: str) -> dict[str, Any]:
    """The difference of two arms, seed by seed."""
    of_base = {row["seed"]: row[number] for row in base}
    return interval(row[number] - of_base[row["seed"]] for row in rows if row["seed"] in of_base)


def fitted(net: Net, objective: nn.Module, stream: Any, training: Mapping[str, Any], seed: int, *, title: str) -> Net:
    """`net`, trained by its objective on a stream of batches; nothing of the training is kept.

    Args:
        training: of the settings: batch_size, and the rest as `TrainingSettings` takes it.
    """
    budget = {key: value for key, value in training.items() if key != "batch_size"}
    how = TrainingSettings(**budget, seed=seed, precision="no")
    with tempfile.TemporaryDirectory() as folder:
        fit(objective, stream, how, directory=Path(folder), title=title)
    return net.eval().requires_grad_(False)


def write_results(name: str, content: Mapping[str, Any]) -> None:
    """results/use/NAME.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_text(RESULTS / f"{name}.json", json.dumps({"machine": description(), **content}, indent=1) + "\n")
