"""The benchmark of generation at its smallest: what it claims of kills and workers is checked by itself."""

import json

import pytest

from benchmarks import generation
from benchmarks.record import run


@pytest.mark.slow
@pytest.mark.xdist_group("small_study")
def test_generation_is_measured_and_whole(tmp_path):
    scale = {"images": 24, "interventions": 2}
    run("generation", generation.measure, full=scale, quick=scale, arguments=["--out", str(tmp_path)])
    content = json.loads((tmp_path / "generation.json").read_text())
    rows = {(row["work"], row["workers"]): row for row in content["rows"]}
    assert rows["the cohort", 1]["counterfactuals"] == rows["the cohort", 2]["counterfactuals"] == 48
    assert rows["finished after kill -9", 2]["shards_done_before"] >= 4
    assert all(row["peak_mb"] > 100 and row["counterfactuals_per_second"] > 0 for row in rows.values())
    assert content["ratios"][-1]["value"] == 1
