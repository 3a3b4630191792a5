"""A first study of a folder: a commented YAML file that runs as it is."""

import json
import re
import shlex
from pathlib import Path

import numpy as np

from segue.cohort.layout import LABEL_MAP
from segue.cohort.survey import Survey
from segue.quoting import in_comment
from segue.yaml_text import dump_yaml

LONGEST = {2: 96, 3: 48}  # sides of the grid, by the number of axes: what two cores train in hours
COMMON, LARGE = 0.8, 120  # a structure is halved from this share of masks, and from these pixels on the grid, on
CT_WINDOW, SOFT_TISSUE = (-1000.0, 1000.0), (-200.0, 300.0)  # HU: with lung or air around the body, and without

DRAFT = """\
# A first study of {folder}, written by `segue init`. It runs as it is: segue run {file}
# Read it through: what is marked GUESSED may be otherwise in your data. All keys are in docs/data.md.
name: {name}
cohort:
  folder: {folder}
{layout}  # {labels}
  structures: {structures}
  # The images are {shapes}.
  # They are averaged onto this grid; a finer one costs more time and memory.
  size: {size}
{intensity}
{subjects}
  # Shares of the subjects: guide (also trains the image model), judge, validation (for decisions), test.
  split: {split}
{covariates}
# Where: a structure is measured in each region of a partition. `zones` halves it along the image's {along} axis.
partitions:
  zones: {{kind: extent, axis: {axis}, regions: [{first}]}}
  whole: {{kind: whole}}
# What is measured: GUESSED. Structures that are large and in most masks are halved, the others measured as a whole.
variables: {variables}

# Budgets for two cores and a first look. Longer training gives better images: multiply the steps by ten.
segmentor:
  arch: unet
  width: 16
  patch: 1
  budget: {{steps: 600, batch_size: 16, lr: 0.002}}
  augment: {augment}
judge:
  arch: segresnet
  width: 16
  patch: 1
  budget: {{steps: 600, batch_size: 16, lr: 0.002, seed: 1}}
  augment: {augment}
regressor: {{width: 16, budget: {{steps: 600, batch_size: 16}}}}
hvae: {{widths: [24, 32, 48], depths: [1, 1, 1], budget: {{steps: 1000, batch_size: 16}}}}
finetune: {{budget: {{steps: 300, batch_size: 16}}}}
"""


def draft_study(survey: Survey, folder: Path, file: Path) -> str:
    """The study as YAML.

    Args:
        folder: as the study is to name it. file: where the study will be.
    """
    size = grid_size(survey.shape)
    structures, label_line = structures_of(survey)
    return DRAFT.format(
        folder=flow(str(folder)),
        file=in_comment(shlex.quote(str(file))),
        name=slug_of(folder),
        layout=layout_lines(survey),
        labels=in_comment(label_line),
        structures=flow(structures),
        shapes=in_counts(survey.shapes),
        size=flow(list(size)),
        intensity=intensity_lines(survey),
        subjects=subject_lines(survey),
        split=flow(shares(survey)),
        covariates=covariate_lines(survey),
        axis=(axis := 0 if len(size) == 2 else size.index(max(size))),
        along=("first", "second", "third")[axis],
        first="upper, lower" if len(size) == 2 else "first_half, second_half",
        variables=flow(first_variables(survey, structures, size)),
        augment=flow({"rotate": 5, "scale": 0.05, "shift": 0.03, "noise": 0.02}),
    )


def flow(value: object) -> str:
    """A value as YAML on one line.

    >>> flow({"no": 1, "size": [32, 96]})
    "{'no': 1, size: [32, 96]}"
    """
    said = dump_yaml({"x": value}, flow=True).strip().removeprefix("{x: ").removesuffix("}")
    return said if len(said.splitlines()) == 1 else json.dumps(value)  # JSON is YAML, and escapes the ends of lines


def slug_of(folder: Path) -> str:
    """The folder's name as that of a study.

    >>> slug_of(Path("My data (2024)"))
    'my-data-2024'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "study"


def grid_size(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A grid of the images' proportions, its sides multiples of 8: the networks halve them.

    >>> grid_size((512, 400)), grid_size((35, 51, 36))
    ((96, 72), (32, 48, 32))
    """
    scale = min(1.0, LONGEST[len(shape)] / max(shape))
    return tuple(max(16, 8 * round(side * scale / 8)) for side in shape)


def layout_lines(survey: Survey) -> str:
    """The keys that name the layout; none for images/ and masks/."""
    keys = dict(survey.guess.keys) | ({"channels": list(survey.guess.found.channels)} if several(survey) else {})
    return "".join(f"  {key}: {flow(value)}\n" for key, value in keys.items())


def several(survey: Survey) -> bool:
    """Whether images have several channels whose names are known."""
    return len(survey.guess.found.channels) > 1


def structures_of(survey: Survey) -> tuple[dict[str, int | str], str]:
    """Labels by name (of the data set, else label_1 and so on), or patterns; and a line on what the masks hold."""
    named = {labels[0]: name for name, labels in survey.guess.found.labels.items() if len(labels) == 1}
    organs = survey.guess.organs
    found: dict[str, int | str] = {}
    said = []
    for label, (count, area) in survey.labels.items():
        name = label if isinstance(label, str) else named.get(label, f"label_{label}")
        found[name] = organs[name] if isinstance(label, str) else label
        said.append(f"{name} in {count} of {survey.looked_at} masks, {area:,.0f} pixels on average")
    return found, "; ".join(said) or "the masks are empty"


