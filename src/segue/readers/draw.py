"""The cases of a reader study, drawn from the test images of a finished run, and what its methods answer."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segue.causal.parents import SoftMasks
from segue.cohort import Store
from segue.engine.method import Method, Questions
from segue.errors import InputError, nearest
from segue.evaluation.asked import Asked
from segue.nets.segmentor import Segmentor
from segue.nets.weights import load_pretrained
from segue.pipeline.asking import Examination
from segue.pipeline.common import PIXELS_TOGETHER, TOGETHER, device, open_store
from segue.pipeline.judging import check_trained, judged_split, judging_parents
from segue.pipeline.pictures import COMPARED
from segue.pipeline.recipes import NO_CFT, Workshop
from segue.pipeline.scoring import candidates, in_own_regions
from segue.readers.design import Match, Trial, draw_matches, draw_trials, slots
from segue.readers.key import REAL
from segue.readers.pictures import GreyPicture, grey_picture
from segue.study.schema import Study


@dataclass(frozen=True)
class KitPlan:
    """What is asked for.

    Attributes:
        readers: how many. cases: different images of the first part, in all. repeats: of them, read twice.
        requests: of the second part; each is answered by every method. methods: keys of metrics.json; none: the usual.
        seed: of every draw. stand_in: whether an automatic reader is added. contact: whom readers ask.
    """

    readers: int = 3
    cases: int = 60
    repeats: int = 12
    requests: int = 20
    methods: tuple[str, ...] = ()
    seed: int = 0
    stand_in: bool = False
    contact: str = ""


class KitCase(NamedTuple):
    """An image of the first part: real, or a method's answer.

    Attributes:
        kind: `REAL`, or the method. row: of the image in the examination. variable: that is edited, or that its real
            match has. value: requested, or that of the real image.
    """

    kind: str
    row: int
    variable: int
    value: float


class DrawnKit(NamedTuple):
    """Cases with their images, scaled, and their pictures; and the requests of the second part with theirs."""

    cases: list[KitCase]
    images: Tensor
    pictures: list[GreyPicture]
    trials: list[Trial]
    before: list[GreyPicture]
    after: list[list[GreyPicture]]


class KitSource(NamedTuple):
    """Where cases are drawn from: the test images, one a subject; the judge, who finds structures; the methods."""

    asked: Examination
    judge: SoftMasks
    methods: dict[str, Method]

    @property
    def values(self) -> np.ndarray:
        """Factual values in sd of each variable (image, variable)."""
        measured = len(self.asked.parents.variables)
        return (self.asked.pa[:, :measured] / self.asked.parents.sd[:measured]).double().cpu().numpy()


def opened_source(study: Study, plan: KitPlan) -> KitSource:
    """The test images, the judge and the methods of a finished run.

    Raises:
        InputError: it is not finished, or has no such method.
    """
    check_trained(study)
    if not (study.directory / "evaluate" / "done.json").is_file():
        raise InputError(f"{study.directory}: is not evaluated; run `segue run` on the study first")
    found = candidates(study, Workshop(study))
    names = plan.methods or tuple(name for name in COMPARED if name in found and name != NO_CFT) or tuple(found)[-1:]
    for name in names:
        if name not in found:
            raise InputError(f"--methods {name}: the run has no such method{nearest(name, found)}")
    store = open_store(study)
    judge = load_pretrained(Segmentor, study.directory / "judge").eval().requires_grad_(False).to(device())
    places = one_a_subject(store, judged_split(study), np.random.default_rng(plan.seed))
    asked = Examination(study, store, judging_parents(study).to(device()), places)
    return KitSource(asked, judge, {name: found[name].open()[0] for name in names})


def one_a_subject(store: Store, split: str, rng: np.random.Generator) -> np.ndarray:
    """Images of a split in random order, one of each subject."""
    places = rng.permutation(store.indices(split))
    _, first = np.unique([store.table["subject"][int(place)] for place in places], return_index=True)
    return places[np.sort(first)]


def draw_kit(source: KitSource, plan: KitPlan) -> DrawnKit:
    """The cases and requests of a plan, and their pictures.

    Raises:
        InputError: the plan cannot be balanced, or the run has too few test images for it.
    """
    check_plan(plan, len(source.methods), len(source.asked.ids))
    rng, free = np.random.default_rng((plan.seed, 1)), set(range(len(source.asked.ids)))
    measured = len(source.asked.parents.variables)
    groups = plan.cases // (1 + len(source.methods))
    matches = draw_matches(source.values, slots(groups, measured, rng), len(source.methods), free, rng)
    trials = draw_trials(source.values, slots(plan.requests, measured, rng), free, rng)
    cases = [case for match in matches for case in cases_of(match, source)]
    images = case_images(source, cases, plan.seed)
    parts = structure_parts(source, images, [case.row for case in cases], [case.variable for case in cases])
    pictures = [grey_picture(image, part) for image, part in zip(images, parts, strict=True)]
    return DrawnKit(cases, images, pictures, trials, *trial_pictures(source, trials, plan.seed))


def check_plan(plan: KitPlan, methods: int, subjects: int) -> None:
    """Refuse a plan that cannot be balanced, or for which there are too few subjects."""
    kinds = 1 + methods
    if plan.readers < 1 or plan.requests < 0 or plan.repeats < 0:
        raise InputError("readers make: give 1 reader or more, and no negative --repeats or --requests")
    if plan.cases % kinds or plan.cases < 2 * kinds:
        fitting = max(2 * kinds, plan.cases // kinds * kinds)
        raise InputError(f"--cases {plan.cases}: {kinds} kinds of images in equal numbers; give e.g. {fitting}")
    if 2 * plan.repeats > plan.cases:
        raise InputError(f"--repeats {plan.repeats}: more than half of {plan.cases} cases; give fewer")
    if plan.cases + plan.requests > subjects:
        raise InputError(
            f"--cases {plan.cases} and --requests {plan.requests}: each image is of another subject, and the run has "
            f"{subjects} test subjects; give fewer"
        )


def cases_of(match: Match, source: KitSource) -> Iterator[KitCase]:
    """The real case of a match, and one of each method."""
    value = float(source.asked.pa[match.real, match.variable])
    yield KitCase(REAL, match.real, match.variable, value)
    for name, origin in zip(source.methods, match.origins, strict=True):
        yield KitCase(name, origin, match.variable, value)


def case_images(source: KitSource, cases: Sequence[KitCase], seed: int) -> Tensor:
    """The image of each case, scaled (case, channel, *space): real images as the methods get them."""
    images: list[Tensor | None] = [None] * len(cases)
    for kind in (REAL, *source.methods):
        mine = [i for i, case in enumerate(cases) if case.kind == kind]
        rows, variables = [cases[i].row for i in mine], [cases[i].variable for i in mine]
        answered = answers_to(source, kind, rows, variables, [cases[i].value for i in mine], seed)
        for i, image in zip(mine, answered, strict=True):
            images[i] = image
    return torch.stack([image for image in images if image is not None])


def trial_pictures(
    source: KitSource, trials: Sequence[Trial], seed: int
) -> tuple[list[GreyPicture], list[list[GreyPicture]]]:
    """Factual pictures, and of each request the picture of every method's answer; all through the same planes."""
    if not trials:
        return [], []
    rows, variables = [one.origin for one in trials], [one.variable for one in trials]
    values = [float(source.asked.pa[one.donor, one.variable]) for one in trials]
    factual, *answered = (
        answers_to(source, kind, rows, variables, values, seed) for kind in (REAL, *source.methods)
    )
    parts = structure_parts(source, factual, rows, variables)
    series = (factual, *answered)
    before, *after = ([grey_picture(*one) for one in zip(images, parts, strict=True)] for images in series)
    return before, [list(one) for one in zip(*after, strict=True)]


