"""Check a study as a whole, before anything runs: what its types cannot express."""

from collections.abc import Callable, Iterable
from functools import partial

from segue.baselines import ANSWERS_WITH, baseline_kind, baseline_settings
from segue.causal.graph import causal_graph
from segue.cohort.intensity import asked_intensity
from segue.cohort.placement import check_axes
from segue.cohort.split import check_shares, is_listed
from segue.errors import InputError, nearest
from segue.files import check_name
from segue.mechanisms import MECHANISMS
from segue.mechanisms.deformation import check_motion
from segue.nets.diffusion import check_denoiser
from segue.nets.hvae import check_shape
from segue.nets.segmentor import check_groups, check_segmentor
from segue.nets.weights import NETWORK
from segue.phantom import STRUCTURES as PHANTOM_STRUCTURES
from segue.study.derived import as_judged, further, names_of, variables
from segue.study.networks import SegmentorSettings
from segue.study.schema import Cohort, Study
from segue.training.guides import GUIDES


def check_study(study: Study, where: str) -> None:
    """Refuse a study whose parts do not fit one another.

    Args:
        where: what messages call it.

    Raises:
        InputError: saying what does not fit, and the mend.
    """
    check_cohort(study.cohort, where)
    check_names(study, where)
    check_networks(study, where)
    check_variants(study, where)
    check_pretraining(study, where)
    check_judged_regions(study, where)
    check_causes(study, where)


def check_cohort(cohort: Cohort, where: str) -> None:
    """The source of the images, their grid and their splits."""
    if (cohort.folder is None) == (cohort.phantom is None):
        raise InputError(f"{where}: give either cohort.folder or cohort.phantom")
    if cohort.phantom is not None and len(cohort.size) != 2:
        raise InputError(f"{where}: cohort.size is {list(cohort.size)}: the phantom has two axes, give two numbers")
    if cohort.phantom is not None and tuple(cohort.structures) != PHANTOM_STRUCTURES:
        known = ", ".join(PHANTOM_STRUCTURES)
        raise InputError(f"{where}: cohort.structures of the phantom are {known}, in this order")
    if cohort.axes is not None:
        check_axes(cohort.axes, len(cohort.size))
    try:
        asked_intensity(cohort.intensity)
    except InputError as error:
        raise InputError(f"{where}: cohort.intensity: {error}") from None
    check_table(cohort, where)
    if cohort.folds < 0 or cohort.folds == 1 or not 0 <= cohort.fold <= cohort.folds:
        raise InputError(f"{where}: cohort.folds is {cohort.folds}: give 2 or more, or 0: none; fold is from 1")
    check_split(cohort, where)


def check_split(cohort: Cohort, where: str) -> None:
    """Who trains the guide and the image model, who the judge, and on whom they are tried."""
    for split in ("guide", "judge", "test"):
        if not cohort.split.get(split):
            raise InputError(f"{where}: cohort.split gives no subjects to {split!r}")
    try:
        check_shares(cohort.split)
    except InputError as error:
        raise InputError(f"{where}: cohort.{error}") from None
    if cohort.folds and is_listed(cohort.split):
        raise InputError(f"{where}: cohort.folds draws the splits, and cohort.split lists them; leave one of them out")


def check_table(cohort: Cohort, where: str) -> None:
    """What is said of the columns of the table."""
    for name in cohort.codes:
        if name not in cohort.covariates:
            known = cohort.covariates or ("the study has none",)
            raise InputError(f"{where}: cohort.codes: {name} is no covariate{nearest(name, known)}")
    if cohort.missing == "mean" and cohort.codes:
        mend = f"codes of {min(cohort.codes)} have no mean; say drop"
        raise InputError(f"{where}: cohort.missing: mean: {mend}")


