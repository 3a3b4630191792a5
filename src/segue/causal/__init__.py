"""The causal graph over the variables, the mechanism of each variable, and the structural causal model of all."""

from segue.causal.graph import causal_graph, mermaid, parents_of, sorted_names
from segue.causal.independence import Independence, check_graph, implied, verdict
from segue.causal.scalar_mechanism import SCALAR_MECHANISMS, Categorical, Censored, Continuous
from segue.causal.scm import SCM, PathEffects

__all__ = [
    "SCALAR_MECHANISMS",
    "SCM",
    "Categorical",
    "Censored",
    "Continuous",
    "Independence",
    "PathEffects",
    "causal_graph",
    "check_graph",
    "implied",
    "mermaid",
    "parents_of",
    "sorted_names",
    "verdict",
]
