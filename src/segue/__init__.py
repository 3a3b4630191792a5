"""segue: segmentor-guided counterfactual images, region by region."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from segue.engine.counterfactual import Counterfactual
    from segue.engine.effects import Mediation, effects
    from segue.engine.model import Model
    from segue.engine.population import Population, sample
    from segue.errors import InputError
    from segue.hub.load import load
    from segue.hub.locate import shipped
    from segue.hub.remote import push_to_hub
    from segue.leaderboard.row import benchmark
    from segue.straightening import Centreline, Straightened, VesselSection, read_centreline, straighten

__all__ = [
    "Centreline",
    "Counterfactual",
    "InputError",
    "Mediation",
    "Model",
    "Population",
    "Straightened",
    "VesselSection",
    "benchmark",
    "effects",
    "load",
    "push_to_hub",
    "read_centreline",
    "sample",
    "shipped",
    "straighten",
]

_HOME = {
    "Counterfactual": "segue.engine.counterfactual",
    "Mediation": "segue.engine.effects",
    "InputError": "segue.errors",
    "Model": "segue.engine.model",
    "Population": "segue.engine.population",
    "effects": "segue.engine.effects",
    "load": "segue.hub.load",
    "sample": "segue.engine.population",
    "shipped": "segue.hub.locate",
    "push_to_hub": "segue.hub.remote",
    "benchmark": "segue.leaderboard.row",
    "Centreline": "segue.straightening",
    "VesselSection": "segue.straightening",
    "Straightened": "segue.straightening",
    "read_centreline": "segue.straightening",
    "straighten": "segue.straightening",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `segue --help` need not wait for torch."""
    if name == "__version__":
        return _installed_version()
    if name not in _HOME:
        raise AttributeError(f"module 'segue' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def _installed_version() -> str:
    """The version that was installed, from the last tag; of a folder of source code that was not installed, 0."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("segue-counterfactual")
    except PackageNotFoundError:
        return "0"


def __dir__() -> list[str]:
    """The public names, although most are imported on first use."""
    return [*__all__, "__version__"]
