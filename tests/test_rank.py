"""The mini-benchmark (`make rank`, which trains): what counts as a regression of the ranking. No training here."""

import copy
import json

import pytest
from scipy import stats

from benchmarks.rank import NUMBERS, RANKING, RESULTS, orders, regressions

KEPT = json.loads(RESULTS.read_text())


def test_orders_are_those_of_a_paired_t_test_over_the_cells():
    found = orders(KEPT["cells"])
    for number in NUMBERS:
        better, worse = ([one[number][name] for one in KEPT["cells"]] for name in ("segue", "no_cft"))
        expected = stats.ttest_rel(worse, better).confidence_interval(0.95)
        assert found[number]["segue < no_cft"]["ci95"] == pytest.approx([expected.low, expected.high])


def test_the_ranking_regresses_where_an_order_is_turned_or_surely_smaller():
    kept, before = KEPT["cells"], orders(KEPT["cells"])
    assert not regressions(kept, kept)
    swapped, unsure, smaller = (copy.deepcopy(kept) for _ in range(3))
    for one in swapped:
        error = one["error_sd"]
        error["segue"], error["no_cft"] = error["no_cft"], error["segue"]
    lost = {line.split(" was ")[0] for line in regressions(kept, swapped)}
    assert lost == {f"error_sd: {pair}" for pair, one in before["error_sd"].items() if one["ordered"]}
    for number in NUMBERS:
        unsure[0][number]["segue"] -= 5.0  # far ahead in one cell: the interval now holds 0, and nothing is lost
    assert orders(unsure)["error_sd"]["segue < no_cft"]["ci95"][0] < 0 and not regressions(kept, unsure)
    for one, behind in zip(smaller, (0.0, 0.02, -0.02, 0.01), strict=True):  # level with the second, in every cell
        one["error_sd"]["segue"] = one["error_sd"]["reg_cft"] - behind
    assert "error_sd: segue < reg_cft" in {line.split(" was ")[0] for line in regressions(kept, smaller)}


def test_segue_is_ahead_of_the_papers_methods_and_those_of_none_in_what_is_kept():
    found = orders(KEPT["cells"])
    assert all(found["error_sd"][f"segue < {name}"]["ordered"] for name in RANKING[1:])
    assert all(found["distance"][f"segue < {name}"]["ordered"] for name in ("pos_seg_cft", "reg_cft"))
    assert all(found["error_sd"][f"{name} < no_cft"]["ordered"] for name in ("pos_seg_cft", "reg_cft"))
