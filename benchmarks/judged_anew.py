"""Rows of a kept table, judged anew without the rest of it.

    python -m benchmarks.judged_anew RUN/evaluate results/baselines/chest --rows guided_diffusion

A change of one baseline's settings needs no other method trained again. RUN is the same study with fewer methods. It
must hold controls, which have to come out as in the kept table: methods that both have, and `NAME_before`, which is
NAME with its former settings. `--controls` names some of them, where others have networks that are not behind the new
rows. Where cohort, guide, judge, requests and every number of every control are those of the kept table, so are the
networks and the images behind the new rows. Otherwise nothing is written.

Times are not compared, nor counts of operations; they are of different machines and versions. Local realism is of a
network that is trained while judging, which no two machines do alike: each value must lie in the other's interval, and
both are written down. The seconds of training stay those of the kept table, whose
networks they are. What is paired with the best method of the kept table (`over_best`) is there only if that is a
control. The figure of the kept table stays, with the former columns of these rows; that of RUN is put beside it.
"""

import argparse
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segue.pipeline.judging import METRICS_FILE, read_metrics, write_metrics
from segue.pipeline.pictures import FIGURE1

Metrics = dict[str, Any]
SETTING = ("split", "n_images", "unit", "variables", "sd", "sd_of_masks", "segmentors", "doing_nothing")
ANEW, BEFORE = "figure1-anew.png", "_before"
APART = ("training_seconds", "seconds_per_image", "flops_per_image", "local_realism")
"""Not compared number by number."""


def merged(kept: Metrics, anew: Metrics, rows: Sequence[str], controls: Sequence[str] | None = None) -> Metrics:
    """The kept table with some rows of the other, and for each of these the command that judged it.

    Args:
        controls: methods of `anew` that have to come out as in the kept table; default: all that can.

    Raises:
        ValueError: what is not the same in both, or that there is no control.
    """
    able = [name for name in anew["methods"] if name.removesuffix(BEFORE) in kept["methods"] and name not in rows]
    controls = able if controls is None else controls
    if not controls or set(controls) - set(able):
        raise ValueError(f"no method that stays; judge one or more of them too (controls may be: {able})")
    both = {name: (unpaired(kept["methods"][name.removesuffix(BEFORE)]), unpaired(anew["methods"][name]))
            for name in controls}  # fmt: skip
    pairs = {key: (kept[key], anew[key]) for key in SETTING} | both
    real = {name: (before["local_realism"], now["local_realism"]) for name, (before, now) in both.items()}
    other = [line for key, (before, now) in pairs.items() for line in differences(before, now, key)]
    other += [f"{name}/local_realism: {before} and {now}" for name, (before, now) in real.items() if apart(before, now)]
    if other:
        raise ValueError("\n".join(["these are not the same:", *other]))
    aucs = {name: [one and one["auc"] for one in of] for name, of in real.items()}
    record = {"commit": anew["commit"], "command": anew["command"], "controls": aucs}
    best = min(kept["methods"], key=lambda name: kept["methods"][name]["mean"]["error_sd"])
    new = {name: anew["methods"][name] if best in controls else unpaired(anew["methods"][name]) for name in rows}
    trained = "training_seconds"
    methods = {
        name: new[name] | {trained: one[trained]} if name in new else one for name, one in kept["methods"].items()
    }
    return kept | {"methods": methods, "judged_anew": kept.get("judged_anew", {}) | dict.fromkeys(rows, record)}


def unpaired(entry: Metrics) -> Metrics:
    """A method's entry without its comparison with the best of its own table."""
    return {key: one for key, one in entry.items() if key != "over_best"}


def differences(before: Any, now: Any, where: str) -> Iterator[str]:
    """A line for everything that is not the same, to the fourth digit.

    >>> list(differences({"a": [1.0, 2.0], "seconds_per_image": 1}, {"a": [1.0, 2.5], "seconds_per_image": 2}, "mine"))
    ['mine/a/1: 2.0 and 2.5']
    """
    if isinstance(before, dict | list) and type(before) is type(now) and len(before) == len(now):
        for key, one in before.items() if isinstance(before, dict) else enumerate(before):
            if key not in APART:
                other = now.get(key) if isinstance(now, dict) else now[key]
                yield from differences(one, other, f"{where}/{key}")
    elif not (before == now or alike(before, now)):
        yield f"{where}: {before} and {now}"


def apart(before: Metrics | None, now: Metrics | None) -> bool:
    """Whether a local realism lies outside of the other's interval.

    >>> one, other = {"auc": 0.55, "ci95": [0.5, 0.6]}, {"auc": 0.58, "ci95": [0.56, 0.6]}
    >>> apart(one, one), apart(one, other), apart(None, None), apart(one, None)
    (False, True, False, True)
    """
    if before is None or now is None:
        return before is not now
    pairs = ((before["ci95"], now["auc"]), (now["ci95"], before["auc"]))
    return any(not low <= value <= high for (low, high), value in pairs)


def alike(before: Any, now: Any) -> bool:
    """Whether both are numbers, and the same but for rounding."""
    numbers = all(isinstance(one, int | float) for one in (before, now))
    return numbers and math.isclose(before, now, rel_tol=1e-4, abs_tol=1e-6)


def main() -> None:
    """Write the kept table anew, or say why not."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.judged_anew", description=__doc__.partition("\n")[0])
    made.add_argument("anew", type=Path, help="folder `evaluate` of the smaller run")
    made.add_argument("kept", type=Path, help="folder under results/")
    made.add_argument("--rows", nargs="+", required=True, help="methods whose rows are replaced")
    made.add_argument("--controls", nargs="+", help="methods of RUN that must come out as kept; default: all that can")
    options = made.parse_args()
    try:
        found = merged(read_metrics(options.kept), read_metrics(options.anew), options.rows, options.controls)
    except ValueError as error:
        sys.exit(f"{options.kept / METRICS_FILE}: left as it is; {error}")
    write_metrics(options.kept, found)
    shutil.copy(options.anew / FIGURE1, options.kept / ANEW)


if __name__ == "__main__":
    main()