def check_names(study: Study, where: str) -> None:
    """Names that refer to others, and names of folders."""
    cohort = study.cohort
    for structure, name in study.variables.items():
        if structure not in cohort.structures:
            raise InputError(f"{where}: variables.{structure} is no structure{nearest(structure, cohort.structures)}")
        if name not in study.partitions:
            raise InputError(f"{where}: variables.{structure}: {name} is no partition{nearest(name, study.partitions)}")
    check_name(study.name, f"{where}: name")
    own: dict[str, Iterable[str]] = {"panel": study.panel, "finetune.variants": study.finetune.variants}
    for key, named in (own | {"baselines": study.baselines, "partitions": study.partitions}).items():
        for name in named:
            check_name(name, f"{where}: {key}")
    if both := study.baselines.keys() & study.finetune.variants.keys():
        raise InputError(f"{where}: baselines: {min(both)} is a variant too; give one of them another name")


def check_pretraining(study: Study, where: str) -> None:
    """Initial weights and validation."""
    hvae, denoiser = study.hvae, study.diffusion
    if hvae.start is not None and not (hvae.start / NETWORK).is_file():
        raise InputError(f"{where}: hvae.start: {hvae.start} holds no {NETWORK}; give runs/STUDY/pretrain/map")
    every = {"hvae": hvae.validate_every, "diffusion": denoiser.validate_every if denoiser else 0}
    for key, steps in every.items():
        if steps < 0 or (steps and not study.cohort.split.get("validation")):
            mend = "give steps, and cohort.split a share for validation; or 0"
            raise InputError(f"{where}: {key}.validate_every: {mend}")
    if denoiser and not (0 < denoiser.depth <= 1 and denoiser.steps >= 1 and denoiser.guidance >= 0):
        raise InputError(f"{where}: diffusion: give a depth above 0, up to 1, steps from 1, and guidance from 0")
    if denoiser and not 1 <= denoiser.last <= denoiser.steps:
        raise InputError(f"{where}: diffusion.last is {denoiser.last}: give 1 to {denoiser.steps}, the steps")


def check_judged_regions(study: Study, where: str) -> None:
    """The regions in which answers are judged, if they are others than the study's own."""
    names = variables(study).names
    for name in study.evaluate.partitions:
        if name not in study.partitions:
            close = nearest(name, study.partitions)
            raise InputError(f"{where}: evaluate.partitions: {name} is no partition of the study{close}")
    if variables(as_judged(study)).names != names:
        raise InputError(f"{where}: evaluate.partitions: give them the regions of the study's own, by the same names")


def check_networks(study: Study, where: str) -> None:
    """The networks' budgets and shapes."""
    segmentors = {"segmentor": study.segmentor, "judge": study.judge}
    segmentors |= {f"panel.{name}": member for name, member in study.panel.items()}
    budgets = {key: one.budget for key, one in segmentors.items()}
    budgets |= {key: getattr(study, key).budget for key in ("regressor", "hvae", "finetune")}
    if study.diffusion is not None:
        budgets["diffusion"] = study.diffusion.budget
    tunings = study.finetune.variants.items()
    budgets |= {f"finetune.variants.{name}": one.budget for name, one in tunings if one.budget}
    for key, budget in budgets.items():
        if budget.steps < 1 or budget.batch_size < 2 or budget.lr <= 0:
            raise InputError(f"{where}: {key}.budget: give at least 1 step, batches of 2, and an lr above 0")
    for key, one in segmentors.items():
        if one.masks is not None and not 0 < one.masks <= 1:
            raise InputError(f"{where}: {key}.masks is {one.masks:g}: give a share above 0, up to 1")
    hvae, size = study.hvae, study.cohort.size
    shape = {"widths": hvae.widths, "depths": hvae.depths, "finest": hvae.finest, "reach": hvae.reach}
    fits: dict[str, Callable[[], None]] = {
        **{key: fits_segmentor(one, size) for key, one in segmentors.items()},
        "regressor": partial(check_groups, study.regressor.width),
        "hvae": partial(check_shape, size=size, **shape),  # type: ignore[arg-type]
    }
    if any(variant.moves for variant in study.finetune.variants.values()):
        fits["deformation"] = partial(check_motion, study.deformation, size)
    if (net := study.diffusion) is not None:
        fits["diffusion"] = partial(check_denoiser, net.widths, net.blocks, net.patch, size)
    for key, fit in fits.items():
        try:
            fit()
        except ValueError as error:
            raise InputError(f"{where}: {key}: {error}") from None


