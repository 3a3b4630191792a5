"""What the explorer imports, and what it need not.

MONAI imports all its parts at once, and with each part every package that this part could use. The explorer uses
MONAI's networks only. Most of the seconds until it opened went into packages that it never calls.
"""

import gc
import sys

__all__ = ["import_monai", "settle"]

UNUSED = (
    "cupy", "h5py", "ignite", "itk", "matplotlib", "mlflow", "nibabel", "onnx", "onnxruntime", "pandas", "pydicom",
    "scipy", "skimage", "tensorboard", "tensorboardX", "tifffile", "torch.utils.tensorboard", "transformers", "zarr",
)  # fmt: skip
"""Packages that are optional to MONAI, and slow to import."""


def import_monai() -> None:
    """Import MONAI as if what is `UNUSED` were not installed. Others can import these packages as before.

    Call it in a process that uses nothing of MONAI but its networks. Until `settle` no garbage is looked for: nearly
    all that imports make stays.
    """
    gc.disable()
    if "monai" in sys.modules:
        return
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: importing it fails
    try:
        import monai  # noqa: F401
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def settle() -> None:
    """Collect garbage again, but not among what is there by now."""
    gc.freeze()
    gc.enable()
