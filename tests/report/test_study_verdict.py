"""The verdict on a study: what it finds in made-up numbers, and that every presentation says the same."""

import json
from pathlib import Path

import pytest
from fakes import fake_metrics

from segue.report.doubts import oracle_note
from segue.report.page import ReportContent, write_report
from segue.report.study_verdict import study_verdict
from segue.report.verdict_text import standing_of, verdict_lines, verdict_text, warning

RESULTS = sorted((Path(__file__).parents[2] / "results").glob("*/metrics.json"))


def metrics_of(errors, *, guide=0.1, judge=0.1, half=0.01, **more):
    """Two variables; each method's error with an interval of +- half."""
    methods = {
        name: {
            "variables": {v: {"error_sd": error, "ci95": [error - half, error + half]} for v in ("a@x", "b@x")},
            "mean": {"error_sd": error, "ci95": [error - half, error + half]},
        }
        for name, error in errors.items()
    }
    segmentors = {
        name: {"error_sd": dict.fromkeys(("a@x", "b@x"), error), "error": dict.fromkeys(("a@x", "b@x"), 2 * error)}
        for name, error in (("guide", guide), ("judge", judge))
    }
    known = {"study": "s", "n_images": 50, "n_subjects": 50, "variables": ["a@x", "b@x"]}
    return known | {"methods": methods, "segmentors": segmentors} | more


def standings(metrics):
    return {rival.name: rival.standing for rival in study_verdict(metrics).rivals}


def test_a_guide_far_off_the_masks_is_told_everywhere(tmp_path):
    metrics = metrics_of({"segue": 2.93, "no_cft": 3.4}, guide=39.0, judge=0.2)
    text = verdict_text(metrics)
    assert text.grade == "too weak" and "Do not rely" in text.headline
    guide = dict(text.answers)["Is the guide good enough?"]
    assert guide.startswith("No.") and "39.00 sd" in guide and "above 0.5 sd is too weak" in guide
    assert "39.00 sd" in warning(metrics) and warning(metrics).startswith("Do not rely")
    assert any("39.00 sd" in line for line in verdict_lines(metrics))
    write_report(tmp_path / "report.html", ReportContent(metrics, tmp_path / "none.png", study_yaml=""))
    html = (tmp_path / "report.html").read_text()
    box = html[html.index('id="verdict"') : html.index("<nav")]
    assert 'class="verdict bad"' in html and "39.00 sd" in box and "Do not rely" in box
    assert html.index('id="verdict"') < html.index("<h2>") and "<table" not in html[: html.index("</nav>")]


@pytest.mark.parametrize(
    ("guide", "judge", "grade"),
    [(0.25, 0.1, "good"), (0.26, 0.1, "weak"), (0.1, 0.5, "weak"), (0.1, 0.51, "too weak"), (0.6, 0.3, "too weak")],
)
def test_the_worse_of_guide_and_judge_decides(guide, judge, grade):
    metrics = metrics_of({"segue": 0.1}, guide=guide, judge=judge)
    assert study_verdict(metrics).grade == grade
    assert (warning(metrics) is None) == (grade != "too weak")


def test_a_guide_that_is_good_by_its_own_sd_alone_is_not_good():
    metrics = metrics_of({"segue": 0.1}, sd_of_masks={"a@x": 0.1, "b@x": 0.1}, sd={"a@x": 1.0, "b@x": 1.0})
    assert study_verdict(metrics).guide.mean_of_masks == pytest.approx(2.0)  # an error of 0.2 in the unit
    assert study_verdict(metrics).guide.grade == "too weak"
    assert any("10 to 10 times that of the masks" in one for one in verdict_text(metrics).doubts)


def test_methods_are_told_apart_by_interval_and_measurement_error():
    errors = {"segue": 0.30, "near": 0.31, "close": 0.38, "far": 0.60}
    assert standings(metrics_of(errors, judge=0.2)) == {
        "near": "not told apart", "close": "within the measurement error", "far": "behind"
    }  # fmt: skip
    assert not study_verdict(metrics_of(errors, judge=0.2)).alone
    assert study_verdict(metrics_of({"segue": 0.3, "far": 0.6}, judge=0.2)).alone
    best = dict(verdict_text(metrics_of(errors, judge=0.2)).answers)["Which method is best?"]
    assert best.startswith("No method is clearly best. segue has the smallest error, 0.300 sd [0.290, 0.310].")
    assert "Behind it: far (+0.300)." in best


