"""Counterfactuals of a whole cohort under a plan of interventions, to disk."""

from segue.generation.generate import generate

__all__ = ["generate"]
