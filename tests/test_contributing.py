"""The worked examples of CONTRIBUTING.md run: of each kind of extension the file, the registry's line, and the test."""

import re
from pathlib import Path
from typing import Any

import pytest

import segue.anatomy.partition
import segue.baselines
import segue.cohort.io.readers
import segue.evaluation.metric
import segue.mechanisms
import segue.training.guides

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
REGISTRIES: list[Any] = [
    segue.anatomy.partition.PARTITIONS,
    segue.training.guides.GUIDES,
    segue.mechanisms.MECHANISMS,
    segue.cohort.io.readers.READERS,
    segue.baselines.BASELINES,
    segue.evaluation.metric.FAMILIES,
    segue.evaluation.metric.METRICS,
]
KINDS = ["A partition", "A guide", "An image mechanism", "A reader", "A baseline", "A metric"]


@pytest.fixture
def registries():
    """Registries as they were, afterwards."""
    before = [registry.copy() for registry in REGISTRIES]
    yield
    for registry, content in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.extend(content) if isinstance(registry, list) else registry.update(content)


def blocks(kind: str) -> list[str]:
    """The Python of a section."""
    section = re.search(rf"^### {kind}\n(.*?)(?=^##)", TEXT, flags=re.M | re.S)
    assert section is not None, kind
    return re.findall(r"```python\n(.*?)```", section[1], flags=re.S)


def test_each_kind_has_a_file_a_line_and_a_test():
    for kind in KINDS:
        file, line, test = blocks(kind)
        assert file.strip() and "assert" in test
        assert len(line.strip().split("\n\n")[-1]) < 400


def test_the_examples_run(registries):
    """One after the other, as a reader would type them."""
    names: dict[str, Any] = {}
    for kind in KINDS:
        sizes = [len(registry) for registry in REGISTRIES]
        for block in blocks(kind):
            exec(compile(block, f"CONTRIBUTING.md, {kind}", "exec"), names)
        assert [len(registry) for registry in REGISTRIES] != sizes, kind
