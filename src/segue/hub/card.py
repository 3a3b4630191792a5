"""The model card: a README in the layout of the Hugging Face Hub. All its numbers come from the run's files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors import safe_open

from segue.evaluation.metric import HEADLINE, interval, shown_in
from segue.hub.folder import IMAGE, MOTION, PANEL, SEGMENTOR, TENSORS
from segue.hub.locate import EXPORTED
from segue.hub.runs import Trained
from segue.pipeline import read_done
from segue.pipeline.common import open_store
from segue.pipeline.judging import read_metrics
from segue.pipeline.scm import METRICS
from segue.quoting import in_markdown, in_python
from segue.report.columns import (
    MISSING,
    TableColumn,
    mean_columns,
    method_title,
    methods_of,
    unit_of,
    variables_of,
)
from segue.report.sections import capitalised
from segue.report.segmentors import segmentor_sections
from segue.report.table import markdown, pipe_table, section_table
from segue.report.verdict_text import standing_of, verdict_text
from segue.sealed import as_written, read_json
from segue.study.derived import names_of
from segue.study.schema import Study
from segue.text import in_digits, typeset_unit

TAGS = ["segue", "counterfactual", "causal-inference", "medical-imaging", "variational-autoencoder"]


def model_card(folder: Path, run: Path, trained: Trained, *, notes: str, license: str) -> str:
    """README.md of an exported model.

    Args:
        folder: where its model.json and model.safetensors are. run: the run that it was trained in.
        notes: Markdown of the study's own.
    """
    settings = read_json(folder / EXPORTED)
    study, unit = trained.study, typeset_unit(settings["unit"])
    environment = Environment(
        loader=PackageLoader("segue.hub"), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"python": in_python, "markdown": in_markdown}
    front = {"license": license, "library_name": "segue", "pipeline_tag": "image-to-image", "tags": TAGS}
    return environment.get_template("model_card.md.j2").render(
        front=yaml.safe_dump(front, sort_keys=False).strip(),
        settings=settings,
        title=method_title(trained.name),
        unit=unit,
        phantom=study.cohort.phantom,
        splits=split_table(study),
        stages=stage_table(run, study, trained),
        nelbo=(read_done(trained.recipe.directory) or {}).get("nelbo", {}),
        graph=read_json(as_written(run / "scm" / METRICS), keys=["verdict"]) if study.graph else None,
        notes=notes.strip(),
        license=license,
        **contents_of(folder / TENSORS, study),
        **results_of(run / "evaluate", trained.name),
    )


def contents_of(tensors: Path, study: Study) -> dict[str, Any]:
    """What the model's file says: numbers of weights and examples, and the range of each variable."""
    with safe_open(tensors, "pt") as opened:
        sizes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118  # not a mapping
        marginal, sd = opened.get_tensor("marginal"), opened.get_tensor("sd").tolist()
    names = list(names_of(study))
    medians = dict(zip(names, marginal.quantile(0.5, dim=0).tolist(), strict=True))
    given = {name: round(medians[name], 2) for name in study.cohort.covariates}
    levels = {f"{q:.0%}": marginal.quantile(q, dim=0).tolist() for q in (0.05, 0.5, 0.95)}
    return {
        "examples": sizes.get("examples", [0])[0],
        "weights": {prefix.strip("."): parameters(sizes, prefix) for prefix in (IMAGE, MOTION, SEGMENTOR, PANEL)},
        "variable": names[0],
        "covariates_given": f", covariates={given}" if given else "",
        "variables": fact_table("variable", names, {**levels, "sd": sd}),
    }


def results_of(evaluated: Path, method: str) -> dict[str, Any]:
    """What the evaluation says, if there was one."""
    if read_done(evaluated) is None:
        return {"metrics": {}}
    metrics = read_metrics(evaluated)
    return {
        "metrics": metrics,
        "caption": card_caption(metrics, method),
        "errors": error_table(metrics, method),
        "means": markdown("method", [method_title(key) for key in methods_of(metrics)], mean_columns(metrics)),
        "segmentors": [(f"{capitalised(one.caption)}.", section_table(one)) for one in segmentor_sections(metrics)],
        "verdict": verdict_text(metrics),
        "standing": standing_of(metrics, method),
    }


