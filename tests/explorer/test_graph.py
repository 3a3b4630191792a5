"""A model with a graph, asked on the page: effects follow, or all else is held."""

import base64
import gzip

import nibabel
import numpy as np
import pytest
import small_study
from gradio_client import Client
from test_serve import free_port

from segue.explorer import keep
from segue.explorer.asking import ask, sweep
from segue.explorer.models import explored
from segue.explorer.page import graph_switch
from segue.explorer.serve import serve
from segue.explorer.view import view
from segue.run import load

pytestmark = pytest.mark.xdist_group("explorer")
CAUSE, EFFECT = "heart@whole", "left_lung@lower"
DO = {CAUSE: "+1sd"}


@pytest.fixture(scope="module")
def opened():
    return explored(str(small_study.trained_chest()[1]), methods=["pos_seg_cft"])


def asked(opened, propagate):
    return ask(opened, opened.choose(0).case, DO, ["pos_seg_cft"], propagate=propagate)


@pytest.mark.parametrize("propagate", [True, False])
def test_an_answer_follows_the_graph_or_holds_as_the_engine_does(opened, propagate):
    case, answer = opened.choose(0).case, asked(opened, propagate)
    expected = load(small_study.trained_chest()[1], method="pos_seg_cft").counterfactual(
        case.image[None], DO, spacing=case.spacing, propagate=propagate
    )
    assert answer.requested[EFFECT] == pytest.approx(float(expected.requested[EFFECT][0]), rel=1e-4)
    assert answer.follows == ((EFFECT,) if propagate else ())
    np.testing.assert_allclose(answer.readings[0].image, expected.image[0, 0], atol=0.05)


def test_what_follows_is_no_leakage(opened):
    answer = asked(opened, True)
    change = np.abs(answer.readings[0].image - answer.image)
    region = np.maximum(answer.regions[CAUSE], answer.regions[EFFECT])
    assert answer.readings[0].leakage == pytest.approx((change * (1 - region)).sum() / change.sum(), abs=1e-3)


def test_the_page_says_what_follows(opened):
    followed, held = (view(opened, opened.choose(0), asked(opened, propagate)) for propagate in (True, False))
    assert "1 more follow along the graph" in followed and "(follows)" in followed
    assert "follow" not in held
    assert graph_switch(opened).visible
    assert not graph_switch(explored(str(small_study.trained()[1]), methods=["no_cft"])).visible


def test_a_sweep_may_hold(opened):
    case = opened.choose(0).case
    ends = {"low": 200.0, "high": 300.0, "frames": 3}
    held, followed = (sweep(opened, case, {}, "pos_seg_cft", CAUSE, propagate=p, **ends) for p in (False, True))
    assert held.requested == followed.requested
    one = ask(opened, case, {CAUSE: 300.0}, ["pos_seg_cft"], propagate=False).readings[0]
    np.testing.assert_allclose(held.images[-1], one.image, atol=0.05)


@pytest.mark.parametrize("propagate", [True, False])
def test_the_snippet_and_the_sidecar_say_which(opened, propagate):
    chosen, answer = opened.choose(0), asked(opened, propagate)
    assert keep.sidecar(opened, chosen, answer, answer.readings[0])["propagate"] is propagate
    scope: dict = {}
    exec(keep.snippet(opened, chosen, answer), scope)
    np.testing.assert_allclose(scope["answers"]["pos_seg_cft"], answer.readings[0].image, atol=0.05)


def test_the_api_may_hold(opened):
    address, close = serve(opened, port=free_port())
    try:
        sent = {"do": DO, "image": opened.source.ids[0], "propagate": False, "api_name": "/counterfactual"}
        found = Client(address, verbose=False).predict(**sent)["pos_seg_cft"]
    finally:
        close()
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(found["nifti"])))
    np.testing.assert_allclose(image.get_fdata(), asked(opened, False).readings[0].image, rtol=1e-5, atol=0.01)
    assert found["propagate"] is False
