"""The mini-benchmark (`make rank`): trains four tiny studies; fails when the order of the methods regresses."""

import pytest

from benchmarks.rank import as_table, cells, means

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = list(cells(tmp_path_factory.mktemp("rank")))
    print(f"\n{as_table(made)}")
    return made


def test_segue_has_the_smallest_error_of_every_cell(found):
    for one in found:
        error = one["error_sd"]
        others = min(error[name] for name in ("no_cft", "reg_cft", "pos_seg_cft"))
        assert error["segue"] < others, f"{one['law']}, seed {one['seed']}: {error}"


def test_fine_tuning_against_a_guide_has_a_smaller_error_than_none(found):
    error = means(found, "error_sd")
    assert error["pos_seg_cft"] < error["no_cft"] and error["reg_cft"] < error["no_cft"]
