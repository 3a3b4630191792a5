"""Trained models that travel: a folder with all that answers need, and nothing of the cohort but what was asked for."""
