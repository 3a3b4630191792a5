"""Image mechanisms, one file each; `segue.mechanisms.base` says what one is.

`MECHANISMS` is the registry: a new mechanism is one file and one line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segue.mechanisms.diffusion import ANSWERING, DiffusionSettings, build_diffusion, restore_diffusion
from segue.mechanisms.hvae import HVAESettings, build_hvae, restore_hvae

__all__ = ["MECHANISMS", "MechanismKind"]


@dataclass(frozen=True)
class MechanismKind:
    """One kind of image mechanism. Its network is an `nn.Module` and a hub mixin, called `model`.

    Attributes:
        settings: the dataclass of its settings.
        build: from (settings, parents, grid, conditioning) to an untrained mechanism.
        restore: from (the saved network's arguments, parents, conditioning) to a mechanism to load weights into.
        answering: the settings that answers depend on and pre-training does not; arguments of the network too.

    >>> MECHANISMS["hvae"].settings().latent
    8
    """

    settings: type
    build: Callable[..., Any]
    restore: Callable[..., Any]
    answering: tuple[str, ...] = ()


MECHANISMS = {
    "hvae": MechanismKind(HVAESettings, build_hvae, restore_hvae),
    "diffusion": MechanismKind(DiffusionSettings, build_diffusion, restore_diffusion, ANSWERING),
}
"""By kind, as a study's `mechanism` names it."""
