"""Serving the page: to this machine only, unless there are passwords, and without any connection to the internet."""

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import InputError
from segue.explorer.markup import asset

if TYPE_CHECKING:
    from gradio import Blocks

    from segue.explorer.models import Explored

CONTRAST = {
    **dict.fromkeys(["color_accent", "button_primary_background_fill", "slider_color"], "#9a3412"),
    **dict.fromkeys(["body_text_color_subdued", "block_label_text_color", "block_info_text_color"], "#52525b"),
    **dict.fromkeys(["block_title_text_color", "input_placeholder_color"], "#52525b"),
    **dict.fromkeys(["button_primary_background_fill_dark", "button_primary_background_fill_hover"], "#9a3412"),
    **dict.fromkeys(["body_text_color_subdued_dark", "block_label_text_color_dark"], "#d4d4d8"),
    **dict.fromkeys(["block_info_text_color_dark", "block_title_text_color_dark"], "#d4d4d8"),
    "input_placeholder_color_dark": "#a9a9b3",
}
"""gradio's orange and greys are too light: text needs a contrast of 4.5."""
LOCAL = ("127.0.0.1", "localhost", "::1")


def check_reach(host: str, auth: Path | None) -> None:
    """Refuse to serve other machines without passwords."""
    if host not in LOCAL and auth is None:
        raise InputError(f"--host {host}: others could reach the images; give --auth FILE too, or leave --host out")


def read_users(path: Path) -> list[tuple[str, str]]:
    """The users of a file with lines of `user:password`.

    Raises:
        InputError: the file is missing, empty, malformed, or readable by other accounts.
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
    """Before gradio is imported: no telemetry, and a folder for uploads that no other account can read."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    folder = tempfile.mkdtemp(prefix="segue-explore-")  # mode 700
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = folder


def prepared(explored: "Explored") -> "Blocks":
    """The page of a model, not yet served.

    Raises:
        InputError: gradio is not installed.
    """
    silence()
    try:
        from segue.explorer.page import build_page
        from segue.hardware import keep_memory
    except ModuleNotFoundError as error:
        raise InputError(f'the explorer needs {error.name}: pip install "segue-counterfactual[explore]"') from None

    keep_memory()
    return build_page(explored)


def serve(
    explored: "Explored", *, host: str = "127.0.0.1", port: int = 7860, users: list[tuple[str, str]] | None = None
) -> tuple[str, Callable[[], None]]:
    """Start to serve a model; returns the address, and a function that stops.

    Raises:
        InputError: the port is in use, or gradio is not installed.
    """
    return serve_page(prepared(explored), host=host, port=port, users=users)


def serve_page(
    blocks: "Blocks", *, host: str, port: int, users: list[tuple[str, str]] | None
) -> tuple[str, Callable[[], None]]:
    """`serve`, of a page that is prepared."""
    try:
        _, address, _ = blocks.launch(
            server_name=host, server_port=port, auth=users or None, **private_server(), **appearance()
        )
    except OSError:
        raise InputError(f"--port {port}: is in use; give another, or 0 for any that is free") from None
    return address, blocks.close


def private_server() -> dict[str, Any]:
    """Settings of gradio: no tunnel, no access to local files, no monitoring, limits on the size of requests."""
    from starlette.middleware import Middleware

    from segue.explorer.limit import MAX_BYTES, BodyLimit

    return {
        "share": False,
        "quiet": True,
        "inbrowser": False,
        "prevent_thread_lock": True,
        "allowed_paths": [],
        "max_file_size": MAX_BYTES,
        "ssr_mode": False,
        "enable_monitoring": False,
        "app_kwargs": {"middleware": [Middleware(BodyLimit)]},
    }


def appearance() -> dict[str, Any]:
    """Fonts of the machine itself (none is downloaded), and the style sheets."""
    import gradio as gr

    default, mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    return {
        "footer_links": [],
        "theme": gr.themes.Default(font=default, font_mono=mono, text_size="md").set(**CONTRAST),
        "css": style(),
        # gradio limits the rules of css= to its own container, so rules about the document are part of the head
        "head": f"<style>{asset('marks.css')}</style>",
    }


def style() -> str:
    """The style sheet, with the colours of the differences."""
    from segue.explorer.pictures import palette

    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in palette()[::17])
    return asset("style.css").replace("SG_SCALE", stops)
