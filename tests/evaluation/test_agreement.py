"""Categories of stenoses at the borders that CAD-RADS 2.0 states, and the agreement of answers with requests."""

import numpy as np
import polars as pl

from segue.anatomy.measurement.stenosis import CAD_RADS
from segue.evaluation.agreement import category_agreement, confusion
from segue.evaluation.metrics import summarise
from segue.report.category_tables import category_sections

STATED = {0: (0, 0), 1: (1, 24), 2: (25, 49), 3: (50, 69), 4: (70, 99), 5: (100, 100)}  # percent


def test_every_whole_percentage_is_in_the_category_that_states_it():
    expected = [next(k for k, (low, high) in STATED.items() if low <= p <= high) for p in range(101)]
    assert CAD_RADS.of(np.arange(101) / 100).tolist() == expected
    assert CAD_RADS.of(np.array([-0.3])).tolist() == [0]


def test_agreement_is_the_diagonal_of_the_confusion():
    random = np.random.default_rng(0)
    asked, found = random.uniform(0, 1, 200), random.uniform(0, 1, 200)
    counts = confusion(asked, found, CAD_RADS)
    told = category_agreement(pl.DataFrame({"requested": asked, "judge": found}), CAD_RADS)
    assert counts.sum() == 200 and told["in_category"] == np.trace(counts) / 200
    assert np.isclose(told["points"], 100 * np.mean(np.abs(asked - found)))


def test_a_stenosis_has_its_categories_in_metrics_and_report():
    """And an area has none."""
    rows = {
        "image": [0, 1, 0, 1], "variable": ["lumen@mid:stenosis"] * 2 + ["lumen@mid"] * 2,
        "requested": [0.6, 0.8, 5.0, 6.0], "judge": [0.5, 0.6, 5.5, 6.5],
    }  # fmt: skip
    sd = {"lumen@mid:stenosis": 0.2, "lumen@mid": 1.0}
    found = summarise(pl.DataFrame(rows), sd=sd, subjects=["a", "b"], bootstrap=9, seed=0)
    assert "cad_rads" not in found["variables"]["lumen@mid"]
    told = found["variables"]["lumen@mid:stenosis"]["cad_rads"]
    assert np.isclose(told["points"], 15) and told["in_category"] == 0.5
    first, matrix = category_sections({"methods": {"segue": found}, "variables": list(sd)})
    assert first.rows == [("segue", [("15.0", False), ("50%", False)])]
    assert [(name, [cell for cell, _ in cells]) for name, cells in matrix.rows] == [
        ("3 (50-69%)", ["0", "0", "0", "1", "0", "0"]),
        ("4 (70-99%)", ["0", "0", "0", "1", "0", "0"]),
    ]
