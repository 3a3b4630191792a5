"""In a process of its own: MONAI and gradio without what the explorer never calls, the same numbers, and others
undisturbed."""

import json
import subprocess
import sys

import segue

SCRIPT = """
import gc, json, sys
from segue.explorer.lean_imports import UNUSED, import_gradio, import_monai, settle
import_monai()
kept = [name for name in UNUSED if name in sys.modules]
import_gradio()
late = "pandas._config" in sys.modules
import gradio
stubs = gradio.component_meta.create_or_modify_pyi(gradio.Slider, "Slider", [])
import segue
model = segue.load("coronary-phantom")
image = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}).image
import matplotlib, nibabel, pandas, pydicom, scipy.stats
table = int(pandas.DataFrame({"a": [1, 2]}).sum()["a"])
settle()
print(json.dumps([kept, late, stubs, table, float(image.double().sum()), gc.isenabled()]))
"""


def test_what_is_not_imported_is_not_missed():
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    kept, late, stubs, table, total, collecting = json.loads(found.stdout.splitlines()[-1])
    model = segue.load("coronary-phantom")
    image = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}).image
    assert kept == ["nibabel", "scipy"] and not late  # nibabel is used, and uses scipy
    assert stubs is None and table == 3
    assert abs(total / float(image.double().sum()) - 1) < 1e-9 and collecting
