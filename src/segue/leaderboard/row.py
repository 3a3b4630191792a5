"""The numbers of one entry."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors.torch import load_file

from segue.causal.parents import Parents
from segue.engine.method import Method
from segue.engine.model import Model
from segue.evaluation.bootstrap import Bootstrap, percentiles
from segue.evaluation.effect import distance_rows, effect_rows
from segue.evaluation.metrics import summarise
from segue.evaluation.truth import posed_beside_nothing, summarise_distances
from segue.leaderboard.entry import Entry, of_model
from segue.leaderboard.task import GRID, OFFICIAL, Task, fixed_task, phantom_variables
from segue.mechanisms.base import Moved
from segue.nets.segmentor import Segmentor

__all__ = ["benchmark", "fixed_judge"]

JUDGE = Path(__file__).parent / "judge.safetensors"
JUDGE_WIDTH = 16
DRAWS = 1000
Row = dict[str, Any]


@cache
def fixed_judge() -> Segmentor:
    """The segmentor that measures all answers. It is that of studies/coronary-phantom-full.yaml, in half precision: a
    SegResNet, trained on other subjects than guide and image model of the shipped one, which have never seen it.

    >>> fixed_judge().soft(torch.zeros(1, 1, 48, 144)).shape
    torch.Size([1, 3, 48, 144])
    """
    net = Segmentor(arch="segresnet", spatial_dims=2, structures=3, width=JUDGE_WIDTH)
    net.load_state_dict({name: one.float() for name, one in load_file(JUDGE).items()})
    return net.eval().requires_grad_(False)


@torch.inference_mode()
def benchmark(entry: Entry | Method | Model, *, name: str = "mine", images: int = OFFICIAL) -> Row:
    """A row of the leaderboard: distances to the truth, errors by the fixed judge, seconds, and hashes of the task.

    Args:
        entry: a model, or a `Method`. A method that is no mechanism is told the true areas; `Entry` tells it what a
            guide measures instead.
        images: only `OFFICIAL` ones make a row of the leaderboard; fewer are for tests.

    Raises:
        InputError: a model of something else than the phantom.

    >>> from segue.engine.method import of_function
    >>> row = benchmark(of_function(lambda facts, requested: facts.image), name="nothing", images=2)
    >>> row["distance"], row["off_target_sd"]
    (1.0, 0.0)
    """
    task = fixed_task(images)
    made = as_entry(entry)
    judge = Parents(segmentor=fixed_judge(), variables=phantom_variables()).fit(task.areas)
    effects, still, seconds = [], [], 0.0
    for asked in task:
        began = time.perf_counter()
        answers = made.answer(asked)
        seconds += time.perf_counter() - began
        effects.append(effect_rows([Moved(image, None) for image in answers], judge, fixed_judge(), asked))
        still.append(distance_rows([asked.facts.image] * len(answers), asked))
    numbers = numbers_of(task, pl.concat(effects), pl.concat(still))
    return {
        "name": name,
        "official": images == OFFICIAL,
        **numbers,
        "seconds_per_answer": seconds / task.values.numel(),
        "images": images,
        "requests": task.values.numel(),
        "images_sha256": task.images_hash,
        "requests_sha256": task.requests_hash,
    }


def as_entry(entry: Entry | Method | Model) -> Entry:
    """Anything that may enter."""
    if isinstance(entry, Model):
        return of_model(entry)
    if isinstance(entry, Method):
        return Entry(entry, None if entry.mechanism is None else entry.mechanism.parents)
    return entry


def numbers_of(task: Task, effects: pl.DataFrame, still: pl.DataFrame) -> Row:
    """`distance` (to the truth, over that of doing nothing), its parts, and what the judge measured.

    Args:
        effects: of the answers. still: distances of the factual images.
    """
    draws = Bootstrap(task.ids, DRAWS, seed=0)
    posed, distance = posed_beside_nothing(effects, still)
    truth = summarise_distances(effects, span=GRID.span, subjects=task.ids, bootstrap=DRAWS, seed=0)
    mean = summarise(effects, sd=task.sd, subjects=task.ids, bootstrap=DRAWS, seed=0)["mean"]
    return {
        "distance": distance,
        "distance_ci95": list(percentiles(draws.ratio(posed, "truth_mae", "nothing"))),
        "well_posed": truth["n_requests"],
        "mae_hu": truth["mae"],
        "mae_hu_inside": truth["mae_inside"],
        "mae_hu_outside": truth["mae_outside"],
        "error_sd": mean["error_sd"],
        "error_sd_ci95": mean["ci95"],
        "off_target_sd": mean["off_target_sd"],
    }
