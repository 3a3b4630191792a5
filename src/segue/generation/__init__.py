"""Counterfactuals of a whole cohort under a plan of interventions, to disk."""
