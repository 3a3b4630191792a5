"""Other ways to run the networks: torch.compile, and OpenVINO where it is installed, against the shipped eager one.

Decoding and measuring, in float32, are most of what generation does; the fine-tuning step is most of what training
does. A way that does not win here is not taken up in the package.
"""

import contextlib
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.record import Findings, Row, Statement, run
from benchmarks.settings import SETTINGS
from benchmarks.timing import interleave, ratio, spread
from benchmarks.workload import facts_of, objective, phantom_batch, shipped_image, untrained_parents
from segue.hardware import channels_last
from segue.mechanisms.hvae import HVAEMechanism
from segue.training.batches import Batch

FULL = {"rounds": 10, "warmup": 2, "batch": 32, "size": (32, 96)}
QUICK = FULL | {"rounds": 3, "warmup": 1}
Work = Callable[[], Any]


class Decoder(nn.Module):
    """p(x | z, pa) as a function of tensors alone."""

    def __init__(self, mechanism: HVAEMechanism) -> None:
        super().__init__()
        self.model: Any = mechanism.model

    def forward(self, context: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale = self.model.predict(list(states), context)
        return loc, log_scale


class Measuring(nn.Module):
    """Soft masks."""

    def __init__(self, mechanism: HVAEMechanism) -> None:
        super().__init__()
        self.segmentor: Any = mechanism.parents.segmentor

    def forward(self, image: Tensor) -> Tensor:
        return self.segmentor.soft(image)


def measure(*, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """Decoding, measuring and the fine-tuning step, eager as shipped and otherwise; seconds to make them ready too."""
    SETTINGS["shipped"].process()
    grid = (size[0], size[1])
    works, ready = {}, {}
    for task, ways in tasks(batch, grid).items():
        for way, make in ways.items():
            began = time.perf_counter()
            works[f"{task}, {way}"] = work = make()
            work()
            ready[f"{task}, {way}"] = time.perf_counter() - began
    seconds = interleave(works, rounds=rounds, warmup=warmup, title="backends")
    rows: list[Row] = []
    ratios: list[Statement] = []
    for name, took in seconds.items():
        task, way = name.split(", ")
        times = spread(took)
        rate = {"images_per_second": batch / times["seconds"], "ready_after_seconds": ready[name]}
        rows.append({"work": task, "by": way, **times, **rate})
        if way != "eager":
            ratios.append(
                ratio(f"{task}: images a second, {way} over eager", seconds[f"{task}, eager"], took)
            )
    return Findings(rows, ratios)


def tasks(batch: int, size: tuple[int, int]) -> dict[str, dict[str, Callable[[], Work]]]:
    """By task and way, what makes the work."""
    mechanism, data = trained(batch, size)
    facts = facts_of(mechanism.parents, data)
    with torch.inference_mode():
        states = [state.float().contiguous().clone() for state in mechanism.abduct(facts).latents.states]
        decoding = (mechanism.context(facts.pa, facts.weights).contiguous().clone(), *states)
    decoder, measuring = Decoder(mechanism).eval(), Measuring(mechanism).eval()
    step = {
        way: partial(training, batch, size, compiled=way != "eager") for way in ("eager", "torch.compile")
    }
    return {
        "decoding": inference(decoder, decoding),
        "measuring": inference(measuring, (facts.image.clone(),)),
        "fine-tuning step": dict[str, Callable[[], Work]](step),
    }


def trained(batch: int, size: tuple[int, int]) -> tuple[HVAEMechanism, Batch]:
    """The study's networks, untrained, in the shipped setting, and a batch of phantoms."""
    parents = untrained_parents(size, 3)
    data = phantom_batch(parents, batch, size)
    mechanism = shipped_image(parents, size).eval().requires_grad_(False)
    return channels_last(mechanism, len(size)), data


def inference(net: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Callable[[], Work]]:
    """A network answering, in each way that there is."""

    def called(function: Callable[..., Any]) -> Work:
        @torch.inference_mode()
        def work() -> None:
            function(*inputs)

        return work

    ways = {"eager": lambda: called(net), "torch.compile": lambda: called(torch.compile(net, dynamic=False))}
    if importlib.util.find_spec("openvino") is not None:
        ways["OpenVINO"] = lambda: openvino(net, inputs)
    return ways


def openvino(net: nn.Module, inputs: tuple[Tensor, ...]) -> Work:
    """The network, exported, in OpenVINO, told to compute in float32: left to itself it would measure areas in bf16."""
    import openvino as ov

    with torch.no_grad(), contextlib.redirect_stdout(None):
        converted = ov.convert_model(torch.export.export(net, inputs))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = ov.Core().compile_model(converted, "CPU", settings)
    arrays = [one.numpy() for one in inputs]
    return lambda: compiled(arrays)


def training(batch: int, size: tuple[int, int], *, compiled: bool) -> Work:
    """A fine-tuning step; the image model alone is compiled (torch 2.13 fails on the guide, channels last)."""
    how = SETTINGS["shipped"]
    mechanism, data = trained(batch, size)
    model: Any = mechanism.model.requires_grad_(True)  # type: ignore[attr-defined]
    if compiled:
        model.abduct, model.predict = torch.compile(model.abduct), torch.compile(model.predict)
    step = how.step(*objective("fine-tuning step", mechanism, size))
    return lambda: step(data)


if __name__ == "__main__":
    run("backends", measure, full=FULL, quick=QUICK)
