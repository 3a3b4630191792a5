"""The stages of a study: what each is made from, and what it needs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from segue.cohort.io import stamp
from segue.mechanisms import MECHANISMS
from segue.nets.weights import NETWORK
from segue.pipeline.common import Result
from segue.pipeline.image import finetune, pretrain
from segue.pipeline.inputs import fit_input_checks
from segue.pipeline.judging import evaluate, report_study
from segue.pipeline.predictors import measure_cohort, train_regressor, train_segmentor
from segue.pipeline.prepare import folder_settings, prepare, stamps_of
from segue.pipeline.recipes import recipes
from segue.pipeline.scm import fit_graph
from segue.study.derived import answering, asked, consulted, fingerprint, further
from segue.study.networks import SegmentorSettings
from segue.study.schema import Study
from segue.training.guides import GUIDES

__all__ = ["Stage", "fingerprint", "stages"]

Work = Callable[[Study, Path], Result]


@dataclass(frozen=True)
class Stage:
    """One piece of work: its `settings` and the fingerprints of what it `needs` decide whether it is done.

    Where several processes do a study, all of them do what `trains`, and the main one does the rest.
    """

    name: str
    needs: tuple[str, ...]
    settings: Any
    work: Work
    trains: bool = False


def stages(study: Study) -> dict[str, Stage]:
    """Every stage of a study, in an order in which they can run."""
    training, maps = {"precision": study.precision}, maps_of(study.partitions)
    measures = [study.measures] if study.measures else []  # fingerprints of runs that measure areas stay as they were
    listed = [
        Stage("prepare", (), [asked(study.cohort), source(study)], prepare),
        segmentor_stage("segmentor", study.segmentor, training),
        segmentor_stage("judge", study.judge, training, split="judge"),
        *(segmentor_stage(f"panel/{name}", one, training) for name, one in consulted(study).items()),
        Stage("measure", ("segmentor",), [asked(study.partitions), study.variables, maps, *measures], measure_cohort),
    ]
    if study.graph:  # before the long stages: a wrong graph is seen early
        listed.append(Stage("scm", ("measure",), [asked(study.graph), asked(study.scm)], fit_graph))
    listed += image_stages(study, training)
    judged = tuple(stage.name for stage in listed if stage.name not in ("prepare", "scm"))  # the graph is not judged
    models = tuple(name for name in judged if name not in ("segmentor", "judge", "regressor"))
    listed.append(Stage("inputs", models, list(recipes(study)), fit_input_checks))
    listed.append(Stage("evaluate", judged, evaluation_settings(study), evaluate))
    shown = ("evaluate", *(["scm"] if study.graph else []))
    listed.append(Stage("report", shown, study.notes, report_study))
    return {stage.name: stage for stage in listed}


def segmentor_stage(name: str, settings: SegmentorSettings, training: Any, **more: Any) -> Stage:
    """The stage that trains a segmentor."""
    work = partial(train_segmentor, settings, title=name, **more)
    return Stage(name, ("prepare",), [asked(settings), training], work, True)


def image_stages(study: Study, training: Any) -> Iterator[Stage]:
    """The regressor if a guide needs it, each pre-training, and each fine-tuning."""
    found = [recipe for recipe in recipes(study).values() if recipe.tuned]
    tuned = {recipe.directory: (recipe, recipe.tuning.trained) for recipe in found if recipe.tuning}
    if any("regressor" in GUIDES[variant.guide].needs for _, variant in tuned.values()):
        yield Stage("regressor", ("measure",), [asked(study.regressor), training], train_regressor, True)
    for conditioning in study.hvae.conditioning:
        work = pretrain(study.mechanism, conditioning)
        yield Stage(f"pretrain/{conditioning}", ("measure",), [shape_of(study, study.mechanism), training], work, True)
    for kind in further(study):
        yield Stage(f"pretrain/{kind}", ("measure",), [shape_of(study, kind), training], pretrain(kind, "map"), True)
    common = {key: value for key, value in asked(study.finetune).items() if key not in ("guides", "variants")}
    for directory, (recipe, variant) in sorted(tuned.items(), key=lambda item: bool(item[1][1].start)):  # stable
        begun = [f"finetune/{recipe.start.name}"] if variant.start else []
        needs = (f"pretrain/{recipe.before.name}", *networks_of(study, variant.guide), *begun)
        settings = [common, asked(variant), training, *([asked(study.deformation)] if variant.moves else [])]
        settings += [one for one in [answering(study, recipe.kind)] if one]
        yield Stage(f"finetune/{directory.name}", needs, settings, finetune(recipe), True)


def networks_of(study: Study, guide: str) -> list[str]:
    """The stages of the further networks that a guide uses."""
    members = {"panel": [f"panel/{name}" for name in consulted(study)]}
    return [stage for need in GUIDES[guide].needs for stage in members.get(need, [need])]


def shape_of(study: Study, kind: str) -> dict[str, Any]:
    """What the pre-training of a mechanism depends on."""
    section = getattr(study, kind)
    apart = {"conditioning", "start", *MECHANISMS[kind].answering}
    shape = {key: value for key, value in asked(section).items() if key not in apart}
    if (start := getattr(section, "start", None)) is not None:
        shape["start"] = stamp(start / NETWORK)
    return shape


def evaluation_settings(study: Study) -> list[Any]:
    """What an evaluation depends on, beside the stages that it needs."""
    made = recipes(study)
    tuned = [(name, one.tuning) for name, one in made.items() if one.tuning]
    refined = [{name: asked(tuning)} for name, tuning in tuned if tuning != tuning.trained]
    baselines = [{"baselines": study.baselines}] if study.baselines else []
    answers = [{kind: how} for kind in (study.mechanism, *further(study)) if (how := answering(study, kind))]
    judged = [study.name, asked(study.evaluate), list(made), *maps_of(study.evaluate.partitions)]
    return [*judged, *baselines, *refined, *answers]


def source(study: Study) -> Any:
    """What identifies a folder's content without reading it: names, sizes and times of its files."""
    cohort = study.cohort
    return None if cohort.folder is None else stamps_of(cohort.folder, folder_settings(cohort))


def maps_of(partitions: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """What identifies the files that partitions are drawn in."""
    return [stamp(path) for part in partitions.values() for path in part.values() if isinstance(path, Path)]
