"""A model with a graph: what follows from a request, what is held, and populations; against the engine without one."""

import nibabel
import numpy as np
import polars as pl
import pytest
import tiny
import torch
from small_study import trained_chest, write_study

import segue
from segue.causal.parents import Parents
from segue.causal.request import Request
from segue.causal.scm import SCM
from segue.cli import main
from segue.cohort.case import Case
from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity
from segue.engine.answer import answer
from segue.engine.model import Model
from segue.errors import InputError
from segue.mechanisms.hvae import HVAEMechanism

NAMES = ("bar@left", "bar@right", "age", "sex")
GRAPH = {"bar@left": ["age"], "bar@right": ["bar@left", "age"], "age": ["sex"]}
FACTS = {"age": torch.tensor([50.0, 60, 70]), "sex": torch.tensor([0.0, 1, 0])}


def build(graph: bool) -> Model:
    """Areas that grow with age, and on the right with what is on the left; the image model is untrained."""
    parents = Parents(segmentor=tiny.Tones(0.5), variables=tiny.variables("bar"), covariates=("age", "sex"))
    parents.mean.copy_(torch.tensor([30.0, 30, 60, 0.5]))
    parents.sd.copy_(torch.tensor([10.0, 10, 8, 0.5]))
    net = tiny.hvae(context=parents.context_channels("map"))
    torch.manual_seed(5)
    marginal = torch.cat([64 * torch.rand(101, 2), 40 + 40 * torch.rand(101, 1), torch.rand(101, 1).round()], dim=1)
    scm = None
    if graph:
        kinds = {name: {"kind": "continuous"} for name in NAMES}
        kinds["sex"] = {"kind": "categorical", "levels": [0.0, 1.0]}
        scm = SCM(names=NAMES, graph=GRAPH, kinds=kinds, hidden=(6,), bins=4)
        for i, name in enumerate(NAMES):
            scm.mechanism(name).adapt(marginal[:, i])
    grid = Grid(tiny.SIZE, intensity=Intensity((-200.0, 800.0)), unit="mm2", pixel_area=0.5)
    return Model(HVAEMechanism(model=net, parents=parents, conditioning="map"), grid, marginal=marginal, scm=scm)


@pytest.fixture(scope="module")
def model() -> Model:
    return build(graph=True)


@pytest.fixture(scope="module")
def images():
    return 500 * tiny.bars(3, seed=4) + 300


def columns(values):
    return torch.stack([values[name] for name in NAMES], dim=1)


def test_effects_follow_along_the_graph(model, images):
    found = model.counterfactual(images, {"age": "+1sd"}, covariates=FACTS)
    factual = columns(found.factual)
    expected = model.scm.counterfactual(factual, {"age": FACTS["age"] + 8})
    expected[:, :2] = expected[:, :2].clamp_min(0)
    torch.testing.assert_close(columns(found.requested), expected)
    assert (found.requested["bar@right"] != found.factual["bar@right"]).all()
    assert torch.equal(found.requested["sex"], found.factual["sex"])
    held = build(graph=False).counterfactual(
        images, {name: float(expected[0, i]) for i, name in enumerate(NAMES)},
        covariates={name: value[:1].expand(3) for name, value in FACTS.items()},
    )  # fmt: skip
    torch.testing.assert_close(found.image[0], held.image[0], rtol=0, atol=0.05)  # asked outright: the same image


def test_what_is_not_to_follow_is_asked_as_without_a_graph(model, images):
    do = {"bar@left": "+1sd", "age": 55}
    direct = model.counterfactual(images, do, propagate=False, covariates=FACTS)
    plain = build(graph=False).counterfactual(images, do, covariates=FACTS)
    assert torch.equal(direct.image, plain.image)
    assert all(torch.equal(direct.requested[name], plain.requested[name]) for name in NAMES)


def test_what_is_held_stays_and_the_rest_follows(model, images):
    free = model.counterfactual(images, {"age": "+1sd"}, covariates=FACTS)
    found = model.counterfactual(images, {"age": "+1sd"}, hold=["bar@right"], covariates=FACTS)
    assert torch.equal(found.requested["bar@right"], found.factual["bar@right"])
    torch.testing.assert_close(found.requested["bar@left"], free.requested["bar@left"])
    with pytest.raises(InputError, match="both done and held"):
        model.counterfactual(images, {"age": 50}, hold=["age"], covariates=FACTS)
    with pytest.raises(InputError, match=r"unknown variable 'bar@rigth'; did you mean bar@right"):
        model.counterfactual(images, {"age": 50}, hold=["bar@rigth"], covariates=FACTS)


def test_asking_for_nothing_still_changes_nothing(model, images):
    found = model.counterfactual(images, {"age": "+0%"}, covariates=FACTS)
    assert all(torch.equal(found.requested[name], found.factual[name]) for name in NAMES)
    torch.testing.assert_close(found.image, images, atol=1e-3, rtol=0)


