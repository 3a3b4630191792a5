"""The summary for the terminal."""

from fakes import METHODS, fake_metrics

from segue.report.console import summary_table


def columns(metrics):
    return {column.header: list(column.cells) for column in summary_table(metrics).columns}


def test_every_method_has_its_numbers():
    metrics = fake_metrics()
    metrics["methods"]["no_cft"]["mean"]["ci95"] = [0.25, 0.75]
    found = columns(metrics)
    assert list(found) == ["method", "error (sd)", "95% CI", "off-target (sd)", "leakage", "reversibility"]
    assert found["method"] == METHODS
    assert found["error (sd)"] == [f"{one['mean']['error_sd']:.3f}" for one in metrics["methods"].values()]
    assert found["95% CI"][:2] == ["0.250 to 0.750", "–"]
    assert found["reversibility"] == [f"{one['reversibility']:.4f}" for one in metrics["methods"].values()]


def test_what_a_method_lacks_is_a_dash():
    metrics = fake_metrics() | {"methods": {"folder": {"mean": {"error_sd": 0.5, "leakage": None}}}}
    assert list(columns(metrics).values()) == [["folder"], ["0.500"], ["–"], ["–"], ["–"], ["–"]]
