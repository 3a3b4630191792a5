"""Stage: the mechanisms of the study's graph, fitted to what the guide's segmentor measured, and the graph tested."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from segue.causal.graph import mermaid
from segue.causal.independence import check_graph, verdict
from segue.causal.scm import SCM
from segue.cohort import Store
from segue.errors import InputError
from segue.files import write_text
from segue.nets.weights import load_pretrained, save_network
from segue.pipeline.common import Result, load_measured, open_store
from segue.report.graph_figure import draw_graph
from segue.study.derived import kinds_of, names_of
from segue.study.schema import Study
from segue.training.fit_scm import fit_scm

METRICS, FIGURE = "metrics.json", "graph.png"


def fit_graph(study: Study, directory: Path) -> Result:
    """Fit on the guide's subjects, test the graph on all others; leave the model, metrics.json and the figure."""
    store, names, values = open_store(study), names_of(study), load_measured(study)["parents"]
    settings = study.scm
    training, stopping = halves(store, settings.held_out, settings.seed)
    torch.manual_seed(settings.seed)
    scm = SCM(
        names=names,
        graph={name: list(parents) for name, parents in study.graph.items()},
        kinds=kinds_of(study, levels_of(study, values)),
        hidden=list(settings.hidden),
        bins=settings.bins,
    )
    fits = fit_scm(
        scm,
        values[training],
        values[stopping],
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        seed=settings.seed,
    )
    save_network(scm, directory)
    metrics = graph_metrics(scm, values[torch.from_numpy(unseen(store))]) | {
        "fits": {name: dataclasses.asdict(fit) for name, fit in fits.items()}
    }
    write_text(directory / METRICS, json.dumps(metrics, indent=1))
    write_text(directory / "graph.md", f"```mermaid\n{mermaid(scm.graph)}\n```\n")
    refuted = [(row["one"], row["other"]) for row in metrics["tests"] if row["refuted"]]
    draw_graph(directory / FIGURE, scm.graph, missing=refuted)
    return {"verdict": metrics["verdict"]}


@torch.no_grad()
def graph_metrics(scm: SCM, values: Tensor) -> dict[str, Any]:
    """Likelihood of subjects that the fit has not seen, and the tests of the graph on them."""
    likelihood = scm.log_prob(values).mean(0)
    known = scm.by_name(values)
    # A categorical variable's first level follows from the others: one column less.
    data = {
        name: (codes if (codes := scm.mechanism(name).encode(known[name])).shape[1] == 1 else codes[:, 1:]).numpy()
        for name in scm.names
    }
    tested = check_graph(scm.graph, data)
    return {
        "images": len(values),
        "log_likelihood": dict(zip(scm.names, likelihood.tolist(), strict=True)),
        "verdict": verdict(tested),
        "tests": [dataclasses.asdict(row) | {"refuted": row.refuted} for row in tested],
        "mermaid": mermaid(scm.graph),
    }


def unseen(store: Store) -> Int[np.ndarray, " image"]:
    """The images that no mechanism is fitted to: all but the guide's."""
    return np.setdiff1d(np.arange(len(store)), store.indices("guide"))


def halves(store: Store, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """The guide's images that fit, and those that say when to stop; whole subjects."""
    guide = store.indices("guide")
    subjects = np.array(store.table["subject"].to_list())[guide]
    known = np.unique(subjects)
    if len(known) < 2:
        raise InputError("scm: the split `guide` has a single subject; fitting and stopping need one each at least")
    count = min(len(known) - 1, max(1, round(share * len(known))))
    stop = np.isin(subjects, np.random.default_rng(seed).permutation(known)[:count])
    return torch.from_numpy(guide[~stop]), torch.from_numpy(guide[stop])


def levels_of(study: Study, values: Tensor) -> dict[str, list[float]]:
    """The codes of each categorical covariate, in the whole cohort."""
    names = names_of(study)
    return {name: values[:, names.index(name)].unique().tolist() for name in study.scm.categorical}


def load_scm(study: Study) -> SCM | None:
    """The fitted model of a study's graph; None where it has no graph.

    Raises:
        InputError: it has one, and it is not fitted.
    """
    if not study.graph:
        return None
    directory = study.directory / "scm"
    if not (directory / "done.json").exists():
        raise InputError(f"{directory}: the study has a graph that is not fitted; run `segue scm STUDY`")
    return load_pretrained(SCM, directory).eval().requires_grad_(False)
