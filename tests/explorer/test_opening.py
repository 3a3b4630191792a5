"""While the explorer opens, its address says what is being done; importing that needs no torch."""

import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from test_serve import free_port

from segue.errors import InputError
from segue.explorer.opening import opening


def answered(port):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/")
    return refused.value.code, refused.value.read().decode()


def test_the_page_says_what_is_done_and_leaves_the_port_free(capsys):
    port = free_port()
    with opening("127.0.0.1", port) as page:
        page.say("Opening the model <chest>")
        code, text = answered(port)
        assert code == 503 and "Opening the model &lt;chest&gt; …" in text
        with pytest.raises(InputError, match=f"--port {port}: is in use"), opening("127.0.0.1", port):
            pass
    assert "Opening the model <chest> …" in capsys.readouterr().out
    with opening("127.0.0.1", port):
        pass


def test_nothing_heavy_is_imported_before_the_page_answers():
    code = """import sys, segue.cli.explore, segue.explorer.opening, segue.explorer.serve
heavy = {'torch', 'monai', 'gradio', 'scipy', 'pandas', 'matplotlib'} & {name.split('.')[0] for name in sys.modules}
assert not heavy, heavy"""
    subprocess.run([sys.executable, "-c", code], check=True)
