"""Serving the page: to this machine only, unless there are passwords, and without any connection to the internet."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.errors import InputError
from segue.explorer.lean_gradio import import_gradio
from segue.explorer.markup import asset
from segue.explorer.opening import bracketed, opening
from segue.text import one_line, shortened

if TYPE_CHECKING:
    from gradio import Blocks

    from segue.explorer.models import Explored
    from segue.explorer.private_folder import PrivateFolder

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


@dataclass(frozen=True)
class Prepared:
    """A page that can be served: of which model, and with which folder for uploads."""

    blocks: "Blocks"
    explored: "Explored"
    folder: "PrivateFolder"


def prepared(explored: "Explored") -> Prepared:
    """The page of a model, not yet served; gradio sends nothing about its use.

    Raises:
        InputError: gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ |= {name: unproxied(os.environ.get(name, "")) for name in ("NO_PROXY", "no_proxy")}  # it asks itself
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(1 << 30)  # no table of all events after each of them
    try:
        from segue.explorer.private_folder import PrivateFolder

        folder = PrivateFolder()  # before gradio is imported
        import_gradio()
        from segue.explorer.page import build_page
        from segue.hardware import keep_memory
    except ModuleNotFoundError as error:
        raise InputError(f'the explorer needs {error.name}: pip install "segue-counterfactual[explore]"') from None

    keep_memory()
    return Prepared(build_page(explored), explored, folder)


def unproxied(names: str) -> str:
    """`NO_PROXY` with the names of this machine: gradio asks itself whether it is there, and a proxy could not know.

    >>> unproxied("lab.org")
    'lab.org,127.0.0.1,localhost,::1'
    """
    return ",".join(dict.fromkeys([*filter(None, names.split(",")), *LOCAL]))


def serve(
    explored: "Explored",
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    users: Sequence[tuple[str, str]] = (),
    names: Sequence[str] = (),
) -> tuple[str, Callable[[], None]]:
    """Start to serve a model; returns the address, and a function that stops.

    Args:
        users: names and passwords; none: nobody has to log in.
        names: under which browsers reach the page, besides those of this machine.

    Raises:
        InputError: the port is in use, or gradio is not installed.
    """
    return serve_page(prepared(explored), host=host, port=port, users=users, names=names)


def serve_page(
    page: Prepared, *, host: str, port: int, users: Sequence[tuple[str, str]] = (), names: Sequence[str] = ()
) -> tuple[str, Callable[[], None]]:
    """`serve`, of a page that is prepared."""
    from segue.explorer.logins import RULE, Logins

    settings = private_server(page, host, names) | appearance()
    if users:  # gradio's login does not show why a login has to wait
        settings |= {"auth": Logins(users), "auth_message": RULE}
    page.explored.quick.stay()
    try:
        with opening(host, port):  # else gradio says that it found no port, which may have other reasons
            pass
        _, address, _ = page.blocks.launch(server_name=bracketed(host), server_port=port, **settings)
    except InputError:
        page.folder.remove()
        raise
    except Exception as error:  # of many types, and of none in particular
        page.folder.remove()
        raise InputError(
            f"the page could not be served: {shortened(one_line(error))} (is this machine very busy? try again)"
        ) from error

    def close() -> None:
        page.explored.quick.leave()
        page.blocks.close(verbose=False)
        page.folder.remove()  # also where the server did not end in time

    return address, close


def private_server(page: Prepared, host: str, names: Sequence[str]) -> dict[str, Any]:
    """Settings of gradio: no tunnel, no access to local files, no monitoring, no history in the browser, and guards.

    The guards see a request in the order of the list, before anything of it is read.
    """
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from segue.explorer.calls import Calls
    from segue.explorer.guard import Guard, host_names
    from segue.explorer.limit import MAX_BYTES, BodyLimit
    from segue.explorer.tidy import tidied

    guards = [
        Middleware(TrustedHostMiddleware, allowed_hosts=host_names(host, names), www_redirect=False),
        Middleware(Guard, names=names),
        Middleware(BodyLimit, folder=page.folder, check=Calls(page.blocks).check),
    ]
    return {
        "share": False,
        "quiet": True,
        "inbrowser": False,
        "prevent_thread_lock": True,
        "allowed_paths": [],
        "max_file_size": MAX_BYTES,
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "_frontend": False,  # serves the page, but does not ask for it once more with a limit of 3 s
        "app_kwargs": {"middleware": guards, "lifespan": tidied(page.folder, page.explored)},
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
