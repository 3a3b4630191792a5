"""Batches by step number: a batch depends on (seed, step) only, so resumed training sees the same images."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from segue import processes
from segue.cohort import Store
from segue.cohort.grid import Grid
from segue.errors import InputError

Batch = dict[str, Tensor]
WINDOW = 4096  # images that are shuffled together


class Batches:
    """An endless, seeded stream of batches of one split, read from the store one step ahead.

    Each epoch is a permutation of the split. A split larger than `WINDOW` is shuffled in two steps, so that each chunk
    of the store is decoded about once: the chunks are put in random order, then the images within each window.

    Args:
        batch_size: of all `world` processes together. Each process takes its rows (`processes.rows`), so a step sees
            the same images on any number of processes.
        grid: scales the images.
        extras: further tensors with one row for each image of the *store* (parents, frames, pixel areas).
        chosen: store indices of the images to use; default: the whole split.

    Raises:
        InputError: there are more processes than images in a batch.
    """

    def __init__(
        self,
        *,
        store: Store,
        split: str,
        batch_size: int,
        seed: int,
        grid: Grid,
        extras: Mapping[str, Tensor] | None = None,
        with_fractions: bool = False,
        chosen: np.ndarray | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size < world:
            raise InputError(
                f"batch_size {batch_size} leaves some of {world} processes without an image: raise it, or use fewer"
            )
        self.store, self.grid, self.seed = store, grid, seed
        self.batch_size, self.rank, self.world = batch_size, rank, world
        self.indices = store.indices(split) if chosen is None else chosen
        self.extras = {"spacing": store.spacing()} | dict(extras or {})
        self.with_fractions = with_fractions
        self.reader = ThreadPoolExecutor(max_workers=1)
        self.ahead: tuple[int, Future[Batch]] | None = None
        self.permutation = lru_cache(maxsize=2)(self.shuffled)  # by epoch

    def at(self, step: int) -> Batch:
        """The batch of `step`; the next batch is then read in the background."""
        ready = self.ahead[1].result() if self.ahead and self.ahead[0] == step else self.load(step)
        self.ahead = (step + 1, self.reader.submit(self.load, step + 1))
        return ready

    def load(self, step: int) -> Batch:
        """Read this process's rows of the batch of `step`."""
        return self.of(self.rows(step))

    def largest(self, step: int, image: Float[Tensor, "batch channel *space"]) -> str:
        """Which of this process's images of the batch of `step` has the largest absolute value, and that value."""
        peaks = image.abs().flatten(1).amax(1)
        worst = int(peaks.argmax())
        return f"{self.store.table['id'][int(self.rows(step)[worst])]} with {float(peaks[worst]):.3g}"

    def rows(self, step: int) -> Int[np.ndarray, " batch"]:
        """Store indices of this process's images of the batch of `step`."""
        mine = processes.rows(self.batch_size, self.rank, self.world)
        first, last = step * self.batch_size + mine.start, step * self.batch_size + mine.stop
        count = len(self.indices)
        epochs = {e: self.permutation(e) for e in range(first // count, (last - 1) // count + 1)}
        return np.array([epochs[i // count][i % count] for i in range(first, last)])

    def of(self, chosen: np.ndarray) -> Batch:
        """The batch of the images with given store indices."""
        unique, inverse = np.unique(chosen, return_inverse=True)
        read = self.store.read(unique, fractions=self.with_fractions)
        batch = {"image": self.grid.scale(read["image"])[inverse]}
        if self.with_fractions:
            batch["fractions"] = read["fractions"][inverse]
        rows = torch.from_numpy(chosen)
        return batch | {name: extra[rows] for name, extra in self.extras.items()}

    def shuffled(self, epoch: int) -> np.ndarray:
        """The split in the order of an epoch."""
        random = np.random.default_rng((self.seed, epoch))
        if len(self.indices) <= WINDOW:
            return random.permutation(self.indices)
        chunks = np.split(self.indices, np.flatnonzero(np.diff(self.indices // self.store.chunk)) + 1)
        order = np.concatenate([chunks[i] for i in random.permutation(len(chunks))])
        windows = np.split(order, range(WINDOW, len(order), WINDOW))
        return np.concatenate([random.permutation(window) for window in windows])
