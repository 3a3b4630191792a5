"""Is it of use? Counterfactuals as training data, against a bias, and as a progression (docs/use.md)."""
