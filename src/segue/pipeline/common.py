"""What the stages share: the store, what was measured, batches, and the end of every training."""

import dataclasses
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from segue import processes
from segue.causal.parents import Parents
from segue.cohort import Store
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity, asked_intensity, make_intensity
from segue.cohort.marks import Marks
from segue.disk import in_bytes
from segue.hardware import usable_device
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained, save_network
from segue.progress import track
from segue.study.derived import consulted, variables
from segue.study.networks import Augment, Budget
from segue.study.schema import Study
from segue.tensor_file import read_tensors
from segue.training.batches import Batches
from segue.training.memory import machine_bytes, training_bytes
from segue.training.objectives import Augmentation
from segue.training.state import TrainingSettings

Result = dict[str, Any]
TOGETHER, PIXELS_TOGETHER = 64, 1 << 20
"""Images of a batch at most, and the pixels of all of them: memory does not grow with the size of a volume."""


def open_store(study: Study) -> Store:
    return Store(study.directory / "prepare" / "cohort.zarr")


def load_measured(study: Study) -> dict[str, Tensor]:
    """What `measure_cohort` saved."""
    return read_tensors(study.directory / "measure" / "measured.safetensors")


def per_image(measured: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: measured[name] for name in ("parents", "frames", "pixel_area")}


def grid_of(study: Study, store: Store) -> Grid:
    """The grid of a store's images, with the intensity of the study."""
    areas, spacing = store.pixel_area(), store.spacing()
    return Grid(
        size=store.size,
        channels=store.channels,
        intensity=intensity_of(study),
        unit=store.unit,
        pixel_area=float(areas[0]) if torch.allclose(areas, areas[0]) else None,
        spacing=tuple(spacing[0].tolist()) if torch.allclose(spacing, spacing[0]) else None,
        axes=store.axes,
        marks=None if study.cohort.marks is None else Marks(study.cohort.marks),
    )


def intensity_of(study: Study) -> Intensity:
    """The study's intensity, with what was found for it in its own training images."""
    given = study.cohort.intensity
    stated = asked_intensity(given)
    return make_intensity(given, None if stated.usual or stated.rule is None else open_store(study).intensity)


def covariate_values(store: Store, names: Sequence[str]) -> Float[Tensor, "image covariate"]:
    """The covariates of every image of a store."""
    columns = [torch.from_numpy(store.table[name].to_numpy().astype(np.float32)) for name in names]
    return torch.stack(columns, dim=1) if columns else torch.zeros(len(store), 0)


def spaced(rows: Int[np.ndarray, " image"], most: int) -> Int[np.ndarray, " chosen"]:
    """At most so many of the rows, evenly spaced.

    >>> spaced(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def ensemble_folders(study: Study) -> dict[str, Path]:
    """Where the further segmentors of the study are, by name."""
    return {name: study.directory / "panel" / name for name in consulted(study)}


def load_parents(study: Study) -> Parents:
    """The guide's segmentor, ready to measure, standardise and paint."""
    guide = load_pretrained(Segmentor, study.directory / "segmentor")
    parents = Parents(segmentor=guide, variables=variables(study), covariates=study.cohort.covariates)
    measured = load_measured(study)
    parents.mean.copy_(measured["mean"])
    parents.sd.copy_(measured["sd"])
    return parents


def device() -> torch.device:
    return usable_device(None)


def augmentation(study: Study, settings: Augment) -> Augmentation:
    """Random changes to training images, which are scaled as the study's are."""
    asked = asked_intensity(study.cohort.intensity)
    rule = asked.rule if asked.per == "image" else None
    return Augmentation(rule=rule, **dataclasses.asdict(settings))


def stream(study: Study, store: Store, split: str, budget: Budget, **more: Any) -> Batches:
    return Batches(
        store=store,
        split=split,
        batch_size=budget.batch_size,
        seed=budget.seed,
        grid=grid_of(study, store),
        rank=processes.rank(),
        world=processes.world(),
        **more,
    )


