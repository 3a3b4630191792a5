"""The mini-benchmark (`make rank`): trains four tiny studies; fails when the order of the methods regresses.

Asserted is what is robust at this budget. That Pos-Seg-CFT has a smaller error than Reg-CFT is not, and at this budget
No-CFT is nearer to the truth than both, because it hardly changes the image (docs/benchmark.md).
"""

import pytest

from benchmarks.rank import as_table, cells, means

pytestmark = pytest.mark.bench
PAPERS = ("reg_cft", "pos_seg_cft")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = list(cells(tmp_path_factory.mktemp("rank")))
    print(f"\n{as_table(made)}")
    return made


def test_segue_has_the_smallest_error_of_every_cell(found):
    for one in found:
        error = one["error_sd"]
        assert error["segue"] < min(error[name] for name in ("no_cft", *PAPERS)), one


def test_fine_tuning_has_a_smaller_error_than_none_by_a_margin(found):
    error = means(found, "error_sd")
    assert max(error[name] for name in PAPERS) < error["no_cft"] - 0.1


def test_segue_is_nearer_to_the_truth_than_the_papers_methods(found):
    distance = means(found, "distance")
    assert distance["segue"] < min(distance[name] for name in PAPERS)
