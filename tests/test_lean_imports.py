"""In processes of their own: MONAI and gradio part by part, the same numbers, and others get all of both."""

import json
import subprocess
import sys

import pytest

import segue

SCRIPT = """
import gc, json, sys
from segue.explorer.lean_gradio import import_gradio, pause_collecting, settle
pause_collecting()
import_gradio()
import gradio, segue
gradio.HTML, gradio.Blocks, gradio.themes.Default
stubs = gradio.component_meta.create_or_modify_pyi(gradio.Slider, "Slider", [])
model = segue.load("coronary-phantom")
image = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}).image
slow = {"gradio.components.chatbot", "monai.transforms", "pandas._config", "matplotlib", "nibabel", "zarr"}
kept = sorted(slow & sys.modules.keys())
assert gradio.Text is gradio.Textbox and gradio.__version__ and gradio.Chatbot
import pandas
table = int(pandas.DataFrame({"a": [1, 2]}).sum()["a"])
settle()
print(json.dumps([kept, stubs, table, float(image.double().sum()), gc.isenabled()]))
"""


def printed(script):
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


def test_what_is_not_imported_is_not_missed():
    kept, stubs, table, total, collecting = printed(SCRIPT)
    model = segue.load("coronary-phantom")
    image = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}).image
    assert kept == [] and stubs is None and table == 3
    assert abs(total / float(image.double().sum()) - 1) < 1e-9 and collecting


@pytest.mark.parametrize(
    "use", ["import monai; monai.transforms.Compose", "from monai.losses import DiceLoss", "import monai; dir(monai)"]
)
def test_who_asks_for_more_of_monai_gets_all_of_it(use):
    code = """import json, sys
import segue.nets
before = sum(name.startswith("monai") for name in sys.modules)
from monai.networks.nets import BasicUNet as first
USE
import monai
from monai.networks.nets import BasicUNet, UNet
from monai.transforms import *
made = monai.bundle.ConfigParser({"net": {"_target_": "Flatten"}}).get_parsed_content("net")
names = [monai.__version__, monai.data.CacheDataset.__name__, RandAffined.__name__, UNet.__name__]
print(json.dumps([before, first is BasicUNet, names[1:], sum(name.startswith("monai") for name in sys.modules)]))"""
    before, same, names, after = printed(code.replace("USE", use))
    assert before < 60 and same and names == ["CacheDataset", "RandAffined", "UNet"] and after > 300
