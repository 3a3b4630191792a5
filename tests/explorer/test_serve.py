"""Who may reach the page, and the same functions over HTTP."""

import base64
import gzip
import io
import socket

import httpx
import nibabel
import numpy as np
import pytest
import small_study
from gradio_client import Client
from PIL import Image
from tiny_explored import tiny_explored

from segue.cli import main
from segue.errors import InputError
from segue.explorer.asking import ask
from segue.explorer.models import explored
from segue.explorer.serve import check_reach, read_users, serve

pytestmark = pytest.mark.xdist_group("explorer")
MID = "calcified_plaque@mid"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def opened():
    return explored(str(small_study.trained()[1]), methods=["no_cft"])


@pytest.fixture(scope="module")
def client(opened):
    address, close = serve(opened, port=free_port())
    yield Client(address, verbose=False)
    close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])
def test_nothing_beyond_this_machine_without_passwords(host, capsys):
    assert main(["explore", "anything", "--host", host]) == 2
    assert "--auth" in capsys.readouterr().err


def test_reach_with_passwords_and_on_this_machine(tmp_path):
    check_reach("0.0.0.0", tmp_path)
    check_reach("127.0.0.1", None)


@pytest.mark.parametrize(("text", "mode"), [("ada:secret", 0o644), ("ada", 0o600), ("", 0o600), (":secret", 0o600)])
def test_password_files_that_are_open_or_malformed_are_refused(tmp_path, text, mode):
    path = tmp_path / "users"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(InputError, match="--auth"):
        read_users(path)


def test_a_password_may_hold_a_colon(tmp_path):
    path = tmp_path / "users"
    path.write_text("ada:se:cret\n\nbob:b\n")
    path.chmod(0o600)
    assert read_users(path) == [("ada", "se:cret"), ("bob", "b")]


def test_without_the_password_nothing_is_served(opened):
    address, close = serve(opened, port=free_port(), users=[("ada", "secret")])
    try:
        for path in ("config", "gradio_api/info"):
            assert httpx.get(address + path).status_code == 401
        assert httpx.post(address + "gradio_api/call/images", json={"data": ["", 1]}).status_code == 401
        assert "secret" not in httpx.get(address).text
        assert Client(address, auth=("ada", "secret"), verbose=False).predict("", 1, api_name="/images")
    finally:
        close()


def test_a_request_by_id_is_the_engine_s(opened, client):
    ids = client.predict(search="phantom", limit=2, api_name="/images")
    assert ids == opened.source.ids[:2]
    found = client.predict(do={MID: "+50%"}, image=ids[1], api_name="/counterfactual")["no_cft"]
    expected = ask(opened, opened.choose(1).case, {MID: "+50%"}, ["no_cft"])
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(found["nifti"])))
    np.testing.assert_allclose(image.get_fdata(), expected.readings[0].image, rtol=1e-5, atol=0.01)
    assert found["variables"][MID]["guide"] == pytest.approx(expected.readings[0].guide[MID], rel=1e-4)


def test_an_image_can_be_sent(client):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 500, (16, 48), np.uint16)).save(stream, format="png")
    sent = base64.b64encode(stream.getvalue()).decode()
    found = client.predict(do={"lumen@mid": 30}, file=sent, name="mine.png", api_name="/counterfactual")["no_cft"]
    assert found["image"] == "mine.png" and found["do"] == {"lumen@mid": 30}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"do": {"lumen@middle": 1}, "image": "phantom_000005"}, "did you mean lumen@mid"),
        ({"do": {}, "image": "nobody"}, "not in the cohort"),
        ({"do": {}, "file": "%%%", "name": "a.png"}, "not valid base64"),
        ({"do": {}, "file": base64.b64encode(b"text").decode(), "name": "../../a.png"}, "^a.png: is no PNG"),
        ({"do": {}}, "give either image"),
    ],
)
def test_bad_requests_get_a_sentence(client, request_, message):
    with pytest.raises(Exception, match=message):
        client.predict(**request_, api_name="/counterfactual")


def test_a_request_that_declares_too_much_or_nothing_is_refused_unread(client):
    url = httpx.URL(client.src).join("gradio_api/call/counterfactual")
    assert httpx.post(url, content=iter([b"{}"])).status_code == 411  # sent in chunks
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(
            f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("error", [ValueError("When localhost is not\naccessible, ..."), OSError("no empty port")])
def test_a_page_that_cannot_be_served_is_one_line(error, monkeypatch, capsys):
    """As gradio fails on a machine that is too busy to answer."""

    def launch(*_, **__):
        raise error

    monkeypatch.setattr("segue.explorer.models.explored", lambda *_, **__: tiny_explored())
    monkeypatch.setattr("gradio.Blocks.launch", launch)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["explore", "coronary-phantom", "--port", str(free_port())]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "could not be served" in said[0] and "try again" in said[0]


def test_neither_a_proxy_nor_a_late_answer_keeps_it_from_opening(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")  # nobody is there
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "lab.org")
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: False)
    address, close = serve(tiny_explored(), port=free_port())
    try:
        assert httpx.get(address).status_code == 200
    finally:
        close()


def test_a_port_in_use_is_said(client, opened):
    port = httpx.URL(client.src).port
    with pytest.raises(InputError, match=f"--port {port}: is in use"):
        serve(opened, port=port)


def test_a_sweep(client, opened):
    found = client.predict(MID, 0, 6, opened.source.ids[0], 3, api_name="/sweep")
    assert found["requested"] == [0, 3, 6] and len(found["guide"]) == len(found["judge"]) == 3


def test_page_handlers_are_not_part_of_the_api(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert named.keys() == {"/variables", "/images", "/counterfactual", "/sweep"}
