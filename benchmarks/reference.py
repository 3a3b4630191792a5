"""segue's image mechanism against a reference HVAE of the usual kind, at equal parameters and with the same latents."""

import bisect
from functools import cache, partial
from typing import Any, cast

import torch
from torch import nn

from benchmarks.machine import gflop
from benchmarks.record import Findings, Row, Statement, run
from benchmarks.reference_hvae import OnePass, ReferenceHVAE
from benchmarks.timing import interleave, ratio, spread
from benchmarks.workload import KINDS, Image, shipped_image, the_study, untrained_parents, work
from segue.causal.parents import Parents
from segue.mechanisms.hvae import HVAEMechanism

FULL = {"rounds": 10, "warmup": 2, "batch": 32, "size": (32, 96)}
QUICK = FULL | {"rounds": 3, "warmup": 1}
MULTIPLE = 8  # of the reference's widths: odd ones would be slow for reasons of layout alone
# Resolutions of the reference by level, as the image's over the level's: those of segue; and, as published, with
# blocks at full resolution too.
LADDERS = {"the reference": (2, 4, 8, 16), "the reference with full resolution": (1, 2, 4, 8, 16)}


def measure(*, rounds: int, warmup: int, batch: int, size: tuple[int, int]) -> Findings:
    """Steps, abduction and prediction with segue's network and with the reference's, both in the shipped setting."""
    images: dict[str, Image] = {"segue": shipped_image}
    images |= {name: partial(reference_image, strides=strides) for name, strides in LADDERS.items()}
    spot: dict[str, Any] = {"batch": batch, "size": size}
    works = {
        f"{kind}, {name}": work(kind, "shipped", image=image, **spot)
        for kind in KINDS
        for name, image in images.items()
    }
    seconds = interleave(works, rounds=rounds, warmup=warmup, title="reference")
    parameters = {name: count(image, size) for name, image in images.items()}
    ratios = [Statement(f"parameters, {name} over segue", parameters[name] / parameters["segue"]) for name in LADDERS]
    rows: list[Row] = []
    for kind in KINDS:
        for name, image in images.items():
            times = spread(seconds[f"{kind}, {name}"])
            rate = {"images_per_second": batch / times["seconds"]}
            cost = {"gflop": gflop(work(kind, "plain", image=image, **spot)), "parameters": parameters[name]}
            rows.append({"work": kind, "network": name, **times, **rate, **cost})
        for name in LADDERS:
            told = f"{kind}: images a second, segue over {name}"
            ratios.append(ratio(told, seconds[f"{kind}, {name}"], seconds[f"{kind}, segue"]))
    return Findings(rows, ratios)


def count(image: Image, size: tuple[int, int]) -> int:
    """Parameters of an image model, its guide's not among them."""
    return size_of(cast(nn.Module, image(untrained_parents(size, 3), size).model))


def size_of(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def reference_image(parents: Parents, size: tuple[int, int], *, strides: tuple[int, ...]) -> HVAEMechanism:
    """The reference with as many parameters as segue's network has; the parents are broadcast, as published."""
    target = size_of(cast(nn.Module, shipped_image(parents, size).model))
    shape: dict[str, Any] = {"size": size, "context": parents.context_channels("broadcast"), "strides": strides}
    net = ReferenceHVAE(widths=matched(target, **shape), **shape, **latents(strides))
    hvae = the_study().hvae
    loss = {"free_bits": hvae.free_bits, "beta_warmup": hvae.beta_warmup}
    return OnePass(model=net, parents=parents, conditioning="broadcast", **loss)


def latents(strides: tuple[int, ...]) -> dict[str, Any]:
    """Depth, latent channels and resolution of the finest latents, as in the study's own network."""
    hvae = the_study().hvae
    depths = (hvae.depths[0],) * (len(strides) - len(hvae.depths)) + hvae.depths
    return {"depths": depths, "latent": hvae.latent, "finest": strides.index(2 ** (hvae.finest + 1))}


@cache
def matched(target: int, *, size: tuple[int, int], context: int, strides: tuple[int, ...]) -> tuple[int, ...]:
    """The widths, in proportion to those of the study's network, that come closest to `target` parameters."""
    base = the_study().hvae.widths
    if len(strides) > len(base):
        base = (base[0] // 2, *base)
    scales = [percent / 100 for percent in range(20, 800)]

    def widths(scale: float) -> tuple[int, ...]:
        return tuple(MULTIPLE * max(1, round(scale * width / MULTIPLE)) for width in base)

    def parameters(scale: float) -> int:
        with torch.device("meta"):
            net = ReferenceHVAE(
                size=size, context=context, strides=strides, widths=widths(scale), **latents(strides)
            )
        return size_of(net)

    above = bisect.bisect(scales, target, key=parameters)
    return widths(min(scales[above - 1 : above + 1], key=lambda scale: abs(parameters(scale) - target)))


if __name__ == "__main__":
    run("reference", measure, full=FULL, quick=QUICK)
