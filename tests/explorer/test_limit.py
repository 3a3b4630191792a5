"""Bodies: what is counted while it comes, what stalls, what JSON may hold, and which files it may name."""

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from segue.explorer import limit
from segue.explorer.limit import UPLOAD, BodyLimit
from segue.explorer.private_folder import PrivateFolder


@pytest.fixture
def folder():
    folder = PrivateFolder(capacity=1000)
    yield folder
    folder.remove()


@pytest.fixture
def app(folder):
    async def echo(request: Request):
        return JSONResponse(await request.json())

    async def upload(request: Request):
        (folder.path / "ab").mkdir(exist_ok=True)
        (folder.path / "ab" / "scan.png").write_bytes(await request.body())
        return JSONResponse([str(folder.path / "ab" / "scan.png")])

    routes = [Route("/echo", echo, methods=["POST"]), Route(UPLOAD, upload, methods=["POST"])]
    return BodyLimit(Starlette(routes=routes), folder, lambda path, value: value)


def post(app, path="/echo", **sent):
    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
            return await client.post(path, **sent)

    return asyncio.run(asked())


def raw(app, headers, messages):
    """The status of a request whose pieces come as given, whatever its head says."""
    scope = {"type": "http", "method": "POST", "path": "/echo", "headers": headers, "query_string": b""}
    sent, left = [], list(messages)

    async def receive():
        return left.pop(0) if left else await asyncio.sleep(3600)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def part(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


JSON_TYPE = (b"content-type", b"application/json")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 411),
        ([(b"transfer-encoding", b"chunked")], 411),
        ([(b"content-length", b"2"), (b"transfer-encoding", b"chunked")], 411),
        ([(b"content-length", b"2"), (b"content-length", b"200")], 400),
        ([(b"content-length", b"-1")], 400),
        ([(b"content-length", b"1e3")], 400),
        ([(b"content-length", "²".encode())], 400),
        ([(b"content-length", b"9" * 30)], 413),
        ([(b"content-length", b"%d" % (limit.MAX_BODY_BYTES + 1))], 413),
    ],
)
def test_heads_that_hide_the_length_are_refused_before_a_byte_is_read(app, headers, status):
    assert raw(app, headers, []) == status


def test_a_body_that_is_longer_than_it_says_is_stopped(app):
    assert raw(app, [(b"content-length", b"4"), JSON_TYPE], [part(b"[1, 2,"), part(b"3]", more=False)]) == 413


def test_a_body_that_stalls_is_given_up(app, monkeypatch):
    monkeypatch.setattr(limit, "STALL", 0.05)
    assert raw(app, [(b"content-length", b"40"), JSON_TYPE], [part(b"[1,")]) == 408


def test_many_large_bodies_at_once_are_refused(app):
    app.waiting = limit.MAX_WAITING_BYTES
    assert post(app, json=[1]).status_code == 503
    app.waiting = 0
    assert post(app, json=[1]).json() == [1]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"data": [NaN]}', 400),
        (b'{"data": [1e999]}', 400),
        (b'{"data": ', 400),
        (b"\xff\xfe", 400),
        (b"[" * 5000 + b"]" * 5000, 400),
        (b"[" * 50 + b"]" * 50, 422),
        (b"[" + b"0," * limit.MAX_VALUES + b"0]", 413),
    ],
)
def test_what_is_no_bounded_json_is_refused_in_a_sentence(app, content, status):
    found = post(app, content=content, headers={"content-type": "application/json"})
    assert found.status_code == status and found.json()["error"] and str(app.folder.path) not in found.text


def test_other_types_than_json_are_refused(app):
    assert post(app, content=b"[1]", headers={"content-type": "text/plain"}).status_code == 415
    assert post(app, files={"files": ("a", b"b")}).status_code == 415


def test_uploads_have_names_and_only_these_are_found(app, folder):
    (name,) = post(app, UPLOAD, content=b"x").json()
    assert name == "ab/scan.png"
    asked = {"data": [{"path": name, "url": "http://127.0.0.1/x", "meta": {"_type": "gradio.FileData"}}]}
    assert post(app, json=asked).json()["data"][0] == {
        "path": str(folder.path / name), "meta": {"_type": "gradio.FileData"},
    }  # fmt: skip
    inside = str(folder.path / name)
    for path in ("/etc/passwd", "../../../etc/passwd", "http://127.0.0.1/a", "ab", ".lock", "", "ab/\0", "ab/none"):
        assert post(app, json={"data": [{"path": path}]}).status_code == 422, path
    assert post(app, json={"path": inside}).status_code == 200  # a path that is one of its own tells nothing new
    assert post(app, json={"do": {"path": 3.5}}).json() == {"do": {"path": 3.5}}


def test_all_uploads_together_have_a_limit(app, folder):
    assert post(app, UPLOAD, content=b"x" * 900).status_code == 200
    refused = post(app, UPLOAD, content=b"x" * 200)
    assert refused.status_code == 507 and "try again" in refused.json()["error"]
    with folder.room_for(60) as first, folder.room_for(60) as second:
        assert (first, second) == (True, False)
    folder.forget(-1)
    assert post(app, UPLOAD, content=b"x" * 200).status_code == 200


def test_a_refusal_has_the_form_of_gradio_s(app):
    detail = json.loads(post(app, content=b"", headers={"content-type": "application/json"}).text)["detail"]
    assert detail[0]["is_valid"] is False and detail[0]["message"]
