"""An automatic stand-in for a reader: the classifier of local realism, through the same analysis. It is no human.

It sees the same 256 grey levels, but only the crop around the structure that was asked about; of a real image, around
the structure of its match. It learns from answers to other subjects, which are not in the kit's first part and which no
method was trained with.
"""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from segue.engine.method import Questions
from segue.errors import InputError
from segue.evaluation.asked import Asked, in_turn, turn
from segue.evaluation.crop_classifier import fitted
from segue.evaluation.crops import Site, crops_of
from segue.pipeline.asking import Examination
from segue.pipeline.common import spaced
from segue.readers.answers import SCALE, SCALE_LEVELS
from segue.readers.draw import DrawnKit, KitSource, in_batches, put_to
from segue.readers.key import KitKey

UNSEEN_SPLITS = ("judge", "validation", "test")
"""Splits that no method was trained with."""
FEWEST, MOST = 20, 200  # images to learn from


def stand_in_answers(source: KitSource, drawn: DrawnKit, key: KitKey, seed: int) -> dict[int, int]:
    """By case, its level on the scale of the first part.

    Raises:
        InputError: there are too few further subjects to learn from.
    """
    crops, label = examples(source, {one["subject"] for one in key.cases}, seed)
    cases = case_crops(source, drawn)
    mean, sd = crops.mean(), crops.std().clamp_min(1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = fitted((crops - mean) / sd, label)
    with torch.no_grad():
        logits = network((cases - mean) / sd).double().numpy()
    return dict(enumerate(logit_levels(logits).tolist()))


def logit_levels(logits: np.ndarray) -> np.ndarray:
    """Edited where the logit is above 0; the confidence is the fifth of all |logits| in which it lies.

    >>> logit_levels(np.array([-9.0, -0.1, 0.2, 3.0, 8.0])).tolist()
    [0, 4, 6, 7, 8]
    """
    rank = np.abs(logits).argsort(kind="stable").argsort(kind="stable")
    confidence = 1 + rank * len(SCALE) // len(logits)
    return np.where(logits > 0, SCALE_LEVELS // 2 - 1 + confidence, SCALE_LEVELS // 2 - confidence)


def as_seen(image: Tensor) -> Tensor:
    """A scaled image in the 256 grey levels of the pages."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


@torch.inference_mode()
def case_crops(source: KitSource, drawn: DrawnKit) -> Tensor:
    """The crop of each case around its variable's structure (case, channel, *crop)."""
    found = []
    for part in in_batches(source, len(drawn.cases)):
        cases = [drawn.cases[i] for i in part.tolist()]
        asked = source.asked.chosen(np.array([one.row for one in cases]), title="readers: stand-in")
        found.append(crops_at(source, asked, drawn.images[part], [one.variable for one in cases]))
    return torch.cat(found)


def crops_at(source: KitSource, asked: Asked, image: Tensor, variables: Sequence[int]) -> Tensor:
    """Crops of a batch of images as they are seen, each around the structure of one variable; on the CPU."""
    sites: list[Site] = list(zip(asked.places.tolist(), variables, strict=True))
    images = [as_seen(image).to(asked.facts.image)] * asked.facts.measured
    found = crops_of(asked, images, source.asked.parents, source.judge, set(sites))
    return torch.stack([found[site] for site in sites]).cpu()


@torch.inference_mode()
def examples(source: KitSource, shown: Collection[str], seed: int) -> tuple[Tensor, Tensor]:
    """Crops of other subjects to learn from, and which of them are edited; as many of each kind.

    Args:
        shown: subjects of the kit's first part.
    """
    study, store, parents = source.asked.study, source.asked.store, source.asked.parents
    places = [i for split in UNSEEN_SPLITS for i in store.indices(split) if store.table["subject"][int(i)] not in shown]
    if len(places) < FEWEST:
        raise InputError(f"--stand-in: {len(places)} images of other subjects to learn from; give fewer --cases")
    asked = Examination(study, store, parents, spaced(np.array(places), MOST))
    real, edited = [], []
    for batch in asked(title="readers: stand-in"):
        variables = turn(batch).tolist()
        for method in source.methods.values():
            put = put_to(source, batch, method)
            (image,) = method.answer(Questions(put.ids, put.facts, [in_turn(put)]))
            real.append(crops_at(source, batch, batch.facts.image, variables))
            edited.append(crops_at(source, batch, image, variables))
    label = torch.tensor([0.0, 1.0]).repeat_interleave(len(torch.cat(real)))
    return torch.cat([*real, *edited]), label
