"""Names of files that are made of other names."""

import base64
import io

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segue.cli import main
from segue.files import fitting_name, write_text
from segue.generation.output import file_name


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=400))
def test_every_name_fits_and_short_ones_stay(stem):
    name = fitting_name(stem, "_masks.nii.gz")
    assert len(name.encode()) <= 246 and name.endswith("_masks.nii.gz")
    assert name == stem + "_masks.nii.gz" or len(stem.encode()) > 233


def test_long_names_that_differ_at_their_end_stay_apart(tmp_path):
    names = {file_name("x" * 240 + end, 3, "nifti") for end in "ab"}
    assert len(names) == 2
    for name in names:
        write_text(tmp_path / name, "content")


@pytest.mark.parametrize("name", ["x" * 238 + ".png", "水" * 80 + ".png"])
def test_an_image_of_any_name_is_answered(tmp_path, name):
    from segue.explorer.api import find_image
    from segue.explorer.asking import ask
    from segue.explorer.download import files
    from segue.explorer.models import explored

    content = io.BytesIO()
    Image.fromarray(tiny.radiograph().astype(np.uint8)).save(content, "PNG")
    (tmp_path / name).write_bytes(content.getvalue())
    do = ["--do", "heart@whole=+10%", "--out", str(tmp_path / "out")]
    assert main(["counterfactual", "chest", str(tmp_path / name), *do]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    opened = explored("chest")
    sent = base64.b64encode(content.getvalue()).decode()
    # A browser on another system allows longer names.
    case = find_image(opened, "", sent, name * 2, -1, {}, folder=tmp_path)
    answer = ask(opened, case.case, {"heart@whole": "+10%"}, [next(iter(opened.models))])
    assert len(files(opened, case, answer)) >= 6