def check_variants(study: Study, where: str) -> None:
    """The kinds of mechanism and guides, and the numbers of the study's own methods."""
    if study.mechanism not in MECHANISMS:
        raise InputError(f"{where}: mechanism: {study.mechanism} is not known{nearest(study.mechanism, MECHANISMS)}")
    if getattr(study, study.mechanism) is None:
        raise InputError(f"{where}: mechanism: give the study a section {study.mechanism}, with its settings")
    check_further(study, where)
    for name, settings in study.baselines.items():
        try:
            baseline_settings(name, settings)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        needs = ANSWERS_WITH.get(baseline_kind(name, settings), ())
        if "diffusion" in needs and study.diffusion is None:
            raise InputError(f"{where}: baselines: {name} needs a diffusion model; give the study a section diffusion")
    named = [(f"variants.{name}.guide", variant.guide) for name, variant in study.finetune.variants.items()]
    named += [("guides", guide) for guide in study.finetune.guides]
    for key, guide in named:
        if guide not in GUIDES and guide != "none":
            raise InputError(f"{where}: finetune.{key}: {guide} is no guide{nearest(guide, GUIDES)}")
        if guide == "ensemble" and not study.panel:
            raise InputError(f"{where}: finetune.{key}: the ensemble has no members; give the study a panel")
    for name, variant in study.finetune.variants.items():
        first = {key for key, one in study.finetune.variants.items() if not one.start}
        if variant.start and variant.start not in first:
            mend = f"{variant.start} is no variant that begins with the pre-trained weights; name one that does"
            raise InputError(f"{where}: finetune.variants.{name}.start: {mend}")
        if not variant.moves and (variant.moves_only or variant.painting or variant.smoothness):
            mend = "moves_only, painting and smoothness are of a variant that moves; give it moves: true"
            raise InputError(f"{where}: finetune.variants.{name}: {mend}")
        if variant.panel and not (study.panel and variant.corrections):
            mend = "the ensemble measures for corrections only; give the study a panel, and the variant corrections"
            raise InputError(f"{where}: finetune.variants.{name}.panel: {mend}")


def check_further(study: Study, where: str) -> None:
    """The variants of other mechanisms than the study's own, and those that are not fine-tuned."""
    for name, variant in study.finetune.variants.items():
        key = f"{where}: finetune.variants.{name}"
        if variant.mechanism and variant.mechanism not in further(study):
            mend = "leave it out for the study's own mechanism, or give the study a section for this one"
            raise InputError(f"{key}.mechanism is {variant.mechanism}: {mend}")
        if variant.moves and (variant.guide == "none" or "diffusion" in (variant.mechanism, study.mechanism)):
            raise InputError(f"{key}: moves needs a guide, and no diffusion model moves anatomy: leave moves out")
        begun = study.finetune.variants.get(variant.start)
        if begun is not None and (begun.mechanism != variant.mechanism or "none" in (begun.guide, variant.guide)):
            raise InputError(f"{key}.start: {variant.start} and {name} must be of one mechanism, and have guides")


def check_causes(study: Study, where: str) -> None:
    """The graph, and what is said of its mechanisms."""
    try:
        causal_graph(study.graph, names_of(study))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    scm = study.scm
    for structure, limit in scm.absent.items():
        if structure not in study.variables:
            raise InputError(f"{where}: scm.absent: {structure} is not measured{nearest(structure, study.variables)}")
        if not limit >= 0:
            raise InputError(f"{where}: scm.absent.{structure} is {limit:g}: give an area, 0 or more")
    for name in scm.categorical:
        if name not in study.cohort.covariates:
            known = study.cohort.covariates or ("the study has none",)
            raise InputError(f"{where}: scm.categorical: {name} is no covariate{nearest(name, known)}")
    if scm.epochs < 1 or scm.batch_size < 2 or not scm.lr > 0 or not 0 < scm.held_out < 1 or scm.bins < 0:
        mend = "give epochs from 1, batches from 2, bins from 0, an lr above 0, and held_out between 0 and 1"
        raise InputError(f"{where}: scm: {mend}")


def fits_segmentor(settings: SegmentorSettings, size: tuple[int, ...]) -> Callable[[], None]:
    return partial(check_segmentor, settings.arch, settings.width, settings.patch, size)
