"""Types and tensor shapes are checked at run time in every test; fixtures give the smallest of everything."""

import sys
from pathlib import Path

from jaxtyping import install_import_hook

install_import_hook("segue", "beartype.beartype")

import pytest
import tiny
import torch
from hypothesis import settings

from segue.causal.facts import Facts
from segue.causal.parents import Parents
from segue.cohort import Record, Store, write_store
from segue.mechanisms.hvae import HVAEMechanism
from segue.phantom import STRUCTURES, render_cohort

settings.register_profile("segue", deadline=None)  # a first call pays for imports
settings.load_profile("segue")
torch.set_num_threads(1)  # tensors are tiny, and several workers may share the machine

PHANTOM_SIZE = (16, 48)


@pytest.fixture(autouse=True)
def fresh_accelerate():
    """Accelerate keeps its settings in singletons: one test's precision must not be the next one's."""
    yield
    if "accelerate" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def browser():
    from chromium import CHROMIUM
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "SEGUE_REQUIRE_BROWSER is set, but there is no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def phantom_records() -> list[Record]:
    return list(render_cohort(24, size=PHANTOM_SIZE, seed=1))


@pytest.fixture(scope="session")
def phantom_path(phantom_records, tmp_path_factory) -> Path:
    """A store of 24 phantoms, 12 of them in the split "guide"."""
    path = tmp_path_factory.mktemp("cohort") / "cohort.zarr"
    split = {"guide": 0.5, "judge": 0.25, "test": 0.25}
    write_store(path, phantom_records, structures=STRUCTURES, size=PHANTOM_SIZE, split=split, seed=0)
    return path


@pytest.fixture(scope="session")
def phantom_store(phantom_path) -> Store:
    return Store(phantom_path)


@pytest.fixture
def parents() -> Parents:
    return tiny.bar_parents()


@pytest.fixture(params=["map", "broadcast"])
def mechanism(request, parents) -> HVAEMechanism:
    """An untrained image mechanism over `tiny.bars`, conditioned either way."""
    net = tiny.hvae(context=parents.context_channels(request.param))
    return HVAEMechanism(model=net, parents=parents, conditioning=request.param)


@pytest.fixture
def factual(parents) -> Facts:
    """Six images, measured."""
    x, area = tiny.bars(6, seed=1), torch.full((6,), 0.5)
    areas, frames = parents.factual(x, area)
    return Facts(x, areas, parents.weights(frames, tiny.SIZE), area)
