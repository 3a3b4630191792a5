"""What is explored: a trained model's methods, its judge where it has one, and images to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.placement import scaled_axes
from segue.engine.answer import Abducted, abduct_images, inputs_of
from segue.engine.model import Model
from segue.errors import InputError
from segue.explorer.quick import Quick
from segue.generation.source import FolderImages, Source, StoreImages, open_source
from segue.hardware import channels_last, usable_device
from segue.hub.folder import read_settings
from segue.hub.load import load
from segue.hub.locate import EXPORTED, locate
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.quoting import in_comment, in_python

KEPT = 64  # abductions that are kept, of whatever user; each is a few times as large as its image


@dataclass(frozen=True)
class Chosen:
    """An image that somebody chose.

    Attributes:
        code: the line of Python that reads it (it binds `image`). imports: those of the line.
        index: in the cohort; None of an upload.
        key: of this choice. A request that was made for an earlier choice has another one.
    """

    case: Case
    code: str
    imports: tuple[str, ...] = ()
    index: int | None = None
    key: str = field(default_factory=lambda: token_hex(6))


class Explored:
    """A model, ready to be asked by several users; it keeps nothing of theirs but the latest abductions, by content.

    Attributes:
        models: by method, all of one study. judge: None for an exported model.
        source: images to choose from; None where there are none.
        opened: what `segue.load` was given.
    """

    def __init__(
        self, *, name: str, opened: str, models: dict[str, Model], judge: Segmentor | None, source: Source | None
    ) -> None:
        self.name, self.opened, self.models, self.source = name, opened, models, source
        self.first = next(iter(models.values()))
        self.judge = None if judge is None else channels_last(judge, len(self.first.grid.size))
        self.quick = Quick(models.values(), self.judge)
        self._known = lru_cache(maxsize=KEPT)(self._infer)
        self._judged = lru_cache(maxsize=KEPT)(self._judge)

    @property
    def covariates(self) -> tuple[str, ...]:
        return self.first.space.covariates

    def known(self, method: str, case: Case) -> Abducted:
        """What a method infers of an image, from the last time if there was one."""
        return self._known(method, case.image.tobytes(), case.spacing, tuple(sorted(case.covariates.items())))

    @torch.inference_mode()
    def _infer(
        self, method: str, image: bytes, spacing: tuple[float, ...] | None, covariates: tuple[tuple[str, float], ...]
    ) -> Abducted:
        model = self.models[method]
        array = np.frombuffer(image, np.float32).reshape(model.grid.shape).copy()
        case = Case("", array, spacing, scaled_axes(spacing), dict(covariates))
        return abduct_images(model, inputs_of(model, [case]))

    def judged(self, known: Abducted, images: Tensor) -> Float[Tensor, "batch measured"] | None:
        """What the judge measures on images of one case, in its fixed regions; None without a judge."""
        return None if self.judge is None else self._areas(known, self.judge.soft(images), images)

    def judged_factual(self, known: Abducted, case: Case) -> Float[Tensor, "1 measured"] | None:
        """The same on the case's own image, which the judge sees once, whatever is asked of it later."""
        return None if self.judge is None else self._areas(known, self._judged(case.image.tobytes()), known.facts.image)

    @torch.inference_mode()
    def _judge(self, image: bytes) -> Float[Tensor, "1 structure *space"]:
        assert self.judge is not None
        model = self.first
        raw = torch.frombuffer(bytearray(image), dtype=torch.float32).reshape(1, *model.grid.shape)
        return self.judge.soft(model.grid.scale(raw.to(model.device)))

    def _areas(
        self, known: Abducted, soft: Float[Tensor, "batch structure *space"], images: Tensor
    ) -> Float[Tensor, "batch measured"]:
        facts = known.facts.rows(torch.zeros(len(soft), dtype=torch.long, device=soft.device))
        return self.first.parents.measure(soft, images, facts)

    def forget(self) -> None:
        """Drop what was inferred of images, whoever asked for it."""
        self._known.cache_clear()
        self._judged.cache_clear()

    def choose(self, index: int) -> Chosen:
        """An image of the cohort.

        Raises:
            InputError: there is none, or the cohort's file of it is missing or damaged.
        """
        if self.source is None or not 0 <= index < len(self.source.ids):
            raise InputError("there is no such image in the cohort; choose another")
        return Chosen(self.source.read(index), *reading(self.source, index, self.opened), index=index)


