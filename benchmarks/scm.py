"""The causal model of the variables against the coupled phantom's true one: `python -m benchmarks.scm`.

No image is drawn: the law is solved for variables alone. All models are given the true graph and the same subjects.

- `segue`: a flow for each variable, plaque censored at 0 (`segue.causal.scm`).
- `gaussian`: the same without splines and hidden layers: linear, with Gaussian noise (Tobit for plaque).
- `independent`: no edges; whatever is done, the rest stays.
- `dowhy_gcm`: additive-noise models, regressions chosen by dowhy.gcm (Blobaum et al., JMLR 2024, arXiv 2206.06821).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import networkx as nx
import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.record import Findings, Row, Statement, run, together
from segue.causal.graph import causal_graph
from segue.causal.independence import check_graph
from segue.causal.scm import SCM
from segue.errors import InputError
from segue.evaluation.bootstrap import percentiles
from segue.phantom import COVARIATES, EDGES, VARIABLES, Noise, draw, solve
from segue.phantom.law import as_matrix
from segue.phantom.noise import PLAQUES, REGIONS
from segue.training.fit_scm import fit_scm

FULL = {"subjects": 2000, "test": 1000, "population": 1000, "null": 40, "tested": 600, "cohorts": 20}
QUICK = {"subjects": 300, "test": 100, "population": 100, "null": 10, "tested": 150, "cohorts": 1}
NAMES = (*VARIABLES, *COVARIATES)
GRAPH = {effect: [cause for cause, other in EDGES if other == effect] for _, effect in EDGES}
KINDS = {
    name: {"kind": "censored", "limit": 0.0} if "plaque" in name else {"kind": "continuous"} for name in NAMES
}
CAUSES = ("age", "burden", *(f"{kind}@{region}" for kind in PLAQUES for region in REGIONS))
STEPS = (1.0, -1.0)  # sd
Answer = Callable[[Tensor, str, Tensor], Tensor]
"""(factual, cause, its new value) -> counterfactual, (subject, variable)."""


def measure(*, subjects: int, test: int, population: int, null: int, tested: int, cohorts: int) -> Findings:
    """Counterfactuals, populations, likelihood, noise, and the test of the graph, each against the truth."""
    training, noise = values_of(draw(subjects, seed=0, law="coupled")), draw(test, seed=1, law="coupled")
    flow, gaussian = fitted(training), fitted(training, hidden=(), bins=0)
    independent = fitted(training, graph={})
    factual = values_of(noise)
    models: dict[str, Answer] = {
        "segue": by_scm(flow),
        "gaussian": by_scm(gaussian),
        "independent": by_scm(independent),
        "dowhy_gcm": by_dowhy(training),
    }
    return together(
        [
            counterfactuals(models, noise, factual, training.std(0)),
            likelihoods({"segue": flow, "gaussian": gaussian, "independent": independent}, factual),
            recovered_noise(flow, noise, factual),
            populations({"segue": flow, "gaussian": gaussian, "independent": independent}, training, population, null),
            tests_of_graphs(tested, cohorts),
        ]
    )


def values_of(noise: Noise, do: Mapping[str, Tensor] | None = None) -> Tensor:
    """The true values, (subject, variable)."""
    done = {name: value.double().numpy() for name, value in (do or {}).items()}
    return torch.from_numpy(as_matrix(solve(noise, done), NAMES).astype(np.float32))


# ---- the models --------------------------------------------------------------------------------------------------


def fitted(training: Tensor, *, graph: Mapping[str, list[str]] = GRAPH, **settings: object) -> SCM:
    """A model of `training`, a fifth of it held out to stop the fit."""
    torch.manual_seed(0)
    scm = SCM(names=NAMES, graph=graph, kinds=KINDS, **settings)  # type: ignore[arg-type]
    cut = len(training) * 4 // 5
    fit_scm(scm, training[:cut], training[cut:])
    return scm.requires_grad_(False)


def by_scm(scm: SCM) -> Answer:
    return lambda factual, cause, value: scm.counterfactual(factual, {cause: value})


def by_dowhy(training: Tensor) -> Answer:
    """An additive-noise model by dowhy.gcm; a plaque that it makes negative counts as none."""
    try:
        import pandas as pd
        from dowhy import gcm
    except ImportError:
        raise InputError('benchmarks.scm compares with dowhy: pip install -c constraints.txt -e ".[bench]"') from None
    logging.getLogger("dowhy").setLevel(logging.ERROR)
    gcm.config.disable_progress_bars()
    gcm.config.set_default_n_jobs(1)
    gcm.util.general.set_random_seed(0)
    frame = pd.DataFrame(training.double().numpy(), columns=list(NAMES))
    model = gcm.InvertibleStructuralCausalModel(causal_graph(GRAPH, NAMES))
    gcm.auto.assign_causal_mechanisms(model, frame, quality=gcm.auto.AssignmentQuality.GOOD)
    gcm.fit(model, frame)

    def answer(factual: Tensor, cause: str, value: Tensor) -> Tensor:
        known = pd.DataFrame(factual.double().numpy(), columns=list(NAMES))
        column = iter(value.double().tolist())  # dowhy calls an intervention subject by subject
        found = gcm.counterfactual_samples(model, {cause: lambda _: next(column)}, observed_data=known)
        plaques = [name for name in NAMES if "plaque" in name]
        found[plaques] = found[plaques].clip(lower=0)
        return torch.from_numpy(found[list(NAMES)].to_numpy().astype(np.float32))

    return answer


# ---- counterfactuals ---------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """Errors in sd of one effect of one intervention: by model and subject; `known`: where the facts fix the noise."""

    effect: str
    errors: dict[str, np.ndarray]
    known: np.ndarray


def counterfactuals(models: Mapping[str, Answer], noise: Noise, factual: Tensor, sd: Tensor) -> Findings:
    """|counterfactual - truth| / sd of every descendant of every cause, moved by one sd up and down."""
    cells = list(errors_of(models, noise, factual, sd))
    rows: list[Row] = []
    for effect in dict.fromkeys(cell.effect for cell in cells):
        mine = [cell for cell in cells if cell.effect == effect]
        row: Row = {"measure": "counterfactual error (sd)", "variable": effect}
        for name in models:
            row[name] = float(np.mean([cell.errors[name].mean() for cell in mine]))
            row[f"{name}_identified"] = float(np.mean([cell.errors[name][cell.known].mean() for cell in mine]))
        rows.append(row)
    statements = []
    for what, only in (("all subjects", False), ("identified", True)):
        by_model = {name: per_subject(cells, name, only) for name in models}
        for name, errors in by_model.items():
            statements.append(summary(f"{name}: error on descendants over sd, {what}", errors))
        for other in ("gaussian", "independent", "dowhy_gcm"):
            what_ratio = f"error on descendants, {other} over segue, {what}"
            statements.append(summary(what_ratio, by_model[other], by_model["segue"]))
    return Findings(rows, statements)


def errors_of(models: Mapping[str, Answer], noise: Noise, factual: Tensor, sd: Tensor) -> Iterator[Cell]:
    graph = causal_graph(GRAPH, NAMES)
    for cause in CAUSES:
        place = NAMES.index(cause)
        for step in STEPS:
            value = factual[:, place] + step * sd[place]
            if "plaque" in cause:
                value = value.clamp_min(0)
            truth = values_of(noise, {cause: value})
            found = {name: answer(factual, cause, value) for name, answer in models.items()}
            for effect in nx.descendants(graph, cause):
                i = NAMES.index(effect)
                errors = {name: ((x[:, i] - truth[:, i]).abs() / sd[i]).numpy() for name, x in found.items()}
                yield Cell(effect, errors, identified(graph, factual, cause, effect).numpy())


def identified(graph: nx.DiGraph, factual: Tensor, cause: str, effect: str) -> Tensor:
    """Whether the facts fix the noise of all that lies on the way from cause to effect: each plaque there is some."""
    way = (nx.descendants(graph, cause) & nx.ancestors(graph, effect)) | {effect}
    some = [factual[:, NAMES.index(name)] > 0 for name in way if "plaque" in name]
    return torch.stack(some).all(0) if some else torch.ones(len(factual), dtype=torch.bool)


def per_subject(cells: list[Cell], name: str, only: bool) -> np.ndarray:
    """(subject, 2): sum of the errors and their number, over all effects of all interventions."""
    known = np.stack([cell.known if only else np.ones_like(cell.known) for cell in cells], axis=1)
    errors = np.stack([cell.errors[name] for cell in cells], axis=1)
    return np.stack([(errors * known).sum(1), known.sum(1)], axis=1)


def summary(what: str, errors: np.ndarray, by: np.ndarray | None = None, draws: int = 1000) -> Statement:
    """A mean error, or the ratio of two, with its 95% interval by bootstrap over subjects."""

    def value(rows: np.ndarray) -> float:
        mean = errors[rows].sum(0)
        below = np.array([1.0, 1.0]) if by is None else by[rows].sum(0)
        return float(mean[0] / mean[1] / (below[0] / below[1]))

    random, whole = np.random.default_rng(0), np.arange(len(errors))
    drawn = np.array([value(random.choice(whole, len(whole))) for _ in range(draws)])
    return Statement(what, value(whole), percentiles(drawn))


# ---- distributions -----------------------------------------------------------------------------------------------


def likelihoods(models: Mapping[str, SCM], factual: Tensor) -> Findings:
    """Nats a subject of unseen subjects: densities, and masses where there is no plaque, the same for all models."""
    found = {name: scm.log_prob(factual).sum(1).numpy() for name, scm in models.items()}
    means = {name: float(values.mean()) for name, values in found.items()}
    rows: list[Row] = [{"measure": "log-likelihood (nats a subject)", "variable": "all", **means}]
    differences = []
    for other in ("gaussian", "independent"):
        gain = found["segue"] - found[other]
        half = 1.96 * float(gain.std()) / len(gain) ** 0.5
        interval = (float(gain.mean()) - half, float(gain.mean()) + half)
        differences.append(Statement(f"log-likelihood, segue less {other}", float(gain.mean()), interval))
    return Findings(rows, [], differences)


def recovered_noise(scm: SCM, noise: Noise, factual: Tensor) -> Findings:
    """Correlation of abducted with true noise, where the facts fix it."""
    abducted, truth = scm.abduct(factual), true_noise(noise)
    rows: list[Row] = []
    for i, name in enumerate(NAMES):
        some = (factual[:, i] > 0).numpy() if "plaque" in name else np.ones(len(factual), dtype=bool)
        mine, true = abducted[name][:, 0].numpy()[some], truth[name][some]
        rows.append(
            {
                "measure": "noise: correlation with the truth",
                "variable": name,
                "segue": float(np.corrcoef(mine, true)[0, 1]),
                "segue_by_rank": float(spearmanr(mine, true).statistic),
            }
        )
    least = min(float(row["segue"]) for row in rows)
    return Findings(rows, [Statement("noise: least correlation with the truth over variables", least)])


def true_noise(noise: Noise) -> dict[str, np.ndarray]:
    """The noise of each variable, as a standard normal."""
    scalars = noise.scalars
    found = {"age": scalars.age, "burden": scalars.burden}
    for r, region in enumerate(REGIONS):
        found[f"lumen@{region}"] = scalars.calibre[:, r]
        found |= {f"{kind}@{region}": scalars.amount[:, t, r] for t, kind in enumerate(PLAQUES)}
    return {name: ndtri(uniform) for name, uniform in found.items()}


def populations(models: Mapping[str, SCM], training: Tensor, size: int, null: int) -> Findings:
    """Energy distance of a model's population to the true one, under interventions; and of true ones to each other."""
    sd, mean = training.std(0), training.mean(0)
    interventions: dict[str, dict[str, float]] = {"nothing": {}}
    for cause in ("age", "burden", "calcified_plaque@proximal", "noncalcified_plaque@mid"):
        place = NAMES.index(cause)
        interventions[f"{cause} = mean + 1 sd"] = {cause: float(mean[place] + sd[place])}
    rows: list[Row] = []
    for title, do in interventions.items():

        def true(seed: int, do: dict[str, float] = do) -> Tensor:
            drawn = draw(size, seed=seed, law="coupled")
            return values_of(drawn, {name: torch.full((size,), value) for name, value in do.items()}) / sd

        between = [energy_distance(true(100 + 2 * i), true(101 + 2 * i)) for i in range(null)]
        reference = true(99)
        row: Row = {"measure": "energy distance, do()", "variable": title}
        row |= {name: energy_distance(scm.sample(size, do=do, seed=1) / sd, reference) for name, scm in models.items()}
        rows.append(row | {"null_median": float(np.median(between)), "null_95": float(np.quantile(between, 0.95))})
    worst = max(float(row["segue"]) / float(row["null_95"]) for row in rows)
    return Findings(rows, [Statement("energy distance, segue over the null's 95th percentile, the worst", worst)])


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, unbiased (Szekely & Rizzo, J. Stat. Plan. Inference 2013)."""
    within = [torch.cdist(a, a).sum() / (len(a) * (len(a) - 1)) for a in (x, y)]
    return float(2 * torch.cdist(x, y).mean() - within[0] - within[1])


# ---- the graph ---------------------------------------------------------------------------------------------------


def tests_of_graphs(size: int, cohorts: int) -> Findings:
    """How often the true graph is accused, and each missing edge noticed, over fresh cohorts."""
    accused = 0
    noticed = dict.fromkeys(EDGES, 0)
    for cohort in range(cohorts):
        values = solve(draw(size, seed=1000 + cohort, law="coupled"))
        data = {name: values[name][:, None] for name in NAMES}
        accused += any(row.refuted for row in check_graph(causal_graph(GRAPH, NAMES), data))
        for edge in EDGES if cohort == 0 else ():  # one cohort, each edge left out in turn
            without = {name: [c for c in parents if (c, name) != edge] for name, parents in GRAPH.items()}
            tested = check_graph(causal_graph(without, NAMES), data)
            noticed[edge] += any(row.refuted and {row.one, row.other} == set(edge) for row in tested)
    rows: list[Row] = [
        {"measure": f"missing edge noticed, {size} subjects", "variable": f"{cause} -> {effect}", "segue": count}
        for (cause, effect), count in noticed.items()
    ]
    statements = [
        Statement(f"true graph accused, of {cohorts} cohorts of {size}", accused / cohorts),
        Statement(f"missing edges noticed, of {len(EDGES)}", sum(noticed.values()) / len(EDGES)),
    ]
    return Findings(rows, statements)


if __name__ == "__main__":
    run("scm", measure, full=FULL, quick=QUICK)
