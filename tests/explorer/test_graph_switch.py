"""A model with a graph: what follows from a request is asked too, unless everything else is held."""

import json

import numpy as np
import pytest
import small_study
from gradio_client import Client
from test_serve import free_port

from segue.errors import InputError
from segue.explorer import download
from segue.explorer.asking import ask, sweep
from segue.explorer.models import explored
from segue.explorer.page import graph_switch
from segue.explorer.panel import title
from segue.explorer.serve import serve
from segue.explorer.view import table_rows

pytestmark = pytest.mark.xdist_group("explorer")
CAUSE, EFFECT, OTHER = "left_lung@upper", "left_lung@lower", "right_lung@lower"  # of the study's graph
DO = {CAUSE: "+60%"}


@pytest.fixture(scope="module")
def opened():
    return explored(str(small_study.trained_chest()[1]))


@pytest.fixture(scope="module")
def method(opened):
    return next(iter(opened.models))


@pytest.mark.parametrize("causal", [{}, {"propagate": False}, {"hold": [EFFECT]}])
def test_what_follows_is_what_the_engine_makes_of_the_request(opened, method, causal):
    case = opened.choose(0).case
    answer = ask(opened, case, DO, [method], **causal)
    expected = opened.first.counterfactual(case.image[None], DO, spacing=case.spacing, **causal)
    assert answer.requested == pytest.approx({name: float(v[0]) for name, v in expected.requested.items()}, rel=1e-4)
    np.testing.assert_allclose(answer.readings[0].image, expected.image[0, 0], atol=0.05)
    assert answer.moving == ([CAUSE] if causal else [CAUSE, EFFECT])


def test_what_the_graph_asks_is_no_leakage(opened, method):
    """The regions of cause and effect are inside; held, the effect's is outside."""
    case = opened.choose(0).case
    for propagate, inside in ((True, [CAUSE, EFFECT]), (False, [CAUSE])):
        answer = ask(opened, case, DO, [method], propagate=propagate)
        change = np.abs(answer.readings[0].image - answer.image)
        outside = np.max([answer.regions[name] for name in inside], axis=0) < 0.5
        assert answer.readings[0].leakage == pytest.approx((outside * change).sum() / change.sum(), abs=0.01)
        rows = {row.name: row for row in table_rows(answer, opened.first.space.areas)}
        cause, effect, other = (rows[title(name)] for name in (CAUSE, EFFECT, OTHER))
        assert cause.asked and not cause.followed
        assert effect.followed == propagate and (effect.requested == "–") != propagate
        assert not other.followed and other.requested == "–"


def test_a_sweep_follows_or_holds(opened, method):
    case = opened.choose(0).case
    for propagate in (True, False):
        swept = sweep(opened, case, {}, method, CAUSE, low=20, high=90, frames=2, propagate=propagate)
        one = ask(opened, case, {CAUSE: 90}, [method], propagate=propagate).readings[0]
        np.testing.assert_allclose(swept.images[1], one.image, atol=0.05)


def test_files_say_what_was_held(opened, method):
    chosen = opened.choose(0)
    direct = ask(opened, chosen.case, DO, [method], propagate=False)
    partly = ask(opened, chosen.case, DO, [method], hold=[EFFECT])
    assert "propagate=False" in download.snippet(opened, chosen, direct)
    assert f"hold=['{EFFECT}']" in download.snippet(opened, chosen, partly)
    files = download.files(opened, chosen, direct)
    (sidecar,) = (json.loads(one.content) for one in files if one.name.endswith(".json"))
    assert sidecar["propagate"] is False and sidecar["hold"] == []


def test_what_is_done_cannot_be_held(opened, method):
    with pytest.raises(InputError, match="both done and held"):
        ask(opened, opened.choose(0).case, DO, [method], hold=[CAUSE])


def test_over_http(opened, method):
    address, close = serve(opened, port=free_port())
    try:
        client, image = Client(address, verbose=False), opened.source.ids[0]
        assert client.predict(api_name="/variables")["graph"] is True
        for causal in ({}, {"propagate": False}, {"hold": [EFFECT]}):
            found = client.predict(do=DO, image=image, **causal, api_name="/counterfactual")[method]
            effect = found["variables"][EFFECT]
            assert (effect["requested"] == effect["factual"]) == bool(causal)
    finally:
        close()


def test_the_switch_is_there_where_there_is_a_graph(opened):
    assert graph_switch(opened).visible
    assert not graph_switch(explored(str(small_study.trained()[1]), methods=["no_cft"])).visible
