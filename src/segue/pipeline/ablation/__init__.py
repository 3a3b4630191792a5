"""A study at several values of one factor, and what that did to its counterfactuals.

Each value is a run of its own, `runs/ablations/<ablation>-<value>`. All runs of all ablations lie side by side: a stage
that one of them has done alike is taken from there (`segue.pipeline`), and only what differs is trained.
"""

from segue.pipeline.ablation.ablate import ablate
from segue.pipeline.ablation.ablation_file import Ablation, load_ablation

__all__ = ["Ablation", "ablate", "load_ablation"]