def explored(path: str, *, methods: Sequence[str] = (), cohort: Path | None = None) -> Explored:
    """Open a run, an exported folder or a shipped model.

    Args:
        methods: keys of metrics.json; by default all that are trained, the model's own first.
        cohort: a store or a folder of images; by default the run's test images, or the export's examples.

    Raises:
        InputError: no such model, method or cohort, or they do not fit.
    """
    folder = locate(path)
    names = trained_methods(folder, methods)
    models = open_models(path, folder, names)
    first = models[names[0]]
    judge_folder = folder / "judge"
    judge = None
    if (judge_folder / "done.json").is_file():
        judge = load_pretrained(Segmentor, judge_folder).eval().requires_grad_(False).to(first.device)
    source: Source | None = None
    if cohort is not None:
        source = open_source(cohort, first)
    elif (store := folder / "prepare" / "cohort.zarr").is_dir():
        source = open_source(store, first, split="test")
    elif has_examples(first):
        source = Examples(first)
    return Explored(name=folder.resolve().name, opened=path, models=models, judge=judge, source=source)


def open_models(path: str, folder: Path, names: Sequence[str]) -> dict[str, Model]:
    """The methods of a run, sharing guide, ensemble and causal model; or the one of an exported folder."""
    if (folder / EXPORTED).is_file():
        return {name: load(path, method=name) for name in names}
    from segue.hub.runs import load_methods, open_run

    return load_methods(open_run(folder, names[0]).study, names, usable_device(None))


def trained_methods(folder: Path, wanted: Sequence[str]) -> list[str]:
    """What is wanted, or all that there is, the one that `segue.load` would choose first."""
    if (folder / EXPORTED).is_file():
        own = str(read_settings(folder)["method"])
        if unknown := [name for name in wanted if name != own]:
            raise InputError(f"{folder}: {unknown[0]} is not in it; this exported model is {own}")
        return [own]
    from segue.hub.runs import open_run
    from segue.pipeline.recipes import recipes

    for name in wanted:
        open_run(folder, name)  # refuses what is not trained
    study, first, _ = open_run(folder, None)
    trained = [name for name, method in recipes(study).items() if method.trained]
    return list(dict.fromkeys(wanted)) or [first, *(name for name in trained if name != first)]


def has_examples(model: Model) -> bool:
    try:
        return len(model.examples()) > 0
    except InputError:
        return False


class Examples:
    """The images that an exported model carries.

    Covariates are the training medians, since none are with them. Nor is the spacing, of which the model knows the area
    of a pixel: pixels are taken to be square.
    """

    def __init__(self, model: Model) -> None:
        self.images = model.examples().cpu().numpy()
        self.ids = [f"example {i + 1}" for i in range(len(self.images))]
        self.spacing = square_pixels(model.grid)
        names = model.space.covariates
        medians = model.space.marginal.quantile(0.5, dim=0)[model.space.measured :]
        self.covariates = dict(zip(names, medians.tolist(), strict=True))

    def read(self, index: int) -> Case:
        return Case(self.ids[index], self.images[index], self.spacing, scaled_axes(self.spacing), self.covariates)

    def identity(self) -> Any:
        return self.ids


def square_pixels(grid: Grid) -> tuple[float, ...] | None:
    """The spacing of a grid of square pixels, from their area; None where that is not known in mm.

    >>> square_pixels(Grid((4, 8), unit="mm2", pixel_area=0.0625))
    (0.25, 0.25)
    >>> square_pixels(Grid((4, 8))) is None
    True
    """
    if grid.unit == "px" or grid.pixel_area is None:
        return None
    return (grid.pixel_area ** (1 / len(grid.size)),) * len(grid.size)


def reading(source: Source, index: int, model: str) -> tuple[str, tuple[str, ...]]:
    """Python that reads an image of a cohort, and what it imports.

    Args:
        model: the model's folder or name, as `segue.load` was given it.
    """
    if isinstance(source, StoreImages):
        row, path, id = int(source.rows[index]), portable(source.path, Path(model)), source.ids[index]
        code = f'image = Store(Path({in_python(path)})).read(np.array([{row}]))["image"]  # {in_comment(id)}'
        return code, ("from pathlib import Path\n\nimport numpy as np", "from segue.cohort import Store")
    if isinstance(source, FolderImages):
        path = portable(source.files[source.ids[index]], source.path.parent)
        return f"image, _ = model.read({in_python(path)})", ()
    return f"image = model.examples()[{index} : {index + 1}]", ()


def portable(path: Path, folder: Path) -> str:
    """A path for people elsewhere: a relative one as it is, of an absolute one what follows on the place of `folder`.

    >>> portable(Path("runs/demo"), Path("runs/demo")), portable(Path("/home/ada/x.png"), Path("runs/demo"))
    ('runs/demo', 'x.png')
    >>> portable(Path("/home/ada/demo/prepare/cohort.zarr"), Path("/home/ada/demo"))
    'demo/prepare/cohort.zarr'
    """
    if not path.is_absolute():
        return str(path)
    return str(path.relative_to(folder.parent)) if path.is_relative_to(folder) else path.name
