"""Whole populations from a trained model: variables from its causal model, images from the image model's prior."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

from segue.causal.request import Do, Intervention
from segue.cohort.io.write_file import bits_of, write_image
from segue.engine.asked import beyond_range, possible
from segue.engine.model import Model
from segue.engine.predict import finite_image
from segue.errors import InputError
from segue.files import whole_folder, write_text
from segue.mechanisms.base import Samples, offered
from segue.quoting import csv_text

__all__ = ["Population", "sample"]

MOST_SAMPLED = 100_000


@dataclass(frozen=True)
class Population:
    """Images of nobody, in the source's units, (batch, channel, *space), and by variable the values they are of.

    >>> Population(torch.zeros(2, 1, 4, 4), {"age": torch.tensor([50.0, 60.0])}).image.shape
    torch.Size([2, 1, 4, 4])
    """

    image: Tensor
    values: dict[str, Tensor]


@torch.inference_mode()
def sample(
    model: Model,
    count: int,
    do: Do | None = None,
    *,
    like: Float[Tensor, "image channel *space"] | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> Population:
    """A population: variables from the causal model, under `do` if given, and images of them from the prior.

    Args:
        do: by variable, a value or a quantile.
        like: images whose regions the new ones take in turn, where each image has its own.

    Raises:
        InputError: the study has no graph, or its regions depend on the image and `like` is missing.

    >>> import segue
    >>> model = segue.load("coronary-phantom")
    >>> sample(model, 2)
    Traceback (most recent call last):
    segue.errors.InputError: the study has no graph, so no law of its variables; add `graph:` to it and fit it
    """
    if model.scm is None:
        raise InputError("the study has no graph, so no law of its variables; add `graph:` to it and fit it")
    if (mechanism := offered(model.mechanism, Samples)) is None:
        raise InputError("the image mechanism of this model cannot generate images of nobody; choose another method")
    if not 1 <= count <= MOST_SAMPLED:
        raise InputError(f"sample({count}): give a number of images, 1 to {MOST_SAMPLED:,}")
    pa = model.scm.sample(count, do=interventions(model, do or {}), seed=seed).to(model.device)
    pa, weights = model.space.bounded(pa), regions(model, count, like)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        parts = zip(pa.split(batch_size), weights.split(batch_size), strict=True)
        images = torch.cat([mechanism.sample(parents, weight) for parents, weight in parts])
    return Population(finite_image(model.grid.unscale(images)), dict(zip(model.variables, pa.T, strict=True)))


def interventions(model: Model, do: Do) -> dict[str, Tensor]:
    """The values that a population's variables are set to: there is no factual value to change."""
    done = {}
    for name, request in do.items():
        if Intervention.parse(name, request).kind in ("percent", "sd"):
            raise InputError(f"do({name} = {request!r}): a population has no fact to change; give a value, or q0.9")
        done[name] = model.space.value(name, request, model.space.marginal[:1])
        low, high = possible(model, name, model.grid.pixel_area or 1.0)
        if not low <= float(done[name]) <= high:
            raise InputError(beyond_range(name, request, low, high))
    return done


def regions(model: Model, count: int, like: Tensor | None) -> Float[Tensor, "count measured *space"]:
    """The regions of new images: the study's own, or where each image has its own, those of `like` in turn.

    Raises:
        InputError: the regions depend on the image, and there is none to take them from.
    """
    partitions = model.parents.variables.partitions
    if not any(part.params(len(model.grid.size)) for part in partitions.values()):
        blank = torch.zeros(count, 0, device=model.device)
        return model.parents.weights(blank, model.grid.size).expand(count, -1, *model.grid.size)
    if like is None:
        raise InputError("the regions depend on the image: pass like=images, whose regions the new ones take")
    x = model.grid.scale(model.grid.check(like).to(model.device))
    frames = model.parents.factual(x, x.new_ones(len(x))).frames
    return model.parents.weights(frames[torch.arange(count) % len(frames)], model.grid.size)


def write_population(people: Population, out: Path, model: Model, *, suffix: str) -> Path:
    """`out/images/<id>` and `out/table.csv` with every variable; the folder appears only once it is complete."""
    with whole_folder(out) as partial:
        (partial / "images").mkdir()
        ids = [f"sample_{i:06d}" for i in range(len(people.image))]
        for id, image in zip(ids, people.image.cpu().numpy(), strict=True):
            file = partial / "images" / f"{id}{suffix}"
            write_image(file, image[0], None, bits=bits_of(model.grid.intensity.usual, image))
        columns = {name: value.cpu().numpy() for name, value in people.values.items()}
        write_text(partial / "table.csv", csv_text(pl.DataFrame({"id": ids, **columns})))
    return out
