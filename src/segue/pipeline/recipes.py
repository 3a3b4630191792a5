"""The methods of a study: how each is made, and its mechanism once it is trained."""

from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from segue.causal.parents import Conditioning, Parents
from segue.cohort.grid import Grid
from segue.errors import InputError
from segue.hardware import channels_last
from segue.mechanisms import MECHANISMS
from segue.mechanisms.deformation import VELOCITY, Deformation, build_velocity
from segue.mechanisms.refined import Refined, refined
from segue.nets.segmentor import Segmentor
from segue.nets.velocity import VelocityNet
from segue.nets.weights import NETWORK, arguments_of, load_pretrained, restored
from segue.pipeline.common import device, ensemble_folders, grid_of, load_parents, open_store
from segue.study.derived import answering, further
from segue.study.schema import Study, Variant
from segue.training.guides import GUIDES

NO_CFT = "no_cft"


class Recipe(NamedTuple):
    """How a method is made: a pre-trained mechanism, and its fine-tuning, if any.

    Attributes:
        kind: of the mechanism.
        directory: of its weights. before: of the pre-trained weights that it rests on. start: of the weights that its
            fine-tuning begins with. ensemble: of the weights of each further segmentor that measures its answers
            together with the guide.
    """

    kind: str
    conditioning: Conditioning
    tuning: Variant | None
    directory: Path
    before: Path
    start: Path
    ensemble: tuple[Path, ...] = ()

    @property
    def tuned(self) -> bool:
        """Whether it has weights of its own, beside the pre-trained ones."""
        return self.directory != self.before

    @property
    def trained(self) -> bool:
        """Whether its weights and those of its ensemble are there."""
        return all((folder / "done.json").exists() for folder in (self.directory, *self.ensemble))


def recipes(study: Study) -> dict[str, Recipe]:
    """Every method of a study by its key in metrics.json; parents that enter as maps are the default and go unsaid."""
    tuning, root = study.finetune, study.directory
    further = tuple(ensemble_folders(study).values())
    tunings = dict(papers_method(guide) for guide in tuning.guides) | tuning.variants
    found: dict[str, Recipe] = {}
    for conditioning in study.hvae.conditioning:
        directories: dict[Variant, Path] = {}
        for stem, variant in tunings.items():
            name, other = of_conditioning(stem, conditioning), variant.mechanism if variant else ""
            if other and conditioning != study.hvae.conditioning[0]:
                continue  # the parents of another mechanism enter in one way
            before = root / "pretrain" / (other or conditioning)
            directory = before
            if variant and variant.guide != "none":
                directory = directories.setdefault(variant.trained, root / "finetune" / name)
            ensemble = further if variant and variant.panel else ()
            how: Conditioning = "map" if other else conditioning
            found[name] = Recipe(other or study.mechanism, how, variant, directory, before, before, ensemble)
    for name, recipe in found.items():
        if recipe.tuning and recipe.tuning.start:
            first = found[of_conditioning(recipe.tuning.start, recipe.conditioning)]
            found[name] = recipe._replace(start=first.directory)
    return found


def of_conditioning(stem: str, conditioning: Conditioning) -> str:
    """The name of a method whose parents enter so."""
    return stem if conditioning == "map" else f"{stem}_{conditioning}"


def papers_method(guide: str) -> tuple[str, Variant | None]:
    """The papers' method with a guide: its name, and its fine-tuning."""
    return (NO_CFT, None) if guide == "none" else (GUIDES[guide].method, Variant(guide))


class Workshop:
    """Loads the mechanisms of a study; what methods share (guide, ensemble) is loaded once."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def parents(self) -> Parents:
        """The guide's segmentor, ready to measure."""
        return load_parents(self.study)

    @cached_property
    def grid(self) -> Grid:
        """Of the study's images."""
        return grid_of(self.study, open_store(self.study))

    @cached_property
    def ensemble(self) -> list[Segmentor]:
        """The study's further segmentors."""
        return [load_pretrained(Segmentor, folder) for folder in ensemble_folders(self.study).values()]

    def mechanism(self, recipe: Recipe, directory: Path | None = None) -> Refined:
        """A method's mechanism; with `directory`, of the weights there."""
        variant, folder = recipe.tuning or Variant(), directory or recipe.directory
        inner = self.plain(recipe.conditioning, folder, recipe.kind)
        if variant.moves:
            inner = self.moving(inner, variant, folder)
        made = refined(inner, ensemble=self.ensemble if recipe.ensemble else [], **refinements(variant))
        return channels_last(made, len(self.study.cohort.size))

    def moving(self, painter: Any, variant: Variant, directory: Path) -> Deformation:
        """A mechanism that moves around one that paints; its velocity untrained where `directory` has none."""
        settings = self.study.deformation
        if (directory / VELOCITY / NETWORK).is_file():
            velocity = load_pretrained(VelocityNet, directory / VELOCITY)
        else:
            torch.manual_seed(self.study.finetune.budget.seed)
            velocity = build_velocity(settings, self.parents, self.grid)
        how = {"squarings": settings.squarings, "carried": settings.carried, "moves_only": variant.moves_only}
        return Deformation(painter, velocity, **how)  # type: ignore[arg-type]

    def pretrained(self, kind: str = "") -> Any:
        """The pre-trained mechanism of a kind, for answers alone; of the study's own kind unless said.

        Raises:
            InputError: the study trains none of this kind.
        """
        study = self.study
        conditioning = study.hvae.conditioning[0]
        folder: str = conditioning
        if kind and kind != study.mechanism:
            if kind not in further(study):
                raise InputError(f"{study.name}: trains no {kind} model, and a method needs one; give a section {kind}")
            conditioning, folder = "map", kind
        made = self.plain(conditioning, study.directory / "pretrain" / folder, kind)
        return made.to(device()).eval().requires_grad_(False)

    def plain(self, conditioning: Conditioning, directory: Path, kind: str = "") -> Any:
        """The mechanism around the network saved in `directory`, not refined; of the study's own kind unless said."""
        kind = kind or self.study.mechanism
        if not (directory / NETWORK).is_file():
            raise InputError(f"{directory}: no trained network there; run its stage of the study first")
        arguments = image_arguments(self.study, kind, directory)
        build = partial(MECHANISMS[kind].restore, parents=self.parents, conditioning=conditioning)
        return restored(build, arguments, directory, net_of=lambda made: made.model)


def image_arguments(study: Study, kind: str, directory: Path) -> dict[str, Any]:
    """What a mechanism's network is made with: as it was trained, but answering as the study says now."""
    return arguments_of(directory) | answering(study, kind)


def refinements(variant: Variant) -> dict[str, Any]:
    """What is done to a method's answers, as `Refined` takes it."""
    return {
        "shrinkage": 2 * variant.shrinkage,  # the networks see a range of 2
        "blur": variant.blur,
        "floor": variant.floor,
        "corrections": variant.corrections,
    }
