"""Categories of stenoses at the borders that CAD-RADS 2.0 states, and the agreement of answers with requests."""

import numpy as np
import polars as pl

from segue.evaluation.cad_rads import cad_rads, confusion, stenosis_agreement

STATED = {0: (0, 0), 1: (1, 24), 2: (25, 49), 3: (50, 69), 4: (70, 99), 5: (100, 100)}  # percent


def test_every_whole_percentage_is_in_the_category_that_states_it():
    expected = [next(k for k, (low, high) in STATED.items() if low <= p <= high) for p in range(101)]
    assert cad_rads(np.arange(101) / 100).tolist() == expected
    assert cad_rads(np.array([-0.3])).tolist() == [0]


def test_agreement_is_the_diagonal_of_the_confusion():
    random = np.random.default_rng(0)
    asked, found = random.uniform(0, 1, 200), random.uniform(0, 1, 200)
    counts = confusion(asked, found)
    told = stenosis_agreement(pl.DataFrame({"requested": asked, "judge": found}))
    assert counts.sum() == 200 and told["in_category"] == np.trace(counts) / 200
    assert np.isclose(told["points"], 100 * np.mean(np.abs(asked - found)))
