"""The figure of an ablation: where its axes begin."""

import pytest

from segue.pipeline.ablation import figure
from segue.report.columns import TableColumn


@pytest.mark.parametrize(("values", "from_zero"), [((0.5, 0.7), True), ((-1.5, -1.4), False), ((-0.01, 0.02), False)])
def test_what_can_be_negative_is_not_cut_off_at_zero(tmp_path, monkeypatch, values, from_zero):
    kept = []
    monkeypatch.setattr(figure, "save", lambda drawn, path, *, dpi: kept.append(drawn))
    column = TableColumn("quantity", "segue", values, (None, None))
    panels = [("a quantity whose name is longer than its panel is wide", [column])]
    figure.draw_ablation(tmp_path / "f.png", factor="factor", values=["a", "b"], panels=panels)
    (axes,) = kept[0].axes
    low, high = axes.get_ylim()
    assert (low == 0) == from_zero
    assert low <= min(values) and high >= max(values)
    assert max(map(len, axes.get_title().split("\n"))) <= figure.WRAP
