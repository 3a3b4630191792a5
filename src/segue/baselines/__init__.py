"""Methods that others would use instead, and the least that a method must improve on: see `segue.engine.method.Method`.

`BASELINES` is the registry: a new baseline is one file and one line here. A study lists those that it judges beside its
own methods, with their settings (`baselines: {nothing: {}, untrained_warp: {smoothing: 2}}`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from segue.anatomy.arguments import read_arguments
from segue.baselines.at_test_time import deform_at_test_time
from segue.baselines.base import Baseline, BaselineParts
from segue.baselines.folder import answer_name, of_folder
from segue.baselines.latent import latent_optimisation
from segue.baselines.nothing import do_nothing
from segue.baselines.warp import untrained_warp

__all__ = ["BASELINES", "Baseline", "BaselineParts", "answer_name", "baseline_settings", "do_nothing", "of_folder"]

BASELINES: dict[str, Baseline] = {
    "nothing": do_nothing,
    "untrained_warp": untrained_warp,
    "test_time_deformation": deform_at_test_time,
    "latent_optimisation": latent_optimisation,
}
"""By name: from `BaselineParts` and settings to the method."""


def baseline_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a baseline as its function takes them.

    Raises:
        InputError: a setting is not taken, or is of another type.

    >>> baseline_settings("untrained_warp", {"bisections": 6})
    {'bisections': 6}
    """
    settings_only = partial(BASELINES[name], None)  # its signature is without the parts
    return read_arguments(settings_only, given, section=f"baselines.{name}", kind=name)
