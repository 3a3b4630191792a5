"""Methods that are no image mechanism of segue: see `segue.engine.method.Method`.

`BASELINES` is the registry: a new baseline is one file and one line here. A study lists those that it judges beside its
own methods (`baselines: [nothing]`).
"""

from collections.abc import Callable

from segue.baselines.folder import answer_name, of_folder
from segue.baselines.nothing import do_nothing
from segue.causal.parents import Parents
from segue.cohort.grid import Grid
from segue.engine.method import Method

__all__ = ["BASELINES", "answer_name", "do_nothing", "of_folder"]

BASELINES: dict[str, Callable[[Parents, Grid], Method]] = {"nothing": do_nothing}
"""By name: from the guide's parents and the study's grid to the method."""