def test_a_level_that_does_not_exist_is_refused(model, images):
    with pytest.raises(InputError, match=r"sex = 0\.5: it is categorical; choose from 0, 1"):
        model.counterfactual(images, {"sex": 0.5}, covariates=FACTS)
    with pytest.raises(InputError, match="sex = 3: it is categorical"):
        model.counterfactual(images, {"age": 50}, covariates=FACTS | {"sex": torch.tensor(3.0)})


def test_the_ways_of_an_effect_add_up(model, images):
    found = segue.effects(model, images, {"bar@left": "+1sd"}, covariates=FACTS)
    total = columns(found.total.requested) - columns(found.total.factual)
    torch.testing.assert_close(found.variables.total, total, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found.variables.direct, total, rtol=1e-4, atol=1e-3)  # each path from it is an edge
    torch.testing.assert_close(found.indirect, found.total.image - found.direct.image)
    means = segue.effects(model, images, {"age": "+1sd"}, covariates=FACTS).means()
    assert means["age"]["total"] == pytest.approx(8) and means["sex"] == {"total": 0, "direct": 0, "indirect": 0}
    assert means["bar@right"]["indirect"] != 0
    with pytest.raises(InputError, match="no graph"):
        segue.effects(build(graph=False), images, {"age": 50}, covariates=FACTS)


def test_a_population_is_the_causal_models_and_its_images_are_new(model):
    state = torch.get_rng_state()
    one, again = (segue.sample(model, 5, {"age": 70}, seed=3, batch_size=2) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's draws change
    assert one.image.shape == (5, 1, *tiny.SIZE) and torch.equal(one.image, again.image)
    expected = model.scm.sample(5, do={"age": 70.0}, seed=3)
    torch.testing.assert_close(columns(one.values)[:, :2], expected[:, :2].clamp_min(0))
    assert (one.values["age"] == 70).all() and len(one.image.flatten(1).unique(dim=0)) == 5
    assert float(segue.sample(model, 1, {"age": "q0.5"}).values["age"]) == pytest.approx(
        float(model.space.marginal[:, 2].median()), abs=0.5
    )
    for wrong, said in (({"age": "+1sd"}, "no fact to change"), ({"sex": 0.3}, "categorical"), ({"agee": 1}, "age")):
        with pytest.raises(InputError, match=said):
            segue.sample(model, 2, wrong)
    with pytest.raises(InputError, match="no graph"):
        segue.sample(build(graph=False), 2)


@pytest.mark.parametrize("causal", [{}, {"propagate": False}, {"hold": ("bar@left",)}])
def test_a_cohort_is_answered_as_the_engine_answers(model, images, causal):
    facts = [{name: float(value[i]) for name, value in FACTS.items()} for i in range(len(images))]
    cases = [
        Case(f"case{i}", image.numpy(), (0.5, 1.0), np.eye(4), given)
        for i, (image, given) in enumerate(zip(images, facts, strict=True))
    ]
    dos = [{"age": "+1sd"}, {"bar@right": "+50%"}]
    requests = [Request(do, **causal) for do in dos]
    for case, one in zip(cases, answer(model, cases, [requests] * 3), strict=True):
        for request, do in enumerate(dos):
            expected = model.counterfactual(case.image[None], do, covariates=case.covariates, **causal)
            torch.testing.assert_close(torch.from_numpy(one.images[request]), expected.image[0], rtol=0, atol=0.01)


@pytest.mark.xdist_group("small_study")
def test_regions_of_new_images_are_taken_from_images_where_each_has_its_own():
    model = segue.load(trained_chest()[1])
    with pytest.raises(InputError, match="pass like=images"):
        segue.sample(model, 3)
    found = segue.sample(model, 3, {"heart@whole": "q0.9"}, like=model.examples())
    assert found.image.shape == (3, 1, 32, 32) and bool(found.image.isfinite().all())


@pytest.mark.xdist_group("small_study")
def test_commands_print_the_ways_and_write_a_population(tmp_path, capsys):
    _, run, folder = trained_chest()
    files = [str(path) for path in sorted((folder / "images").iterdir())[:2]]
    assert main(["effects", str(run), *files, "--do", "heart@whole=+1sd"]) == 0
    said = capsys.readouterr().out
    assert "2 images" in said and "indirect" in said and "left_lung@lower" in said
    out = ["--out", str(tmp_path / "people")]
    assert main(["sample", str(run), "--images", "3", "--do", "heart@whole=q0.5", "--like", *files, *out]) == 0
    table = pl.read_csv(tmp_path / "people" / "table.csv")
    assert len(table) == 3 and table["heart@whole"].n_unique() == 1
    written = [tmp_path / "people" / "images" / f"{id}.nii.gz" for id in table["id"]]
    assert all(nibabel.load(path).shape == (32, 32) for path in written)
    assert main(["sample", str(run), *out]) == 2 and "exists already" in capsys.readouterr().err
    assert main(["variables", str(run)]) == 0 and "causes" in capsys.readouterr().out
    assert main(["scm", str(write_study(tmp_path)), "--runs", str(tmp_path / "runs")]) == 2
    assert "has no graph to fit" in capsys.readouterr().err