def test_every_method_is_told_where_it_stands():
    metrics = metrics_of({"segue": 0.30, "near": 0.31, "far": 0.60, "oracle": 0.1}, judge=0.2)
    assert standing_of(metrics, "segue") == "segue has the smallest error of all methods."
    assert standing_of(metrics, "near") == "near (+0.010) is not told apart from segue, which has the smallest error."
    assert standing_of(metrics, "far") == "far (+0.300) is behind segue, which has the smallest error."
    assert standing_of(metrics, "unknown") == "unknown was not judged."


def test_a_paired_interval_decides_where_there_is_one():
    metrics = metrics_of({"segue": 0.30, "other": 0.55}, half=0.3)
    assert standings(metrics) == {"other": "not told apart"}
    metrics["methods"]["other"]["over_best"] = {"value": 0.25, "ci95": [0.2, 0.3]}
    assert standings(metrics) == {"other": "behind"}
    metrics["methods"]["other"]["over_best"] = {"value": 0.25, "ci95": [-0.01, 0.5]}
    assert standings(metrics) == {"other": "not told apart"}


def test_a_method_below_the_oracle_is_explained_and_not_the_best_of_all():
    metrics = metrics_of({"segue": 0.10, "no_cft": 1.0, "oracle": 0.15})
    assert study_verdict(metrics).below_oracle == ("segue",)
    (sentence,) = [one for one in verdict_text(metrics).doubts if "oracle" in one]
    assert "judge is too weak" in sentence
    assert oracle_note(metrics).startswith("Below the oracle, which gives the true images: segue in 2 of 2 variables")
    assert oracle_note(metrics_of({"segue": 0.2, "oracle": 0.15})) is None
    assert oracle_note(metrics_of({"segue": 0.2})) is None


def test_a_study_in_which_nothing_is_better_than_nothing_is_not_to_be_relied_on():
    metrics = metrics_of({"segue": 1.2}, doing_nothing={"mean": {"error_sd": 1.1}, "variables": {}})
    assert study_verdict(metrics).grade == "too weak" and "better than doing nothing" in warning(metrics)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_subjects": 12}, "Only 12 subjects"),
        ({"fallbacks": {"a": 10, "b": 1}}, "In 10 of 50 images the regions of a are a fall-back"),
        ({"doing_nothing": {"variables": {"a@x": {"error_sd": 0.3}, "b@x": {"error_sd": 1.1}}}}, "error in a x."),
    ],
)
def test_other_reasons_for_doubt(change, words):
    plain, changed = (metrics_of({"segue": 0.2}) for _ in range(2))
    assert verdict_text(plain).doubts == ["The numbers give no reason for a doubt. Look at the images all the same."]
    (sentence,) = verdict_text(changed | change).doubts
    assert words in sentence


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("reach", 0.64, "64% of the change"), ("off_target_sd", 0.4, "0.40 sd"), ("folding", 0.02, "2.0% of the pixels"),
     ("guide_error_sd", 0.01, "exploits errors of the guide")],
)  # fmt: skip
def test_doubts_about_the_images_of_the_best_method(key, value, words):
    metrics = metrics_of({"segue": 0.2, "no_cft": 0.9})
    metrics["methods"]["no_cft"]["mean"][key] = value
    assert not any(words in one for one in verdict_text(metrics).doubts)
    metrics["methods"]["segue"]["mean"][key] = value
    assert sum(words in one for one in verdict_text(metrics).doubts) == 1


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_evaluations_of_earlier_versions_have_a_verdict_and_a_page(path, tmp_path):
    metrics = json.loads(path.read_text())
    smallest = min((one["mean"]["error_sd"], name) for name, one in metrics["methods"].items() if name != "oracle")
    assert study_verdict(metrics).best == smallest[1]
    text = "\n".join(verdict_lines(metrics))
    assert "nan" not in text and "None" not in text
    write_report(tmp_path / "report.html", ReportContent(metrics, tmp_path / "none.png", study_yaml=""))


def test_little_is_known_and_nothing_is_claimed():
    text = verdict_text({"methods": {"mine": {}}})
    assert text.grade == "unknown" and dict(text.answers)["Which method is best?"].startswith("Not known")
    assert "not compared with masks" in warning({"methods": {"mine": {}}})


def test_a_full_file_has_no_gap():
    lines = verdict_lines(fake_metrics())
    assert lines[1].startswith("What was asked? In 96 test images of 48 subjects, each of 5 variables")
    assert "480 requests" in lines[1] and "All 6 methods" in lines[1]
