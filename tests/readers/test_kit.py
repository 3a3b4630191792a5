"""A kit from a finished run, through the command line; and its automatic stand-in."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import small_study
import torch

from segue.cli import main
from segue.errors import InputError
from segue.hub.runs import study_at
from segue.readers.draw import KitPlan, answers_to, check_plan, draw_kit, opened_source
from segue.readers.key import KEY, REAL, STAND_IN, TRUTH, read_key
from segue.readers.stand_in import examples, stand_in_answers

OPTIONS = ["--readers", "2", "--cases", "9", "--repeats", "3", "--requests", "4"]
PLAN = KitPlan(readers=2, cases=9, repeats=3, requests=4)


@pytest.fixture(scope="module")
def source():
    return opened_source(study_at(small_study.trained()[1]), PLAN)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    out = tmp_path_factory.mktemp("readers") / "kit"
    assert main(["readers", "make", str(small_study.trained()[1]), "--out", str(out), *OPTIONS]) == 0
    return out


def test_pages_and_key_lie_apart(kit):
    assert sorted(str(path.relative_to(kit)) for path in kit.rglob("*") if path.is_file()) == [
        "pages/reader-1.html", "pages/reader-2.html", "truth/key.json"
    ]  # fmt: skip
    key = read_key(kit / TRUTH / KEY)
    names = {case[part] for case in (*key.cases, *key.requests) for part in ("image", "subject")}
    for page in (kit / "pages").iterdir():
        assert not [name for name in (*names, "pos_seg", key.study + " ") if name in page.read_text()]
    subjects = [one["subject"] for one in (*key.cases, *key.requests)]
    assert len(set(subjects)) == len(subjects) == 13


def test_the_same_command_writes_the_same_kit(kit, tmp_path):
    assert main(["readers", "make", str(small_study.trained()[1]), "--out", str(tmp_path / "again"), *OPTIONS]) == 0
    for path in kit.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(kit)).read_bytes()


def test_each_edited_image_has_the_value_of_its_real_match(kit):
    cases = read_key(kit / TRUTH / KEY).cases
    for i in range(0, 9, 3):
        real, *edited = cases[i : i + 3]
        assert [real["kind"], *(one["kind"] for one in edited)] == [REAL, "pos_seg_cft", "segue"]
        assert {one["variable"] for one in edited} == {real["variable"]}
        assert {one["requested"] for one in edited} == {real["factual"]} == {real["requested"]}


def test_real_and_edited_images_are_treated_alike(source):
    """The picture of a method that changes nothing is that of the real image, to the byte."""
    from segue.engine.method import of_function

    nothing = source._replace(methods={"pos_seg_cft": of_function(lambda facts, requested: facts.image)})
    drawn = draw_kit(nothing, replace(PLAN, cases=6))
    assert len(drawn.before) == 4
    for before, (after,) in zip(drawn.before, drawn.after, strict=True):
        np.testing.assert_array_equal(before, after)
    rows = [case.row for case in drawn.cases]
    facts = answers_to(nothing, REAL, rows, [0] * 6, [0.0] * 6, seed=0)
    levels = ((facts[:, 0].clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    np.testing.assert_array_equal(levels, np.stack(drawn.pictures))


def test_the_pictures_are_what_the_method_answers(kit, source):
    """The engine, asked for one case of the key, gives the picture of the page."""
    import segue
    from segue.readers.pictures import grey_picture

    key, run = read_key(kit / TRUTH / KEY), small_study.trained()[1]
    content = json.loads(re.search(r'id="kit">(.*?)</script>', (kit / "pages" / "reader-1.html").read_text(), re.S)[1])
    bytes_of = {one["id"]: base64.b64decode(one["image"]) for one in content["first"]}
    model, store = segue.load(run, method="segue"), source.asked.store
    for one in key.sheets["reader-1"].first:
        case = key.cases[one.case]
        if case["kind"] == "segue":
            place = store.table["id"].to_list().index(case["image"])
            raw = store.read(np.array([place]), fractions=False)["image"]
            answer = model.counterfactual(raw, {case["variable"]: case["requested"]})
            expected = grey_picture(model.grid.scale(answer.image)[0], torch.zeros(raw.shape[2:]))
            apart = np.frombuffer(bytes_of[one.id], np.uint8).astype(int) - expected.ravel()
            assert np.abs(apart).max() <= 1


def test_the_stand_in_learns_from_subjects_that_are_not_in_the_kit(source, monkeypatch):
    monkeypatch.setattr("segue.evaluation.crop_classifier.MOST_STEPS", 3)
    monkeypatch.setattr("segue.readers.stand_in.MOST", 8)
    drawn = draw_kit(source, PLAN)
    from segue.readers.blinding import make_key

    key = make_key(source, drawn, replace(PLAN, stand_in=True))
    shown = {case["subject"] for case in key.cases}
    crops, label = examples(source, shown, seed=0)
    assert len(crops) == len(label) == 2 * 2 * 8 and label.mean() == 0.5
    with pytest.raises(InputError, match="--stand-in: 0 images of other subjects to learn from"):
        examples(source, set(source.asked.subjects), seed=0)
    levels = stand_in_answers(source, drawn, key, seed=0)
    assert sorted(levels) == list(range(9)) and set(levels.values()) <= set(range(10))
    assert levels == stand_in_answers(source, drawn, key, seed=0)
    assert key.sheets[STAND_IN].second == ()


def test_volumes_are_three_planes_of_one_size():
    from segue.readers.pictures import grey_picture

    part = torch.zeros(6, 8, 4)
    part[3, 4, 2] = 1
    shown = grey_picture(torch.rand(1, 6, 8, 4) * 2 - 1, part)
    assert shown.shape == grey_picture(-torch.ones(1, 6, 8, 4), 0 * part).shape and shown.dtype == np.uint8


@pytest.mark.parametrize(("plan", "message"), [
    (KitPlan(cases=10), "--cases 10: 3 kinds of images in equal numbers; give e.g. 9"),
    (KitPlan(cases=3), "give e.g. 6"),
    (KitPlan(cases=12, repeats=7), "--repeats 7: more than half of 12 cases"),
    (KitPlan(cases=60, requests=20), "--cases 60 and --requests 20: .* the run has 70 test subjects"),
    (KitPlan(readers=0), "give 1 reader or more"),
])  # fmt: skip
def test_a_plan_that_does_not_fit_is_refused(plan, message):
    with pytest.raises(InputError, match=message):
        check_plan(plan, methods=2, subjects=70)


def test_wrong_commands_are_refused(kit, tmp_path, capsys):
    run = str(small_study.trained()[1])
    for arguments, message in {
        ("make", run, "--out", str(kit)): "exists already; name a new folder",
        ("make", run, "--out", str(tmp_path / "a"), "--methods", "seg"): "--methods seg: the run has no such method",
        ("make", str(tmp_path), "--out", str(tmp_path / "a")): "no run here",
        ("look",): "segue readers look: unknown",
        ("analyse", str(tmp_path), "a.csv"): "truth/key.json: no such file",
    }.items():
        assert main(["readers", *arguments]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert message in said
    assert list(tmp_path.iterdir()) == []
    assert main(["readers"]) == 0 and "readers analyse KIT" in capsys.readouterr().out
