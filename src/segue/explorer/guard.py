"""Who may ask what: no other web site, only what the page needs, and before the login nothing about the model."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from segue.explorer.limit import refused_with
from segue.explorer.logins import asking
from segue.explorer.opening import bracketed

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
PUBLIC = ("/", "/login", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt", "/gradio_api/startup-events")
STATIC = ("/assets/", "/static/", "/svelte/")
MEMBERS = (
    "/config", "/logout", "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/login_check", "/gradio_api/user",
    "/gradio_api/theme.css", "/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/queue/join",
    "/gradio_api/queue/data", "/gradio_api/cancel", "/gradio_api/reset",
)  # fmt: skip
BELOW = ("/gradio_api/heartbeat/", "/gradio_api/call/")
"""What the page and the API need. gradio serves more (a proxy, files, streams, histories), which is closed here."""


class Guard:
    """Refuses what comes from other web sites, what is not needed, and, where there are users, who is not logged in.

    Args:
        names: under which browsers reach the page. A page of another origin than these may not ask.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and (refused := self.refused(scope)) is not None:
            await refused(scope, receive, send)
        else:
            asking.set(str((scope.get("client") or ("",))[0]))
            await self.app(scope, receive, send)

    def refused(self, scope: Scope) -> Response | None:
        """What is answered in place of gradio's answer; None where gradio may answer."""
        path = scope["path"].rstrip("/") or "/"
        public = path in PUBLIC or path.startswith(STATIC)
        if self.foreign(scope, path):
            return refused_with(403, "another web site asked; open the explorer's own page")
        if not public and path not in MEMBERS and not path.startswith(BELOW):
            return refused_with(404, "the explorer does not serve this")
        if not public and not logged_in(scope):
            return refused_with(401, "log in first")
        return None

    def foreign(self, scope: Scope, path: str) -> bool:
        """Whether a page of another site asks, by what browsers say of it; a link to the page itself may be followed.

        Programs say nothing of it, and browsers always.
        """
        headers = Headers(scope=scope)
        follows = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        link = follows and path == "/" and scope["method"] in ("GET", "HEAD")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not link:
            return True
        if (origin := headers.get("origin")) is None:
            return False
        asked_by = urlsplit(origin)
        return asked_by.netloc != headers.get("host") and asked_by.hostname not in self.names


def logged_in(scope: Scope) -> bool:
    """Whether there are no users, or one of them asks: the same as gradio's own check, but before the body is read."""
    app: Any = scope["app"]
    cookies = Request(scope).cookies
    tokens = (cookies.get(f"access-token-{kind}{app.cookie_id}") for kind in ("", "unsecure-"))
    return app.auth is None or any(token in app.tokens for token in tokens)


def host_names(host: str, more: Sequence[str] = ()) -> list[str]:
    """The names under which a server that listens at `host` is reached, and `more`.

    A name that is not among them may be one that a foreign site points to this machine (DNS rebinding).

    >>> host_names("127.0.0.1", ["segue.lab"])
    ['localhost', '127.0.0.1', '[::1]', 'segue.lab']
    """
    if host in ("0.0.0.0", "::"):
        addresses = [one.address for found in psutil.net_if_addrs().values() for one in found]
        own = [socket.gethostname().lower(), *map(bracketed, filter(is_address, addresses))]
    else:
        own = [bracketed(host)]
    return list(dict.fromkeys([*LOOPBACK, *own, *(name.lower() for name in more)]))


def is_address(text: str) -> bool:
    """Whether it is an IP address, without a zone (`%eth0`)."""
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False
