"""Limits on what a request may hold: its length, how it is framed, how long it may stall, and which files it names."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segue.errors import InputError
from segue.explorer.private_folder import PrivateFolder

MAX_BYTES = 256 << 20  # of an uploaded file
MAX_UPLOAD_BYTES = MAX_BYTES + (1 << 20)  # of the request around it
MAX_BODY_BYTES = 64 << 20  # of a request that is no file upload; base64 makes a file a third larger
MAX_LOGIN_BYTES = 4096
MAX_WAITING_BYTES = 256 << 20  # of all requests that are being read
MAX_VALUES, MAX_DEPTH = 100_000, 32  # numbers, texts and objects of one request, and how deep they are nested
STALL = 30.0  # seconds without a byte of a request that is not complete
UPLOAD, LOGIN = "/gradio_api/upload", "/login"


def refused_with(status: int, said: str) -> Response:
    """What a client is told whose request is refused: in the form of gradio's own, so that its clients show it."""
    detail = [{"__type__": "validate", "is_valid": False, "parameter_name": "request", "message": said}]
    return JSONResponse({"error": said, "detail": detail}, status)


class BodyLimit:
    """Reads requests with a body within limits, and refuses the others: before a byte of them is read, where it can.

    A body has a declared length (Content-Length). One in chunks is refused, also if it declares a length besides. JSON
    is read here, once: it is bounded, has no number that is not finite, and names uploads by the names that this server
    gave them (`PrivateFolder.name_of`), never by a path or an address.

    Args:
        check: from the path of a request and its JSON to what is handed on; raises an `InputError`.
    """

    def __init__(self, app: ASGIApp, folder: PrivateFolder, check: Callable[[str, Any], Any]) -> None:
        self.app, self.folder, self.check, self.waiting = app, folder, check, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self.app(scope, receive, send)
        path = scope["path"].rstrip("/")
        try:
            length = declared_length(Headers(scope=scope), limit_of(path))
            if path == UPLOAD:
                await self.upload(scope, counted(receive, length), send, length)
            else:
                await self.read_whole(scope, counted(receive, length), send, length)
        except HTTPException as refused:
            await refused_with(refused.status_code, refused.detail)(scope, receive, send)
        except InputError as wrong:
            await refused_with(422, str(wrong))(scope, receive, send)

    async def upload(self, scope: Scope, receive: Receive, send: Send, length: int) -> None:
        """A file: its bytes go to the disk as they come, if there is room."""
        with self.folder.room_for(length) as fits:
            if not fits:
                room = f"{self.folder.capacity >> 20} MB"
                raise HTTPException(507, f"all uploads together may have {room}; try again when older ones are deleted")
            await self.app(scope, receive, renamed(send, self.folder))

    async def read_whole(self, scope: Scope, receive: Receive, send: Send, length: int) -> None:
        """Anything else: read as a whole, checked, and handed on."""
        if self.waiting + length > MAX_WAITING_BYTES:
            raise HTTPException(503, "too many large requests at once; try again later")
        self.waiting += length
        try:
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
            if scope["path"].rstrip("/") != LOGIN:
                body = self.checked_json(body, scope)
            await self.app(with_length(scope, len(body)), replayed(body, receive), send)
        finally:
            self.waiting -= length

    def checked_json(self, body: bytes, scope: Scope) -> bytes:
        """A body of JSON whose files are named by path, for gradio.

        Raises:
            HTTPException: it is not JSON, or holds too many values or NaN.
            InputError: it names a file that was not uploaded, or `check` refuses it.
        """
        if Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "send JSON, with Content-Type: application/json")
        if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise HTTPException(413, f"a request may hold {MAX_VALUES:,} values at most")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise HTTPException(400, "the request is not valid JSON (NaN and Infinity are none)") from None
        value = with_paths(value, lambda name: str(self.folder.find(name)))
        return orjson.dumps(self.check(scope["path"].rstrip("/"), value))


def limit_of(path: str) -> int:
    """The largest body of a request to `path`, in bytes."""
    return {UPLOAD: MAX_UPLOAD_BYTES, LOGIN: MAX_LOGIN_BYTES}.get(path, MAX_BODY_BYTES)


def declared_length(headers: Headers, limit: int) -> int:
    """The length that a request declares.

    Raises:
        HTTPException: it declares none, several, another framing besides, or too much.
    """
    lengths = headers.getlist("content-length")
    if "transfer-encoding" in headers or not lengths:
        raise HTTPException(411, "declare the length of the request (Content-Length), and send it in one piece")
    if len(lengths) > 1 or not lengths[0].isascii() or not lengths[0].isdigit():
        raise HTTPException(400, "declare one length of the request (Content-Length)")
    if len(lengths[0]) > 15 or int(lengths[0]) > limit:
        raise HTTPException(413, f"{max(limit >> 20, 1)} MB at most are accepted")
    return int(lengths[0])


def counted(receive: Receive, length: int) -> Receive:
    """What is received, as long as it does not stall and is not longer than it was declared."""
    got = 0

    async def bounded() -> Message:
        nonlocal got
        if got >= length:  # all is here: what is awaited now is the end of the connection
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), STALL)
        except TimeoutError:
            raise HTTPException(408, "the request stopped before its end") from None
        got += len(message.get("body", b""))
        if got > length:
            raise HTTPException(413, "the request is longer than it says")
        return message

    return bounded


def replayed(body: bytes, receive: Receive) -> Receive:
    """A body that is here already, then what comes after it."""
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return again


def with_length(scope: Scope, length: int) -> Scope:
    """The request's head, with the length of what is handed on."""
    others = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*others, (b"content-length", str(length).encode())]}


def with_paths(value: Any, path_of: Callable[[str], str], depth: int = 0) -> Any:
    """JSON in which each file (an object with a `path`) has the path for its name, and no address to load it from."""
    if depth > MAX_DEPTH:
        raise InputError(f"a request may be nested {MAX_DEPTH} levels deep at most")
    if isinstance(value, list):
        return [with_paths(one, path_of, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    if not isinstance(value.get("path"), str):
        return {key: with_paths(one, path_of, depth + 1) for key, one in value.items()}
    return {"path": path_of(value["path"]), "meta": {"_type": "gradio.FileData"}}


def renamed(send: Send, folder: PrivateFolder) -> Send:
    """The reply to an upload, with names in place of paths."""
    head: list[Message] = []
    body = b""

    async def named(message: Message) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            head.append(message)
            return
        body += message.get("body", b"")
        if message.get("more_body", False):
            return
        if head[0]["status"] == 200:
            body = orjson.dumps([folder.name_of(path) for path in orjson.loads(body)])
        await send({**head[0], "headers": with_length(head[0], len(body))["headers"]})
        await send({"type": "http.response.body", "body": body})

    return named
