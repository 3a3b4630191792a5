"""segue inside other people's pipelines: counterfactual augmentation for MONAI and TorchIO, and MONAI bundles."""