@torch.inference_mode()
def in_order(
    study: Study,
    store: Store,
    indices: Sequence[int] | np.ndarray,
    *,
    title: str,
    extras: dict[str, Tensor] | None = None,
    fractions: bool = False,
) -> Iterator[dict[str, Tensor]]:
    """Batches of given images, each once, on the device: `TOGETHER` at most, fewer of large volumes."""
    chosen = torch.as_tensor(np.asarray(indices))
    extras = extras or {"pixel_area": store.pixel_area().float()}
    batches = Batches(
        store=store,
        split="test",
        batch_size=TOGETHER,
        seed=0,
        grid=grid_of(study, store),
        extras=extras,
        with_fractions=fractions,
    )
    parts = chosen.split(max(1, min(TOGETHER, PIXELS_TOGETHER // math.prod(store.size))))
    for part in track(parts, total=len(parts), title=title):
        yield {name: value.to(device()) for name, value in batches.of(part.numpy()).items()}


class Measured(NamedTuple):
    """Images as the guide measures them; `missing` as in `Variables.missing`."""

    areas: Float[Tensor, "image measured"]
    frames: Float[Tensor, "image params"]
    missing: Bool[Tensor, "image structure"]

    def fallbacks(self, parents: Parents, dims: int) -> dict[str, int]:
        """By structure whose regions are read off each image: images where they are the partition's fall-back."""
        counts = dict(zip(parents.variables.partitions, self.missing.sum(0).tolist(), strict=True))
        return {name: n for name, n in counts.items() if parents.variables.partitions[name].params(dims)}


def measured_images(
    study: Study, store: Store, parents: Parents, indices: Sequence[int] | np.ndarray
) -> Measured:
    """Areas and frames of given images, on the device that `parents` is on."""
    rows = []
    for batch in in_order(study, store, indices, title="measure"):
        soft = parents.segmentor.soft(batch["image"])
        read = parents.read(soft, batch["image"], batch["pixel_area"], batch["spacing"])
        rows.append((*read, parents.variables.missing(soft)))
    return Measured(*(torch.cat(part) for part in zip(*rows, strict=True)))


def trained(
    study: Study,
    networks: Mapping[str, nn.Module],
    objective: nn.Module,
    batches: Batches,
    directory: Path,
    budget: Budget,
    *,
    title: str,
    held_out: Callable[[], float] | None = None,
    **more: Any,
) -> Result:
    """Fit on all processes, save the averaged weights on the main one, and say how it went.

    Args:
        networks: what is saved, by folder below `directory`; "" is that itself.
    """
    from segue.training.loop import fit  # which needs the extra `train`

    began = time.perf_counter()
    if len(batches.store.size) == 2:
        objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # guides too
    settings = TrainingSettings(
        steps=budget.steps,
        lr=budget.lr,
        seed=budget.seed,
        precision=study.precision,
        gradient_checkpointing=study.gradient_checkpointing,
        **more,
    )
    if processes.world() == 1:
        print(f"{title}: {memory_line(objective, batches, settings)}", file=sys.stderr)
    fitted = fit(objective, batches, settings, directory=directory, title=title, validation_loss=held_out)
    for folder, net in networks.items():
        net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        processes.alone(lambda net=net, folder=folder: save_network(net, directory / folder))  # type: ignore[misc]
    seconds = max(fitted.seconds, time.perf_counter() - began)
    return dataclasses.asdict(fitted) | {"seconds": seconds, "processes": processes.world()}


def memory_line(objective: nn.Module, batches: Batches, settings: TrainingSettings) -> str:
    """How much memory a training takes, and how much there is."""
    where = device()
    objective.to(where)
    batch = {name: one.to(where) for name, one in batches.at(0).items()}
    saves = settings.gradient_checkpointing
    needs = training_bytes(objective, batch, batches.batch_size, settings.precision, gradient_checkpointing=saves)
    has = machine_bytes(where)
    if has is None:
        return f"needs about {in_bytes(needs)} of memory"
    mends = "lower batch_size, or cohort.size" if saves else "give gradient_checkpointing: true, or lower batch_size"
    short = f": {mends}" if needs > has else ""
    return f"needs about {in_bytes(needs)} of memory; this machine has {in_bytes(has)}{short}"


def commit() -> str | None:
    """The revision of the code, where it runs from a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def command() -> str:
    """The command line, for the record, quoted for a shell.

    Of absolute paths it has the last part only: where data lie is not for publication.
    """
    return shlex.join(["segue", *(Path(part).name if Path(part).is_absolute() else part for part in sys.argv[1:])])