def intensity_lines(survey: Survey) -> str:
    """What the networks see as -1 and +1: of 8-bit images 0 and 255, of CT a window in HU, else percentiles."""
    low, darkest, _, brightest, high = np.median(survey.percentiles, axis=0)
    said = f"  # Values: {low:g} to {high:g}, 99% of them from {darkest:g} to {brightest:g} (medians over images)."
    if survey.percentiles.min() >= 0 and survey.percentiles.max() <= 255 and survey.whole_numbers:
        return f"{said}\n  intensity: [0, 255]"
    if survey.whole_numbers and low <= -200:
        window = CT_WINDOW if darkest < -500 else SOFT_TISSUE
        return f"{said}\n  intensity: [{window[0]:g}, {window[1]:g}]  # GUESSED: CT, in HU"
    top = max(brightest, darkest + 1e-3)
    usual = f"  intensity: [{darkest:.6g}, {top:.6g}]  # what is usual: for figures"
    own = "  percentiles: [0.5, 99.5]  # of each image: GUESSED, as for MRI, whose values have no unit"
    return f"{said}\n{usual}\n{own}"


def subject_lines(survey: Survey) -> str:
    """How subjects are known."""
    if "subject" in survey.columns:
        return "  # Subjects are in table.csv."
    if survey.subject_pattern:
        return f"  subject_pattern: {flow(survey.subject_pattern)}  # GUESSED: images of one subject share this part"
    if any(case.subject not in (None, case.id) for case in survey.guess.found.cases):
        return "  # The layout says which images are of one subject."
    return '  # Each image is its own subject. If not, give subject_pattern, or a column subject of table.csv.'


def shares(survey: Survey) -> dict[str, float]:
    """Shares of the subjects; with few of them none are set apart for decisions."""
    if subject_count(survey) < 20:
        return {"guide": 0.5, "judge": 0.2, "test": 0.3}
    return {"guide": 0.5, "judge": 0.2, "validation": 0.05, "test": 0.25}


def subject_count(survey: Survey) -> int:
    """The subjects, as far as names tell."""
    if survey.subject_pattern:
        found = (re.search(survey.subject_pattern, id) for id in survey.ids)
        return len({match[1] for match in found if match})
    return len({case.subject or case.id for case in survey.guess.found.cases})


def covariate_lines(survey: Survey) -> str:
    """The table's further columns, as a suggestion."""
    others = [name for name in survey.columns if name != "subject" and not name.startswith("spacing_")]
    if not others:
        return ""
    named, first = in_comment(", ".join(others[:8])), in_comment(flow([others[0]]))
    return f"  # table.csv has {named}. Name those that cause the anatomy: covariates: {first}\n"


def first_variables(survey: Survey, structures: dict[str, int | str], size: tuple[int, ...]) -> dict[str, str]:
    """Halves for what is large and common, the whole for everything else."""
    scale = float(np.prod(size)) / float(np.prod(survey.shape))
    found = {}
    for name, (count, area) in zip(structures, survey.labels.values(), strict=True):
        halved = count >= COMMON * survey.looked_at and area * scale >= LARGE
        found[name] = "zones" if halved else "whole"
    return found


def survey_lines(survey: Survey) -> list[str]:
    """What was found, a line each."""
    keys = {**survey.guess.keys, **{f"structures.{name}": pattern for name, pattern in survey.guess.organs.items()}}
    layout = ", ".join(f"{key} {value}" for key, value in keys.items()) or "images/ and masks/"
    low, high = survey.percentiles[:, 0].min(), survey.percentiles[:, -1].max()
    masks = sum(LABEL_MAP in case.masks or bool(case.masks) for case in survey.guess.found.cases)
    lines = [f"layout: {layout}", f"images: {len(survey.ids)}, masks: {masks}, subjects: {subject_count(survey)}"]
    lines.append(f"looked at: {survey.looked_at}, sizes {in_counts(survey.shapes)}")
    lines.append(f"spacing: {in_counts(survey.spacings)}")
    lines += [f"axes: {in_counts(survey.axes)}"] if survey.axes else []
    lines.append(f"masks: {structures_of(survey)[1]}")
    lines.append(f"intensity: {low:g} to {high:g}, medians {np.median(survey.percentiles, axis=0).round(3).tolist()}")
    lines += [f"channels: {', '.join(survey.guess.found.channels)}"] if several(survey) else []
    return lines + ([f"table.csv: {', '.join(survey.columns)}"] if survey.columns else [])


def in_counts(counts: object) -> str:
    """Values with how often they occur, the most common first.

    >>> from collections import Counter
    >>> in_counts(Counter({(4, 5): 3, None: 1}))
    '4 x 5 (3), not known (1)'
    """
    items = counts.most_common(4)  # type: ignore[attr-defined]
    more = f", {len(counts) - 4} more" if len(counts) > 4 else ""  # type: ignore[arg-type]

    def text(value: object) -> str:
        return "not known" if value is None else " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    return ", ".join(f"{text(value)} ({count})" for value, count in items) + more
