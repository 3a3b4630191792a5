"""How much a browser or program may send at once."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MOST = 64 << 20  # bytes of a request that is no file upload; a file in base64 is a third larger than itself


class BodyLimit:
    """Refuses a request by the length that it declares (the server holds it to that), and one that declares none.

    Uploads have a limit of their own.
    """

    def __init__(self, app: ASGIApp, uploads: str = "/upload") -> None:
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH"):
            headers = dict(scope["headers"])
            if b"content-length" not in headers:
                refused = PlainTextResponse("say how long the request is (Content-Length)", 411)
            elif int(headers[b"content-length"]) > MOST and not scope["path"].endswith(self.uploads):
                refused = PlainTextResponse(f"{MOST >> 20} MB at most are taken", 413)
        await (refused or self.app)(scope, receive, send)
