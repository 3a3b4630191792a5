"""Many requests of the same images: one abduction for all of them, against a call of the engine for each."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from benchmarks.machine import Alone
from benchmarks.record import Findings, Row, Statement, run
from benchmarks.settings import SETTINGS, Name
from benchmarks.timing import interleave, ratio, spread
from benchmarks.workload import (
    Networks,
    answering,
    phantom_batch,
    phantom_grid,
    shipped_image,
    untrained_parents,
)
from segue.causal.request import Request
from segue.cohort.case import Case
from segue.engine.answer import answer
from segue.engine.model import Model

FULL = {"rounds": 8, "warmup": 1, "images": 64, "size": (32, 96)}
QUICK = FULL | {"rounds": 3}
REQUEST = "+10%"


def measure(*, rounds: int, warmup: int, images: int, size: tuple[int, int]) -> Findings:
    """Counterfactuals a second of one request for each variable: as generation makes them, and one call each."""
    titles = {
        "plain, a call a request": ("one_by_one", "plain"),
        "shipped, a call a request": ("one_by_one", "shipped"),
        "shipped, generation": ("together", "shipped"),
    }
    with ExitStack() as stack:
        works = {
            title: stack.enter_context(
                Alone(f"benchmarks.requests:{function}", setting=setting, images=images, size=size)
            )
            for title, (function, setting) in titles.items()
        }
        for work in works.values():
            work()  # waits for the imports
        seconds = interleave(works, rounds=rounds, warmup=warmup, title="requests")
        peaks = {title: work().peak_mb for title, work in works.items()}
    count = images * len(untrained_parents((size[0], size[1]), 3).names)
    rows: list[Row] = []
    for title, took in seconds.items():
        times = spread(took)
        rate = {"counterfactuals_per_second": count / times["seconds"], "peak_mb": peaks[title]}
        rows.append({"work": title, "counterfactuals": count, **times, **rate})
    *others, best = titles
    told = f"counterfactuals a second, {best} over"
    ratios = [ratio(f"{told} {title}", seconds[title], seconds[best]) for title in others]
    return Findings(rows, [*ratios, Statement("peak memory, shipped over plain", peaks[best] / peaks[others[0]])])


def model_of(
    setting: Name, images: int, size: Sequence[int], networks: Networks = "default"
) -> tuple[Model, list[Case]]:
    """The study's networks, untrained, under a setting; and phantoms."""
    how = SETTINGS[setting]
    how.process()
    grid, shape = phantom_grid(size), (size[0], size[1])
    parents = untrained_parents(shape, 3, networks)
    data = phantom_batch(parents, images, shape)
    mechanism = answering(shipped_image(parents, shape, networks), networks)
    mechanism.to(memory_format=how.layout)  # type: ignore[call-overload]
    model = Model(mechanism, grid, marginal=data["parents"])
    raw = grid.unscale(data["image"]).numpy().astype(np.float32)
    return model, [Case(str(i), image, None, np.eye(4)) for i, image in enumerate(raw)]


def together(setting: Name, images: int, size: Sequence[int]) -> Callable[[], None]:
    """All requests from one abduction, as generation does."""
    model, cases = model_of(setting, images, size)
    requests = [[Request({name: REQUEST}) for name in model.variables]] * images

    def work() -> None:
        answer(model, cases, requests)

    return work


def one_by_one(setting: Name, images: int, size: Sequence[int]) -> Callable[[], None]:
    """The engine called once for each variable: abduction, action and prediction every time."""
    model, cases = model_of(setting, images, size)
    raw = np.stack([case.image for case in cases])

    def work() -> None:
        for name in model.variables:
            model.counterfactual(raw, {name: REQUEST})

    return work


if __name__ == "__main__":
    run("requests", measure, full=FULL, quick=QUICK)
