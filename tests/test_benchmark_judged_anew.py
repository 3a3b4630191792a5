"""Rows of a kept table that are judged anew: replaced where everything else is the same, and else nothing is."""

import copy
import json
from pathlib import Path

import pytest

from benchmarks.judged_anew import merged

KEPT = json.loads(Path("results/baselines/chest/metrics.json").read_text())
ROWS, BEST = ["guided_diffusion"], "segue_move_only"


def smaller(*names):
    """The table of a smaller run, in which the row has another error."""
    found = copy.deepcopy(KEPT) | {"methods": {name: copy.deepcopy(KEPT["methods"][name]) for name in (*names, *ROWS)}}
    row = found["methods"]["guided_diffusion"]
    row["mean"]["error_sd"], row["over_best"] = 0.25, {"value": 0.1, "ci95": [0.05, 0.15]}
    return found | {"commit": "abc", "command": "segue evaluate smaller"}


def test_a_row_is_replaced_and_the_rest_stays():
    anew = smaller("nothing", BEST)
    for name in ("nothing", *ROWS):
        anew["methods"][name]["training_seconds"] = 99.0  # of another machine
    found = merged(KEPT, anew, ROWS)
    row = found["methods"]["guided_diffusion"]
    assert row["mean"]["error_sd"] == 0.25
    assert row["training_seconds"] == KEPT["methods"]["guided_diffusion"]["training_seconds"] != 99
    assert list(found["methods"]) == list(KEPT["methods"])
    assert all(found["methods"][name] == one for name, one in KEPT["methods"].items() if name not in ROWS)
    assert found["judged_anew"]["guided_diffusion"]["command"] == "segue evaluate smaller"
    assert "over_best" in row
    assert "over_best" not in merged(KEPT, smaller("nothing"), ROWS)["methods"]["guided_diffusion"]


def test_other_networks_other_images_and_no_control_are_refused():
    other = smaller("nothing", BEST)
    other["methods"][BEST]["variables"]["heart@whole"]["error"] *= 1.01
    with pytest.raises(ValueError, match=f"{BEST}/variables/heart@whole/error: "):
        merged(KEPT, other, ROWS)
    other = smaller(BEST)
    other["methods"][BEST]["local_realism"]["auc"] += 0.01  # of a network trained on another machine
    merged(KEPT, other, ROWS)
    other["methods"][BEST]["local_realism"]["auc"] += 0.2
    with pytest.raises(ValueError, match=f"{BEST}/local_realism: "):
        merged(KEPT, other, ROWS)
    with pytest.raises(ValueError, match="n_images: 24 and 23"):
        merged(KEPT, smaller(BEST) | {"n_images": 23}, ROWS)
    with pytest.raises(ValueError, match="no method that stays"):
        merged(KEPT, smaller(), ROWS)


def test_controls_are_chosen_and_may_be_a_row_with_its_former_settings():
    anew, before = smaller("nothing", BEST), f"{ROWS[0]}_before"
    anew["methods"][before] = copy.deepcopy(KEPT["methods"][ROWS[0]])
    anew["methods"][BEST]["mean"]["error_sd"] *= 1.01  # of another network, which is not behind the row
    found = merged(KEPT, anew, ROWS, ["nothing", before])
    assert list(found["judged_anew"][ROWS[0]]["controls"]) == ["nothing", before] and before not in found["methods"]
    anew["methods"][before]["mean"]["error_sd"] *= 1.01
    with pytest.raises(ValueError, match=f"{before}/mean/error_sd: "):
        merged(KEPT, anew, ROWS, ["nothing", before])