def parameters(sizes: Mapping[str, list[int]], prefix: str) -> int:
    """The number of weights under a prefix."""
    return sum(math.prod(shape) for name, shape in sizes.items() if name.startswith(prefix))


def split_table(study: Study) -> str:
    """Images and subjects by split."""
    counted = open_store(study).table.group_by("split", maintain_order=True).agg(
        pl.len().alias("images"), pl.col("subject").n_unique().alias("subjects")
    )
    rows = counted.sort("images", descending=True).to_dict(as_series=False)
    return fact_table("split", rows["split"], {"images": rows["images"], "subjects": rows["subjects"]})


def stage_table(run: Path, study: Study, trained: Trained) -> str:
    """What was trained: steps, images a step, seconds, and the revision of the code."""
    budgets = {"segmentor": study.segmentor.budget, "judge": study.judge.budget}
    members = [folder.name for folder in trained.recipe.ensemble]
    budgets |= {f"panel/{name}": study.panel[name].budget for name in members}
    budgets[f"pretrain/{trained.recipe.before.name}"] = getattr(study, trained.recipe.kind).budget
    tuning = trained.recipe.tuning
    begun = study.finetune.variants.get(tuning.start) if tuning else None
    for folder, variant in ((trained.recipe.start, begun), (trained.recipe.directory, tuning)):
        budget = (variant and variant.budget) or study.finetune.budget
        budgets.setdefault(str(folder.relative_to(study.directory)), budget)
    done = {name: read_done(run / name) for name in budgets}
    known = {name: facts for name, facts in done.items() if facts}
    return fact_table(
        "stage",
        list(known),
        {
            "steps": [budgets[name].steps for name in known],
            "images a step": [budgets[name].batch_size for name in known],
            "steps skipped": [facts.get("skipped") for facts in known.values()],
            "seconds": [round(facts["seconds"]) for facts in known.values()],
            "revision": [facts.get("commit") for facts in known.values()],
        },
    )


def error_table(metrics: Mapping[str, Any], method: str) -> str:
    """The method's own row of metrics.json: one line for each variable."""
    judged = methods_of(metrics).get(method) or {}
    entries = judged.get("variables") or {}
    columns = []
    for metric in shown_in("card"):
        own = metric is HEADLINE
        intervals = tuple(interval(entry.get("ci95")) if own else None for entry in entries.values())
        values = tuple(metric.of_variable(judged, name) for name in entries)
        columns.append(TableColumn("", metric.standalone.format(unit=unit_of(metrics)), values, intervals))
    return markdown("variable", list(entries), [column for column in columns if column.known])


def card_caption(metrics: Mapping[str, Any], method: str) -> str:
    """How to read the table of errors."""
    judged, names = methods_of(metrics).get(method) or {}, variables_of(metrics)
    known = [metric for metric in shown_in("card") if any(metric.of_variable(judged, one) is not None for one in names)]
    heads = {metric.standalone.format(unit=unit_of(metrics)): metric.caption for metric in known}
    return " ".join(f"{capitalised(head)}: {caption}." for head, caption in heads.items())


def fact_table(corner: str, rows: list[str], columns: Mapping[str, list[Any]]) -> str:
    """A pipe table of facts.

    >>> print(fact_table("split", ["test"], {"images": [18], "share": [None]}))
    | split | images | share |
    | ----- | -----: | ----: |
    | test  | 18     | –     |
    """
    texts = [[fact(value) for value in values] for values in columns.values()]
    return pipe_table([corner, *columns], [[name, *(text[i] for text in texts)] for i, name in enumerate(rows)])


def fact(value: Any) -> str:
    """A number with three digits at least, anything else as it is.

    >>> fact(0.12345), fact(1033.4), fact(18), fact(None)
    ('0.123', '1,033', '18', '–')
    """
    if value is None:
        return MISSING
    return in_digits(value) if isinstance(value, float) else str(value)
