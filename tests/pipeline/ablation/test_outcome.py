"""The outcome of an ablation from metrics.json alone."""

from segue.evaluation.metric import shown_in
from segue.pipeline.ablation.outcome import ablation_panels, ablation_table, of_method, of_run

FULL = {
    "mean": {"error_sd": 0.5, "ci95": [0.25, 0.75], "off_target_sd": 0.125, "leakage": 0.25, "reach": 0.5},
    "local_realism": {"auc": 0.75, "ci95": [0.7, 0.8]},
    "truth": {"mae": 8.0, "ci95": [7.0, 9.0]},
    "nelbo": {"guide": -2.5, "test": -2.25},
}
FOLDER = {"mean": {"error_sd": 1.0, "ci95": [0.5, 1.5], "off_target_sd": 0.5, "leakage": None}}
METRICS_JSON = {
    "unit": "mm2", "n_images": 8, "n_subjects": 4, "variables": ["a", "b"], "truth_of_doing_nothing": None,
    "methods": {"segue": FULL, "folder": FOLDER}, "segmentors": {"judge": {"error_sd": {"a": 0.25, "b": 0.75}}},
}  # fmt: skip


def test_every_metric_has_its_number_and_interval():
    found = of_method(FULL)
    assert {key: one["value"] for key, one in found.items()} == {
        "error_sd": 0.5, "off_target_sd": 0.125, "leakage": 0.25, "truth_mae": 8.0, "nelbo": -2.25, "gap": 0.25,
        "reach": 0.5, "local_realism": 0.75,
    }  # fmt: skip
    assert found["error_sd"]["ci95"] == (0.25, 0.75) and found["truth_mae"]["ci95"] == (7.0, 9.0)
    assert found["leakage"]["ci95"] is None


def test_what_a_method_lacks_is_a_dash():
    entry = {"value": "1", "run": "one", **of_run(METRICS_JSON)}
    assert entry["truth_of_doing_nothing"] is None and entry["segmentors"] == {"judge": 0.5}
    found = {"factor": "size", "notes": "", "values": [entry]}
    assert len(list(ablation_panels(found))) == len(shown_in("ablation"))
    blocks = ablation_table(found).split("\n\n")

    def cells(title):
        table = blocks[blocks.index(f"**{title}**") + 1]
        return [cell.strip() for cell in table.splitlines()[2].split("|")[2:-1]]

    assert cells("error (sd)") == ["0.500 [0.250, 0.750]", "1.00 [0.50, 1.50]"]
    assert cells("leakage") == ["0.250", "–"]
    assert cells("over-fitting gap (nats/pixel)") == ["0.250", "–"]
