"""gradio without what the explorer does not use of it: its parts one by one, and no work that is thrown away."""

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from segue.lean_imports import import_by_name, import_late

__all__ = ["before_launch", "import_gradio", "pause_collecting", "settle"]


def import_gradio() -> None:
    """Import of gradio what is used of it; it writes no file, and pandas waits until something of it is used.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    import_late("pandas")
    import_by_name("gradio")
    stubs = importlib.import_module("gradio.component_meta")
    stubs.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]  # types of each component, for editors


@contextmanager
def before_launch() -> Iterator[None]:
    """While a page is built gradio makes its web application three times, and serves none of them: here it makes none.

    The page's `launch` makes the one that is served.
    """
    from gradio.routes import App

    made = App.create_app
    App.create_app = staticmethod(lambda *_, **__: None)  # type: ignore[assignment]
    try:
        yield
    finally:
        App.create_app = made  # type: ignore[method-assign]


def pause_collecting() -> None:
    """Look for no garbage until `settle`: nearly all that imports make stays."""
    gc.disable()


def settle() -> None:
    """Collect garbage again, but not among what is there by now."""
    gc.freeze()
    gc.enable()
