"""segue: segmentor-guided counterfactual images, region by region."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.counterfactual import Counterfactual, Model
    from segue.errors import InputError
    from segue.mediation import Effects, effects
    from segue.population import Population, sample
    from segue.portable.locate import shipped
    from segue.run import load

__version__ = "0.1.0"
__all__ = [
    "Counterfactual",
    "Effects",
    "InputError",
    "Model",
    "Population",
    "effects",
    "load",
    "sample",
    "shipped",
]

_HOME = {
    "Counterfactual": "segue.counterfactual",
    "Effects": "segue.mediation",
    "InputError": "segue.errors",
    "Model": "segue.counterfactual",
    "Population": "segue.population",
    "effects": "segue.mediation",
    "load": "segue.run",
    "sample": "segue.population",
    "shipped": "segue.portable.locate",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `segue --help` need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'segue' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
