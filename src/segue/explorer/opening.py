"""What is served and printed while the explorer opens: torch, MONAI and gradio take seconds to import.

This module imports none of them, so that the address answers at once.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from segue.errors import InputError
from segue.explorer.markup import filled


class Opening(ThreadingHTTPServer):
    """A page that says what is being done, and calls the explorer as soon as that answers in its place."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.doing = "starting"
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Said)

    def say(self, doing: str, name: object = "") -> None:
        """What is done from now on, on the page and on the console, and with what: that is on the console alone."""
        self.doing = doing
        print(f"{doing} {name}".strip(), "…", flush=True)


class Said(BaseHTTPRequestHandler):
    """Every address answers with the same page; status 503, as nothing is served yet."""

    server: Opening
    timeout = 10  # seconds that a connection may be silent

    def do_GET(self) -> None:
        """The page."""
        content = filled("opening.html.j2", doing=self.server.doing).encode()
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE)
        for name, value in {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(content)),
                            "Retry-After": "1", "Cache-Control": "no-store"}.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the console."""


def bracketed(host: str) -> str:
    """A host as it is written in an address.

    >>> bracketed("::1"), bracketed("10.0.0.7")
    ('[::1]', '10.0.0.7')
    """
    return f"[{host}]" if ":" in host else host


@contextmanager
def opening(host: str, port: int) -> Iterator[Opening]:
    """Serve the page until the block ends; then the port is free again.

    Raises:
        InputError: the port is in use.
    """
    try:
        server = Opening(host, port)
    except OSError:
        raise InputError(f"--port {port}: is in use; give another, or 0 for any that is free") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
