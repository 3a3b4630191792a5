"""In a process of its own: MONAI without what the explorer never calls, the same numbers, and others undisturbed."""

import json
import subprocess
import sys

import segue

SCRIPT = """
import gc, json, sys
from segue.explorer.lean_imports import UNUSED, import_monai, settle
import_monai()
kept = [name for name in UNUSED if name in sys.modules]
import segue
model = segue.load("coronary-phantom")
image = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}).image
import matplotlib, nibabel
settle()
print(json.dumps([kept, float(image.double().sum()), gc.isenabled()]))
"""


def test_what_is_not_imported_is_not_missed():
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    kept, total, collecting = json.loads(found.stdout.splitlines()[-1])
    model = segue.load("coronary-phantom")
    image = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}).image
    assert kept == [] and abs(total / float(image.double().sum()) - 1) < 1e-9 and collecting
