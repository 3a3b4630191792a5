"""A limit on the size of a request."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BYTES = 256 << 20  # of an uploaded file
MAX_BODY_BYTES = 64 << 20  # of a request that is no file upload; base64 makes a file a third larger


class BodyLimit:
    """Refuses a request whose declared length is too large (the server enforces it), or that declares none.

    Uploads have another limit (`MAX_BYTES`).
    """

    def __init__(self, app: ASGIApp, uploads: str = "/upload") -> None:
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH"):
            headers = dict(scope["headers"])
            if b"content-length" not in headers:
                refused = PlainTextResponse("declare the length of the request (Content-Length)", 411)
            elif int(headers[b"content-length"]) > MAX_BODY_BYTES and not scope["path"].endswith(self.uploads):
                refused = PlainTextResponse(f"{MAX_BODY_BYTES >> 20} MB at most are accepted", 413)
        await (refused or self.app)(scope, receive, send)
