"""A study: one reproducible piece of work, as frozen, typed dataclasses (`segue.study.read` reads them from YAML).

Dataclasses stop here: the stages hand plain keyword arguments to everything inside.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segue.cohort.folder_settings import Labels, Missing, Overlaps
from segue.hardware import Precision
from segue.mechanisms.deformation import DeformationSettings
from segue.phantom import Law
from segue.study.networks import Budget, DiffusionModel, Hvae, RegressorSettings, SegmentorSettings


@dataclass(frozen=True)
class Phantom:
    """A simulated coronary cohort: how many images, the seed that fixes them all, and the law of their areas.

    >>> Phantom(images=10)
    Phantom(images=10, seed=0, law='independent')
    """

    images: int = 2000
    seed: int = 0
    law: Law = "independent"


@dataclass(frozen=True)
class Cohort:
    """Where the images come from.

    Args:
        structures: name of each structure and its label in the masks; or its labels; or the pattern of its own masks.
        size: the study's grid; images are resized to it.
        intensity: the two raw values that become -1 and +1 (for an 8-bit PNG 0 and 255; for CT a window in HU), a CT
            window by name, or a rule that finds them: {percentiles: [0.5, 99.5], per: image} or {zscore: 3}
            (`segue.cohort.intensity`).
        folder: a folder of images/ and masks/ (and perhaps table.csv). Either this or `phantom`.
        phantom: a simulated cohort instead of a folder.
        subject_pattern: regular expression that takes the subject from a file's name.
        covariates: columns of table.csv that are parents of the image too.
        axes: letters of the axes, such as RAS, into which images and masks are turned (docs/geometry.md); None: as
            stored, and then all images must agree.
        resample_masks: whether a mask on another grid than its image is brought to that grid; otherwise it is refused.
        codes: by covariate, the numbers of its words: {sex: {M: 0, F: 1}}.
        missing: what becomes of an image whose covariate is not known: the cohort is refused, or the image dropped, or
            it has the mean of the others.
        background: labels that are no structure, in masks that hold nothing else.
        overlaps: what becomes of a pixel that the masks of two structures hold: it is refused, or the first one's.
        layout: of the folder: pairs (images/ and masks/, the default), nnunet, decathlon, bids or dicom.
        images, masks: patterns of paths below the folder instead: {subject}/{name}_image.nii.gz.
        marks: label image of what the scanner draws on every image (calipers, a catheter): no network sees it, and no
            answer changes it.
        channels: of the images, by the names that the layout or {channel} in `images` gives them. (): all.
        split: share of the subjects in each split: guide (also trains the image model), judge, validation, test. Or
            their names, and ranges of names ("p01..p20"), where splits must not be drawn.
        seed: of the split.
        folds: of a cross-validation over subjects; each is the test split once, whatever `split` gives that. 0: none.
        fold: which of them this study is, from 1; 0 for the study of all of them.

    >>> Cohort({"lumen": 1}, size=(32, 96), phantom=Phantom()).split["test"]
    0.25
    """

    structures: dict[str, Labels]
    size: tuple[int, ...]
    intensity: tuple[float, float] | dict[str, Any] | str = (0.0, 255.0)
    folder: Path | None = None
    phantom: Phantom | None = None
    subject_pattern: str | None = None
    covariates: tuple[str, ...] = ()
    axes: str | None = None
    resample_masks: bool = False
    codes: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: Missing | None = None
    background: tuple[int, ...] = ()
    overlaps: Overlaps | None = None
    layout: str | None = None
    images: str | None = None
    masks: str | None = None
    marks: Path | None = None
    channels: tuple[str, ...] = ()
    split: dict[str, float | list[str]] = field(
        default_factory=lambda: {"guide": 0.5, "judge": 0.2, "validation": 0.05, "test": 0.25}
    )
    seed: int = 0
    folds: int = 0
    fold: int = 0


@dataclass(frozen=True)
class Variant:
    """A fine-tuning of one's own: a guide, and what is added to the papers' objective (`segue.training.finetune`).

    Args:
        guide: of `segue.training.guides`; none: the pre-trained mechanism as it is.
        mechanism: another kind than the study's own, whose section the study has; "": the study's own.
        at_once: variables that are asked to change in an image of the training.
        moves: whether anatomy moves before it is painted (`segue.mechanisms.deformation`).
        moves_only: nothing is painted.
        smoothness: weight of the velocity's energy. painting: weight of the mean absolute change that is painted.
        outside: weight of the mean absolute change away from what is asked to change (`segue.training.prices`).
        start: another variant, whose weights it begins with; otherwise with the pre-trained ones.
        budget: of this fine-tuning; None: that of all.
        shrinkage: size of change, as a share of the intensity range, that is set to 0, in training and in every answer.
            Where anatomy moves, this and `blur` are of what is painted alone.
        blur: of the Gaussian that an answer's change passes, the standard deviation in pixels: the scanner's.
        floor: nothing in an answer is darker than the factual image's darkest within so many pixels; 0: no such limit
            (`segue.mechanisms.refined.lifted`).
        corrections: how often an answer is corrected by what the guide measures on it (`segue.mechanisms.correction`).
        panel: whether the ensemble (`panel`) measures answers together with the guide, for the corrections.

    The last four are no part of the fine-tuning: methods that differ in these alone are trained once.

    >>> Variant(at_once=6, corrections=2).trained
    Variant(guide='region', mechanism='', at_once=6, moves=False, moves_only=False, smoothness=0.0, painting=0.0, ...)
    """

    guide: str = "region"
    mechanism: str = ""
    at_once: int = 1
    moves: bool = False
    moves_only: bool = False
    smoothness: float = 0.0
    painting: float = 0.0
    outside: float = 0.0
    start: str = ""
    budget: Budget | None = None
    shrinkage: float = 0.0
    blur: float = 0.0
    floor: int = 0
    corrections: int = 0
    panel: bool = False

    @property
    def trained(self) -> "Variant":
        """What is trained of it; blur, floor, corrections and the ensemble are applied to answers, afterwards."""
        return replace(self, blur=0.0, floor=0, corrections=0, panel=False)


@dataclass(frozen=True)
class Scm:
    """The mechanisms of the graph's variables; a study without a graph has none.

    Args:
        absent: by structure, the area up to which there is none of it in a region, in the cohort's unit: what is
            measured of nothing. Such variables are censored there; those of other structures are continuous.
        categorical: covariates whose numbers are codes, such as sex.
        hidden: layers of each mechanism's networks. bins: of its spline; 0 makes it Gaussian.
        held_out: share of the guide's subjects on which early stopping is decided. epochs: at most.

    >>> Scm(absent={"calcified_plaque": 0.1}).bins
    8
    """

    absent: dict[str, float] = field(default_factory=dict)
    categorical: tuple[str, ...] = ()
    hidden: tuple[int, ...] = (32, 32)
    bins: int = 8
    held_out: float = 0.2
    epochs: int = 400
    batch_size: int = 256
    lr: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class Finetune:
    """Counterfactual fine-tuning.

    Args:
        guides: none (No-CFT), and those of `segue.training.guides`: regressor (Reg-CFT), structure (Seg-CFT), region
            (Pos-Seg-CFT), ensemble (the region guide's error by each member of the ensemble).
        variants: further methods, by name.
        damping: weight of the constraint's quadratic term. rate: the multiplier's step. multiplier: its start.
        clip: largest norm of the gradient. Gradients are 10 to 100 times those of the ELBO, so a limit of 1 is too low.

    >>> Finetune(Budget(steps=240)).guides
    ('none', 'regressor', 'structure', 'region')
    """

    budget: Budget
    guides: tuple[str, ...] = ("none", "regressor", "structure", "region")
    variants: dict[str, Variant] = field(default_factory=dict)
    damping: float = 10.0
    rate: float = 0.05
    multiplier: float = 0.1
    clip: float = 50.0


@dataclass(frozen=True)
class Evaluate:
    """Judging: test images, figure rows, bootstrap draws, and how images are abducted and measured.

    Args:
        particles: posterior samples to average; 1 is the posterior's mean.
        sample: True: a single particle is a draw from the posterior too.
        validation: True: the validation subjects are judged in place of the test subjects. Settings are chosen so.
        partitions: partitions by name that take the place of the study's own wherever answers are asked for and judged,
            with the same regions: a study that learned with misplaced or soft boundaries is judged by the true, hard
            ones. What a model is asked for is then the *change*, in what it takes for the region.

    >>> Evaluate(images=100).bootstrap
    1000
    """

    images: int = 200
    particles: int = 1
    rows: int = 4
    bootstrap: int = 1000
    seed: int = 0
    sample: bool = False
    validation: bool = False
    partitions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """One reproducible piece of work.

    Args:
        name: results land in runs/<name>.
        notes: what a reader of the report has to know about the data.
        panel: further segmentors by name, trained on the guide's subjects, if a variant uses them: the ensemble that
            measures answers together with the guide (`panel: true`), or guides with it (`guide: ensemble`).
        partitions: by name, the kind and arguments of a partition (see `segue.anatomy.make_partition`).
        variables: the partition that measures each structure.
        measures: by structure, what is measured of it, with settings (docs/measurements.md); its areas where not said.
        baselines: of `segue.baselines.BASELINES`, by name with their settings; judged beside the study's own methods.
        mechanism: kind of image mechanism (`segue.mechanisms`); its settings are in the section of that name.
        diffusion: a diffusion model, trained beside the study's own mechanism if there is this section.
        deformation: how anatomy moves in the variants that move it.
        graph: by variable (`structure@region` or covariate), its causes; empty: all are independent, as in the papers.
        runs: the folder of all runs.
        precision: of training; auto is bf16 where the hardware has it. Answers and areas are always in float32.
        gradient_checkpointing: True: trainings keep less for the gradient and compute it again (docs/speed.md). What is
            learned is the same, except for rounding, so stages that are done stay done.

    >>> from segue.study.read import load_study
    >>> load_study(Path("studies/coronary-phantom.yaml")).variables["lumen"]
    'thirds'
    """

    name: str
    cohort: Cohort
    partitions: dict[str, dict[str, Any]]
    variables: dict[str, str]
    segmentor: SegmentorSettings
    judge: SegmentorSettings
    regressor: RegressorSettings
    hvae: Hvae
    finetune: Finetune
    mechanism: str = "hvae"
    diffusion: DiffusionModel | None = None
    deformation: DeformationSettings = field(default_factory=DeformationSettings)
    evaluate: Evaluate = Evaluate()
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    measures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    notes: str = ""
    panel: dict[str, SegmentorSettings] = field(default_factory=dict)
    graph: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scm: Scm = Scm()
    runs: Path = Path("runs")
    precision: Precision = "auto"
    gradient_checkpointing: bool = False

    @property
    def directory(self) -> Path:
        """runs/<name>"""
        return self.runs / self.name
