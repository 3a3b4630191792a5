"""What the explorer imports, and what it need not.

Most of the seconds until it opened went into packages and files that it never uses: MONAI imports all its parts at
once, and with each part every package that this part could use; gradio writes a file of types for each of its
components, for editors.
"""

import gc
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any

__all__ = ["import_gradio", "import_monai", "settle"]

UNUSED = (
    "cupy", "h5py", "ignite", "itk", "matplotlib", "mlflow", "nibabel", "onnx", "onnxruntime", "pandas", "pydicom",
    "scipy", "skimage", "tensorboard", "tensorboardX", "tifffile", "torch.utils.tensorboard", "transformers", "zarr",
)  # fmt: skip
"""Packages that are optional to MONAI, and slow to import."""
STUBS, LATE = "gradio.component_meta", "pandas"
"""The module of gradio that writes files of types, and a package of which it uses nothing here."""


def import_monai() -> None:
    """Import MONAI, and nibabel, as if what is `UNUSED` were not installed. Others can import these packages as before.

    Call it in a process that uses nothing of MONAI but its networks. Until `settle` no garbage is looked for: nearly
    all that imports make stays.
    """
    gc.disable()
    import_without("monai", UNUSED)
    import_without("nibabel", ("pydicom", "matplotlib"))  # for headers in DICOM, and to draw


def import_without(package: str, unused: Sequence[str]) -> None:
    """Import a package as if others were not installed."""
    if package in sys.modules:
        return
    hidden = [name for name in unused if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: importing it fails
    try:
        importlib.import_module(package)
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def import_gradio() -> None:
    """Import gradio. It writes no file, and pandas is imported when something of it is used.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if "gradio" in sys.modules:
        return
    sys.meta_path.insert(0, finder := LeanFinder())
    try:
        importlib.import_module("gradio")
    finally:
        sys.meta_path.remove(finder)


class LeanFinder(MetaPathFinder):
    """Finds two modules where they are: what writes files of types then does nothing, and what is `LATE` waits."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own place."""
        spec = PathFinder.find_spec(name, path) if name in (STUBS, LATE) else None
        if spec is None or spec.loader is None:
            return None
        if name == LATE:
            spec.loader = LazyLoader(spec.loader)
            return spec
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            if hasattr(module, "create_or_modify_pyi"):
                module.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def settle() -> None:
    """Collect garbage again, but not among what is there by now."""
    gc.freeze()
    gc.enable()