@torch.inference_mode()
def answers_to(
    source: KitSource, kind: str, rows: Sequence[int], variables: Sequence[int], values: Sequence[float], seed: int
) -> Tensor:
    """Factual images, or what a method answers when one variable of each is set to a value; on the CPU."""
    asked, found = source.asked, []
    torch.manual_seed(seed)  # of posterior samples, if any are drawn
    for part in in_batches(source, len(rows)):
        batch = asked.chosen(np.array(rows)[part.numpy()], title=f"readers: {kind}")
        if kind == REAL:
            found.append(batch.facts.image.cpu())
            continue
        each, chosen = torch.arange(len(part)), torch.tensor(variables)[part]
        wanted = batch.facts.pa[:, : batch.facts.measured].clone()
        wanted[each, chosen] = torch.tensor(values, dtype=wanted.dtype)[part].to(wanted.device)
        method = source.methods[kind]
        put = put_to(source, batch._replace(values=wanted), method)
        requested = put.facts.pa.clone()
        requested[each, chosen] = put.values[each, chosen]
        (image,) = method.answer(Questions(put.ids, put.facts, [requested]))
        found.append(image.cpu())
    return torch.cat(found)


def in_batches(source: KitSource, count: int) -> Sequence[Tensor]:
    """Numbers from 0, in batches that memory holds."""
    most = max(1, min(TOGETHER, PIXELS_TOGETHER // math.prod(source.asked.store.size)))
    return torch.arange(count).split(most)


def put_to(source: KitSource, asked: Asked, method: Method) -> Asked:
    """Questions as they are put to a method: in its own regions, if the study is judged in others."""
    return in_own_regions(asked, method) if source.asked.study.evaluate.partitions else asked


@torch.inference_mode()
def structure_parts(source: KitSource, images: Tensor, rows: Sequence[int], variables: Sequence[int]) -> Tensor:
    """Each variable's structure in its region, as the judge sees it in the image (case, *space)."""
    asked, found = source.asked, []
    for part in in_batches(source, len(rows)):
        chosen = torch.tensor(variables)[part]
        weights = asked.parents.weights(asked.frames[np.array(rows)[part.numpy()]], asked.store.size).cpu()
        soft = source.judge.soft(images[part].to(device())).cpu()
        each = torch.arange(len(part))
        found.append(soft[each, asked.parents.structure_of.cpu()[chosen]] * weights[each, chosen])
    return torch.cat(found)
