"""Methods that others would use instead, and the least that a method must improve on: see `segue.engine.method.Method`.

`BASELINES` is the registry: a new baseline is one file and one line here. A study lists those that it judges beside its
own methods, with their settings (`baselines: {nothing: {}, untrained_warp: {smoothing: 2}}`). An entry of another name
says which one it is (`smoother: {kind: untrained_warp, smoothing: 6}`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from segue.anatomy.arguments import read_arguments
from segue.baselines.at_test_time import deform_at_test_time
from segue.baselines.base import Baseline, BaselineParts
from segue.baselines.folder import answer_name, of_folder
from segue.baselines.guided import guided_diffusion
from segue.baselines.inpainting import mask_inpainting
from segue.baselines.latent import latent_optimisation
from segue.baselines.nothing import do_nothing
from segue.baselines.warp import untrained_warp
from segue.errors import InputError, nearest

__all__ = [
    "ANSWERS_WITH",
    "BASELINES",
    "Baseline",
    "BaselineParts",
    "answer_name",
    "baseline_kind",
    "baseline_settings",
    "do_nothing",
    "of_folder",
]

BASELINES: dict[str, Baseline] = {
    "nothing": do_nothing,
    "untrained_warp": untrained_warp,
    "test_time_deformation": deform_at_test_time,
    "latent_optimisation": latent_optimisation,
    "guided_diffusion": guided_diffusion,
    "mask_inpainting": mask_inpainting,
}
"""By name: from `BaselineParts` and settings to the method."""
ANSWERS_WITH: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "latent_optimisation": ("guide", "mechanism"),
    "guided_diffusion": ("guide", "diffusion"),
    "mask_inpainting": ("guide", "diffusion"),
}
"""The trained networks that a baseline answers with, where it is not the guide alone."""


def baseline_kind(name: str, given: Mapping[str, Any]) -> str:
    """Which baseline an entry of a study is: its `kind`, or the one of its name.

    Raises:
        InputError: there is none of this kind.

    >>> baseline_kind("held", {"kind": "guided_diffusion", "hold": True}), baseline_kind("nothing", {})
    ('guided_diffusion', 'nothing')
    """
    kind = given.get("kind", name)
    if kind not in BASELINES:
        key = f"{name}.kind: {kind}" if "kind" in given else name
        raise InputError(f"baselines: {key} is no baseline{nearest(str(kind), BASELINES)}")
    return str(kind)


def baseline_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a baseline as its function takes them.

    Raises:
        InputError: there is no such baseline; a setting is not taken, or is of another type.

    >>> baseline_settings("untrained_warp", {"bisections": 6})
    {'bisections': 6}
    """
    kind = baseline_kind(name, given)
    settings_only = partial(BASELINES[kind], None)  # its signature is without the parts
    rest = {key: value for key, value in given.items() if key != "kind"}
    return read_arguments(settings_only, rest, section=f"baselines.{name}", kind=kind)
