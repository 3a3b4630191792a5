"""Serving the page: on this machine, to nobody else unless there are passwords, and without a word to the internet."""

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import InputError
from segue.explorer.upload import MAX_BYTES
from segue.hardware import keep_memory

if TYPE_CHECKING:
    from segue.explorer.models import Explored

TEMPLATES = Path(__file__).parent / "templates"
LOCAL = ("127.0.0.1", "localhost", "::1")


def check_reach(host: str, auth: Path | None) -> None:
    """Refuse to be seen from elsewhere without passwords."""
    if host not in LOCAL and auth is None:
        raise InputError(f"--host {host}: others could reach the images; give --auth FILE too, or leave --host out")


def read_users(path: Path) -> list[tuple[str, str]]:
    """Lines of `user:password`.

    Raises:
        InputError: missing, empty, malformed, or for others to read.
    """
    try:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise InputError(f"--auth {path}: others may read the passwords; chmod 600 {path}")
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--auth {path}: cannot be read ({error})") from None
    users = [tuple(line.split(":", 1)) for line in lines]
    if not users or any(len(user) != 2 or not all(user) for user in users):
        raise InputError(f"--auth {path}: write one user:password a line")
    return users  # type: ignore[return-value]


def silence() -> None:
    """Before gradio is imported: no telemetry, and a folder of uploads that no other account can enter."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    folder = tempfile.mkdtemp(prefix="segue-explore-")  # mode 700
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = folder


def serve(
    explored: "Explored", *, host: str = "127.0.0.1", port: int = 7860, users: list[tuple[str, str]] | None = None
) -> tuple[str, Callable[[], None]]:
    """Begin to serve; the address, and what ends it.

    Raises:
        InputError: the port is taken, or gradio is not installed.
    """
    silence()
    try:
        from segue.explorer.page import build
    except ModuleNotFoundError as error:
        raise InputError(f'the explorer needs {error.name}: pip install "segue-counterfactual[explore]"') from None

    from starlette.middleware import Middleware

    from segue.explorer.limit import BodyLimit

    keep_memory()
    blocks = build(explored)
    try:
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            auth=users or None,
            share=False,
            quiet=True,
            inbrowser=False,
            prevent_thread_lock=True,
            allowed_paths=[],
            max_file_size=MAX_BYTES,
            ssr_mode=False,
            enable_monitoring=False,
            footer_links=[],
            app_kwargs={"middleware": [Middleware(BodyLimit)]},
            theme=theme(),
            css=style(),
            head=f"<style>{(TEMPLATES / 'marks.css').read_text()}</style>",  # css= would not reach the document itself
        )
    except OSError:
        raise InputError(f"--port {port}: is taken; give another, or 0 for any that is free") from None
    return address, blocks.close


def theme() -> Any:
    """Fonts of the machine itself: none is fetched."""
    import gradio as gr

    return gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"], text_size="md")


def style() -> str:
    """The style sheet, with the colours of the differences."""
    from segue.explorer.pictures import palette

    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in palette()[::17])
    return (TEMPLATES / "style.css").read_text().replace("SG_SCALE", stops)
