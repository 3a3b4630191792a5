"""docs/metrics.md has exactly the tables of the registry."""

from pathlib import Path

from segue.evaluation.metric import FAMILIES
from segue.report.reference import TABLE, metrics_table, updated

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_document_says_what_the_registry_says():
    text = DOCUMENT.read_text()
    assert text == updated(text), "run: python -m segue.report.reference docs/metrics.md"
    assert sorted(TABLE.findall(text)) == sorted(FAMILIES)
    for family in FAMILIES:
        assert metrics_table(family) in text


def test_a_table_has_every_number_of_its_family_in_the_file():
    for family in FAMILIES.values():
        stored = [metric for metric in family.metrics if not metric.minus]
        table = metrics_table(next(key for key, one in FAMILIES.items() if one is family))
        assert len(table.splitlines()) == 2 + len(stored)
        assert all(metric.caption in table for metric in stored)
