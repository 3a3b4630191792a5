"""What users leave behind is gone after a stated time, and when the server ends: in order, or by a signal."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx
import pytest
from test_serve import free_port
from tiny_explored import tiny_explored

from segue.explorer.private_folder import PrivateFolder
from segue.explorer.tidy import tidied

pytestmark = pytest.mark.xdist_group("explorer")


def test_files_inferences_and_answers_that_nobody_fetched_are_deleted_while_the_server_runs():
    folder, opened = PrivateFolder(), tiny_explored()
    opened.known("no_cft", opened.choose(0).case)
    (folder.path / "upload.nii.gz").write_text("x")

    async def runs():
        sessions = {"left": asyncio.Queue(), "read": asyncio.Queue()}
        sessions["left"].put_nowait("an answer")
        blocks = SimpleNamespace(_queue=SimpleNamespace(pending_messages_per_session=sessions))
        async with tidied(folder, opened, life=0.6)(SimpleNamespace(get_blocks=lambda: blocks)):
            assert (folder.path / "upload.nii.gz").exists() and opened._known.cache_info().currsize == 1
            await asyncio.sleep(1.5)
            assert not (folder.path / "upload.nii.gz").exists() and folder.path.exists()
            assert opened._known.cache_info().currsize == 0 and list(sessions) == ["read"]
            (folder.path / "young").write_text("x")

    asyncio.run(runs())
    assert not folder.path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_signal_ends_the_explorer_and_its_uploads(tmp_path, number):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "segue", "explore", "coronary-phantom", "--port", str(port)]
    running = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL)
    try:
        while running.poll() is None and not answers(address):
            time.sleep(0.2)
        sent = httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.png", b"x")})
        assert sent.status_code == 200 and list(tmp_path.glob("segue-explore-*/*/a.png"))
        running.send_signal(number)
        assert running.wait(60) == 128 + number
        assert not list(tmp_path.glob("segue-explore-*"))
    finally:
        running.kill()


def answers(address):
    try:
        return httpx.get(f"{address}/config").status_code == 200
    except httpx.TransportError:
        return False
