"""The model card: a README in the layout of the Hugging Face Hub, every number of it taken from the run's own files."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors import safe_open

from segue.hub.folder import IMAGE, PANEL, SEGMENTOR, TENSORS
from segue.hub.load import Trained
from segue.hub.locate import EXPORTED
from segue.pipeline import read_done
from segue.pipeline.common import open_store
from segue.pipeline.recipes import ensemble_of
from segue.pipeline.scm import METRICS
from segue.report.columns import (
    IDEAL,
    Column,
    finite,
    floor_columns,
    interval,
    mean_columns,
    method_title,
    methods_of,
    typeset_unit,
)
from segue.report.table import markdown, segmentor_names
from segue.study.schema import Study

TAGS = ["segue", "counterfactual", "causal-inference", "medical-imaging", "variational-autoencoder"]
ERRORS = {
    "error": "error ({unit})",
    "error_sd": "error (sd)",
    "guide_error_sd": "by the guide (sd)",
    "off_target_sd": "off-target (sd)",
    "leakage": "leakage",
}


def model_card(folder: Path, run: Path, trained: Trained, *, notes: str, license: str) -> str:
    """README.md of an exported model.

    Args:
        folder: where its model.json and model.safetensors are. run: what it was trained in.
        notes: Markdown of the study's own.
    """
    settings = json.loads((folder / EXPORTED).read_text())
    study, method, unit = trained.study, trained.name, settings["unit"]
    judged = read_done(run / "evaluate") is not None
    metrics = json.loads((run / "evaluate" / "metrics.json").read_text()) if judged else {}
    environment = Environment(
        loader=PackageLoader("segue.hub"), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    with safe_open(folder / TENSORS, "pt") as tensors:
        sizes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118  # not a mapping
        marginal, sd = tensors.get_tensor("marginal"), tensors.get_tensor("sd").tolist()
    names = [f"{s}@{r}" for s, part in study.variables.items() for r in study.partitions[part]["regions"]]
    names += study.cohort.covariates
    levels = {f"{q:.0%}": marginal.quantile(q, dim=0).tolist() for q in (0.05, 0.5, 0.95)}
    return environment.get_template("model_card.md.j2").render(
        front=yaml.safe_dump(
            {"license": license, "library_name": "segue", "pipeline_tag": "image-to-image", "tags": TAGS},
            sort_keys=False,
        ).strip(),
        settings=settings,
        title=method_title(method),
        unit=typeset_unit(unit),
        examples=sizes.get("examples", [0])[0],
        weights={prefix.strip("."): parameters(sizes, prefix) for prefix in (IMAGE, SEGMENTOR, PANEL)},
        phantom=study.cohort.phantom,
        splits=splits(study),
        variable=names[0],
        variables=table("variable", names, {**levels, "sd": sd}),
        stages=stage_table(run, study, trained),
        nelbo=(read_done(trained.recipe.directory) or {}).get("nelbo", {}),
        metrics=metrics,
        graph=json.loads((run / "scm" / METRICS).read_text()) if study.graph else None,
        errors=error_table(metrics, method) if metrics else "",
        means=mean_table(metrics) if metrics else "",
        floors=markdown("segmentor", segmentor_names(metrics), floor_columns(metrics)) if metrics else "",
        notes=notes.strip(),
        license=license,
    )


def parameters(sizes: Mapping[str, list[int]], prefix: str) -> int:
    """The number of weights under a prefix."""
    return sum(math.prod(shape) for name, shape in sizes.items() if name.startswith(prefix))


def splits(study: Study) -> str:
    """Images and subjects by split."""
    counted = open_store(study).table.group_by("split", maintain_order=True).agg(
        pl.len().alias("images"), pl.col("subject").n_unique().alias("subjects")
    )
    rows = counted.sort("images", descending=True).to_dict(as_series=False)
    return table("split", rows["split"], {"images": rows["images"], "subjects": rows["subjects"]})


def stage_table(run: Path, study: Study, trained: Trained) -> str:
    """What was trained: steps, images a step, seconds, and the revision of the code."""
    budgets = {"segmentor": study.segmentor.budget, "judge": study.judge.budget}
    members = [folder.name for folder in ensemble_of(study, trained.recipe)]
    budgets |= {f"panel/{name}": study.panel[name].budget for name in members}
    budgets[f"pretrain/{trained.recipe.conditioning}"] = study.hvae.budget
    budgets.setdefault(str(trained.recipe.directory.relative_to(study.directory)), study.finetune.budget)
    done = {name: read_done(run / name) for name in budgets}
    known = {name: facts for name, facts in done.items() if facts}
    return table(
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
    """The method's own row of metrics.json: one line a variable."""
    entries = (methods_of(metrics).get(method) or {}).get("variables") or {}
    columns = []
    for key, head in ERRORS.items():
        intervals = tuple(interval(one.get("ci95")) if key == "error_sd" else None for one in entries.values())
        values = tuple(finite(one.get(key)) for one in entries.values())
        columns.append(Column("", head.format(unit=typeset_unit(metrics["unit"])), values, intervals))
    return markdown("variable", list(entries), columns)


def mean_table(metrics: Mapping[str, Any]) -> str:
    """All methods of the study, on the same images and requests."""
    methods = methods_of(metrics)
    columns = mean_columns(metrics, [key != IDEAL for key in methods])
    return markdown("method", [method_title(key) for key in methods], columns)


def table(corner: str, rows: list[str], columns: Mapping[str, list[Any]]) -> str:
    """A pipe table of facts."""
    lines = [[corner, *columns], ["---", *("---:" for _ in columns)]]
    lines += [[name, *(shown(values[i]) for values in columns.values())] for i, name in enumerate(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
