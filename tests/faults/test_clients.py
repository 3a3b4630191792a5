"""Hostile clients of the explorer: each attack is refused, and nobody else hears of it.

One server with two users runs in this process. Ada asks before and after all attacks; Eve has a password, Mallory
has none. With the environment variable SEGUE_FAULTS, which names a folder, the figures are written there: clients.json.
"""

import base64
import os
import socket
import threading
from pathlib import Path

import httpx
import psutil
import pytest
from children import write_figures
from tiny_explored import NAME, tiny_explored

from segue.explorer.limit import MAX_UPLOAD_BYTES, MAX_VALUES
from segue.explorer.serve import prepared, serve, serve_page

pytestmark = pytest.mark.xdist_group("explorer")
JSON = {"content-type": "application/json"}
CALL, JOIN, UPLOAD = "/gradio_api/call/counterfactual", "/gradio_api/queue/join", "/gradio_api/upload"
OUTCOMES: dict[str, str] = {}
MOST_MEMORY = 64 << 20  # bytes that all attacks together may add


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The server, its users' clients, and what Ada hears."""

    def __init__(self) -> None:
        users = [("ada", "a-long-password"), ("eve", "another-password")]
        self.port = free_port()
        self.opened = tiny_explored()
        page = prepared(self.opened)
        self.events = page.blocks.fns
        self.address, self.close = serve_page(page, host="127.0.0.1", port=self.port, users=users)
        self.ada, self.eve, self.mallory = (httpx.Client(base_url=self.address, timeout=60) for _ in range(3))
        for client, user in ((self.ada, users[0]), (self.eve, users[1])):
            assert client.post("/login", data=dict(zip(("username", "password"), user, strict=True))).json()["success"]

    def ask(self, client, do, **more):
        """Data of the answer's event, or the refusal."""
        given = {"do": do, "image": "patient 1"} | more
        found = client.post("/gradio_api/call/v2/counterfactual", json=given)
        if found.status_code != 200:
            return found
        return client.get(f"{CALL}/{found.json()['event_id']}")

    def raw(self, head: str, *pieces: bytes) -> int:
        """The status that is answered to bytes as they are; 0 where the connection is closed without an answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            try:
                connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n")
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:  # it has answered, and closed
                pass
            try:
                answer = connection.recv(64)
            except OSError:
                return 0
        return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0

    def memory(self) -> int:
        return psutil.Process().memory_info().rss


@pytest.fixture(scope="module")
def server():
    server = Server()
    before = server.ask(server.ada, {"bar@left": "+10%"}).text
    assert "event: complete" in before
    memory = server.memory()
    yield server
    added = server.memory() - memory
    after = server.ask(server.ada, {"bar@left": "+10%"}).text
    server.close()
    write_figures("clients", figures(added))
    assert after == before and added < MOST_MEMORY


def figures(added: int) -> dict:
    refused = sum(outcome != "passed" for outcome in OUTCOMES.values())
    found = {"attacks": len(OUTCOMES), "refused": refused, "memory_mb": round(added / 2**20, 1)}
    return found | {"outcomes": OUTCOMES}


def host(name="127.0.0.1"):
    return f"Host: {name}"


def endless(megabytes=64):
    block = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    return (block for _ in range(megabytes))


def chunked(path, *more):
    lines = [f"POST {path} HTTP/1.1", host(), *more, "Transfer-Encoding: chunked"]
    return lambda s: s.raw("\n".join(lines), *endless())


def head(line, *more):
    return lambda s: s.raw("\n".join([line, *more]))


def get(path, who="mallory", **headers):
    return lambda s: getattr(s, who).get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})


def post(path, who="eve", **sent):
    return lambda s: getattr(s, who).post(path, **sent)


def login(**headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return lambda s: s.mallory.post("/login", data={"username": "ada", "password": "a-long-password"}, headers=headers)


def call(do=None, **more):
    return lambda s: s.ask(s.eve, {} if do is None else do, **more)


def page(name, *values):
    """An event of the page, by the name of its handler."""

    def attack(s):
        (number,) = [i for i, fn in s.events.items() if fn.api_name == name]
        asked = {"fn_index": number, "data": list(values), "session_hash": "eve"}
        found = s.eve.post(JOIN, json=asked)
        return found if found.status_code != 200 else s.eve.get("/gradio_api/queue/data?session_hash=eve")

    return attack


def file_data(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def upload(content, name="a.png"):
    return call({"bar@left": 3}, image="", file=base64.b64encode(content).decode(), name=name)


BEFORE_LOGIN = {
    "chunks behind a short length": chunked(JOIN, "Content-Length: 2"),
    "chunks to an upload": chunked(UPLOAD),
    "chunks to the login": chunked("/login", "Content-Length: 2"),
    "chunks of another coding": head(f"POST {JOIN} HTTP/1.1", host(), "Transfer-Encoding: gzip, chunked"),
    "two lengths": head("POST /login HTTP/1.1", host(), "Content-Length: 2", "Content-Length: 200"),
    "a negative length": head("POST /login HTTP/1.1", host(), "Content-Length: -1"),
    "a length that is no number": head("POST /login HTTP/1.1", host(), "Content-Length: 1e3"),
    "a length without end": head("POST /login HTTP/1.1", host(), f"Content-Length: {'9' * 18}"),
    "a login of a megabyte": post("/login", "mallory", data={"username": "ada", "password": "x" * (1 << 20)}),
    "an upload of more than is taken": head(
        f"POST {UPLOAD} HTTP/1.1", host(), f"Content-Length: {MAX_UPLOAD_BYTES + 1}"
    ),
    "another host": head("GET / HTTP/1.1", host("evil.example")),
    "another host that begins as this one": head("GET / HTTP/1.1", host("127.0.0.1.evil.example")),
    "no host": head("GET / HTTP/1.0"),
    "a host with a path": head("GET / HTTP/1.1", host("127.0.0.1/evil")),
    "two hosts": head("GET / HTTP/1.1", host(), host("evil.example")),
    "a login from another site": login(Origin="http://evil.example"),
    "a login from nowhere": login(Origin="null"),
    "a login from another port": login(Origin="http://127.0.0.1:1"),
    "a login across sites": login(Sec_Fetch_Site="cross-site"),
    "the page in a frame": get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe"),
    "the settings": get("/config"),
    "the interface": get("/gradio_api/info"),
    "somebody's stream": get("/gradio_api/queue/data?session_hash=a"),
    "a heartbeat": get("/gradio_api/heartbeat/a"),
    "an upload": post(UPLOAD, "mallory", files={"files": ("a.png", b"x")}),
    "a call": post(CALL, "mallory", json={"data": [{}]}),
    "an event": post(JOIN, "mallory", json={"data": [], "fn_index": 0}),
    "a cancellation": post("/gradio_api/cancel", "mallory", json={"session_hash": "a", "event_id": "b", "fn_index": 0}),
    "a made-up cookie": get("/config", Cookie="access-token-x=y; access-token-unsecure-x=y"),
    "a socket": head("GET / HTTP/1.1", host("evil.example"), "Upgrade: websocket", "Connection: Upgrade"),
    "a static file outside": get("/static/..%2f..%2f..%2f..%2fetc/passwd"),
    "an asset outside": get("/assets/%2e%2e/%2e%2e/%2e%2e/config"),
}
AFTER_LOGIN = {
    "a file of the machine": get("/gradio_api/file=/etc/passwd", "eve"),
    "an address inside": get("/gradio_api/file=http://127.0.0.1:22/", "eve"),
    "a proxy": get("/gradio_api/proxy=https://a.hf.space/", "eve"),
    "a saved session": get("/gradio_api/deep_link?session_hash=a", "eve"),
    "monitoring": get("/monitoring", "eve"),
    "the history": get("/gradio_api/runs", "eve"),
    "an editor of the program": post("/gradio_api/vibe-edit", json={"prompt": "x"}),
    "a direct run": post("/gradio_api/run/counterfactual", json={"data": [{}]}),
    "a link to leave": get("/logout", "eve", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate"),
    "a read across sites": get("/config", "eve", Sec_Fetch_Site="same-site"),
    "an upload across sites": post(UPLOAD, files={"files": ("a", b"b")}, headers={"Origin": "http://evil.example"}),
    "a form in place of JSON": post(JOIN, files={"data": ("a", b"b")}),
    "text in place of JSON": post(CALL, content=b'{"data": [{}]}', headers={"content-type": "text/plain"}),
    "NaN": post(CALL, content=b'{"data": [{"bar@left": NaN}]}', headers=JSON),
    "more than any number": post(CALL, content=b'{"data": [{"bar@left": 1e999}]}', headers=JSON),
    "a deep nest": post(CALL, content=b'{"data": ' + b"[" * 900 + b"]" * 900 + b"}", headers=JSON),
    "many values": post(CALL, content=b"[" + b"0," * MAX_VALUES + b"0]", headers=JSON),
    "no truth value": call(propagate="no"),
    "a list in place of a request": call(["bar@left"]),
    "a truth value in place of a number": call({"bar@left": True}),
    "20,000 digits and a letter": call({"bar@left": "1" * 20_000 + "x"}),
    "a request beyond the image": call({"bar@left": 1e20}),
    "a request beyond all bounds": call({"bar@left": "+1e300sd"}),
    "a variable that is not there": call({"bar@<script>": 1}),
    "an image of nobody": call(image="../../etc/passwd"),
    "text as base64": call(image="", file="%%%", name="a.png"),
    "a page as an image": upload(b"<html>"),
    "a name that climbs": upload(b"text", "../../../etc/cron.d/x"),
    "an argument too many": post(CALL, json={"data": [{}] * 10}),
    "an unknown argument": call(path="/etc"),
    "an unknown endpoint": post("/gradio_api/call/eval", json={"data": []}),
    "a handler by its name": post("/gradio_api/call/receive", json={"data": [file_data("/etc/passwd")]}),
    "an event of no number": post(JOIN, json={"data": [], "fn_index": "0", "session_hash": "e"}),
    "an event that is not there": post(JOIN, json={"data": [], "fn_index": -1, "session_hash": "e"}),
    "a session of a megabyte": post(JOIN, json={"data": [], "fn_index": 0, "session_hash": "x" * (1 << 20)}),
    "too few values": page("pick"),
    "a file by its path": page("receive", file_data("/etc/passwd")),
    "a file that climbs": page("receive", file_data("../../etc/passwd")),
    "a file by its address": page("receive", file_data("http://127.0.0.1:22/")),
    "the lock as a file": page("receive", file_data(".lock")),
    "an image beyond the cohort": page("pick", {"index": 10**9}, ["no_cft"], True),
    "an image of no number": page("pick", {"index": "0"}, ["no_cft"], True),
    "a method that is not there": page("pick", {"index": 0}, ["__class__"], True),
    "a damaged link": page("start", '{"do": {"bar@left": [1]}}'),
    "a long table": page("cohort", "bar@left=" + "1" * 20_000 + "x", ["no_cft"], True, 3),
}
ATTACKS = BEFORE_LOGIN | AFTER_LOGIN


def is_refusal(found) -> bool:
    """By its status, or by the error that is sent in place of an answer."""
    if isinstance(found, int):
        return found == 0 or 400 <= found < 500
    if found.status_code != 200:
        return 400 <= found.status_code < 500
    said = ("event: error", "there is no such image", "load the page again", "is damaged", '"success":false', "sg-note")
    return any(text in found.text for text in said)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(server, name):
    found = ATTACKS[name](server)
    OUTCOMES[name] = str(found if isinstance(found, int) else found.status_code) if is_refusal(found) else "passed"
    assert is_refusal(found), found if isinstance(found, int) else found.text[:500]
    assert "root:" not in str(getattr(found, "text", "")) and str(Path.home()) not in str(getattr(found, "text", ""))


def test_there_are_fifty():
    assert len(ATTACKS) >= 50


def test_before_the_login_nothing_tells_of_the_model(server):
    for path in ("/", "/manifest.json", "/login", "/theme.css", "/gradio_api/startup-events", "/robots.txt"):
        text = server.mallory.get(path).text
        assert NAME not in text and "patient" not in text and "bar@left" not in text, path
    assert NAME in server.ada.get("/config").text


def test_guesses_have_to_wait_and_nobody_else_has_to(server):
    guess = {"username": "ada", "password": "guess"}
    far = {"X-Forwarded-For": "203.0.113.9"}
    statuses = [server.mallory.post("/login", data=guess, headers=far).status_code for _ in range(8)]
    assert statuses == [400] * 5 + [429] * 3
    right = {"username": "ada", "password": "a-long-password"}
    assert server.mallory.post("/login", data=right, headers=far).status_code == 429
    assert httpx.post(f"{server.address}login", data=right).json() == {"success": True}


def test_a_stream_of_one_user_has_nothing_of_the_other(server):
    heard: list[str] = []
    events = [server.ada.post("/gradio_api/call/v2/images", json={"limit": 2}).json()["event_id"]]
    events.append(server.eve.post("/gradio_api/call/v2/images", json={"limit": 1}).json()["event_id"])
    listening = threading.Thread(
        target=lambda: heard.append(server.ada.get(f"/gradio_api/call/images/{events[0]}").text)
    )
    listening.start()
    own = server.eve.get(f"/gradio_api/call/images/{events[1]}").text
    listening.join()
    assert '["patient 1", "patient 2"]' in heard[0] and '[["patient 1"]]' in own


def test_an_upload_has_no_path_and_is_not_served(server):
    (name,) = server.eve.post(UPLOAD, files={"files": ("scan of ada.png", b"x")}).json()
    assert not name.startswith("/") and ".." not in name and name.endswith("scan of ada.png")
    assert server.ada.get(f"/gradio_api/file={name}").status_code == 404


def test_the_end_of_the_server_deletes_the_uploads():
    opened = tiny_explored()
    address, close = serve(opened, port=free_port())
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    httpx.post(f"{address}gradio_api/upload", files={"files": ("a.png", b"x")})
    assert list(folder.rglob("a.png"))
    close()
    assert not folder.exists()
