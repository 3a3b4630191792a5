"""Files of answers: what is refused, and what the analysis says of readers whose answers are known."""

import json

import numpy as np
import pytest
from small_kit import METHODS, answer_file, small_kit

from segue.cli import main
from segue.errors import InputError
from segue.readers.analysis import analyse, analysed
from segue.readers.answers import Answers, level, read_all, read_answers, save_answers
from segue.readers.draw import KitPlan
from segue.readers.key import KEY, REAL, STAND_IN, TRUTH, read_key, write_key

PLAN = KitPlan(readers=3, cases=18, repeats=6, requests=4, stand_in=True)


@pytest.fixture
def kit(tmp_path):
    """A kit's folder with its key alone."""
    (tmp_path / "kit" / TRUTH).mkdir(parents=True)
    write_key(tmp_path / "kit" / TRUTH / KEY, small_kit(PLAN)[2])
    return tmp_path / "kit"


@pytest.fixture
def key(kit):
    return read_key(kit / TRUTH / KEY)


def guess(one):
    return "real", 1


def test_the_key_is_read_as_it_was_written(key):
    assert key == small_kit(PLAN)[2]
    assert [len(key.of_kind(kind)) for kind in (REAL, *METHODS)] == [6, 6, 6]


CHANGES = {
    "kit": (lambda text, key: text.replace(key.kit, "000000000000"), "is of kit '000000000000', not of"),
    "reader": (lambda text, key: text.replace("reader-1", "reader-9"), "is of reader 'reader-9'"),
    "two readers": (lambda text, key: text.replace("reader-1", "reader-2", 1), "is of reader 'reader-1, reader-2'"),
    "another's": (lambda text, key: text.replace("reader-1", "reader-2"), "reader-2 has no case"),
    "missing": (lambda text, key: text.rsplit("\n", 3)[0] + "\n", "lacks 2 of 32 cases"),
    "twice": (lambda text, key: text + text.splitlines()[1] + "\n", "twice"),
    "above": (lambda text, key: text.replace("real,1", "real,6", 1), "confidence of case .* is '6'; it is a number"),
    "below": (lambda text, key: text.replace("real,1", "real,0", 1), "is '0'"),
    "fraction": (lambda text, key: text.replace("3,3,3", "3,2.5,3", 1), "only_there of case .* is '2.5'"),
    "empty": (lambda text, key: text.replace("3,3,3", "3,3,", 1), "plausible of case .* is ''"),
    "choice": (lambda text, key: text.replace("real,1", "fake,1", 1), "is 'fake'; it is real or edited"),
    "column": (lambda text, key: text.replace("happened", "occurred", 1), "has no column 'happened'"),
    "no rows": (lambda text, key: text.splitlines()[0] + "\n", "has no rows"),
    "no table": (lambda text, key: '"', "not a CSV table|no column"),
    "nothing": (lambda text, key: "", "no column 'kit'"),
    "seconds": (lambda text, key: text.replace("2.5", "soon", 1), "seconds of case .* is 'soon'"),
    "large": (lambda text, key: text + " " * 2**20, "has more than 1 MiB"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_file_is_refused_in_one_line(change, kit, key, tmp_path, capsys):
    path = answer_file(tmp_path / "answers.csv", key, "reader-1", guess)
    spoil, message = CHANGES[change]
    path.write_text(spoil(path.read_text(), key))
    with pytest.raises(InputError, match=message) as refused:
        read_answers(path, key)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)
    assert main(["readers", "analyse", str(kit), str(path)]) == 2
    assert capsys.readouterr().err == f"segue: {refused.value}\n"
    assert not (kit / "analysis").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"a,b\n1,2\n3,4,5,6\n"])
def test_no_file_no_text_and_no_answers(content, key, tmp_path):
    path = tmp_path / "answers.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"answers.csv: (is not a CSV table|has no column)"):
        read_answers(path, key)


def test_two_files_of_a_reader_and_a_damaged_key_are_refused(kit, key, tmp_path):
    paths = [answer_file(tmp_path / name, key, "reader-1", guess) for name in ("a.csv", "b.csv")]
    with pytest.raises(InputError, match=r"b.csv: is of reader-1, as is .*a.csv; give one of them"):
        read_all(paths, key)
    for text in ("{", "[]", "{}", '{"segue_readers": 1}', json.dumps({"segue_readers": 1, "sheets": {}})):
        (kit / TRUTH / KEY).write_text(text)
        with pytest.raises(InputError, match="is not the key of a kit"):
            read_key(kit / TRUTH / KEY)
    (kit / TRUTH / KEY).write_text('{"segue_readers": 99}')
    with pytest.raises(InputError, match="another version"):
        read_key(kit / TRUTH / KEY)


def test_a_file_that_a_spreadsheet_saved_again_is_read(key, tmp_path):
    path = answer_file(tmp_path / "answers.csv", key, "reader-1", guess)
    other = tmp_path / "again.csv"
    other.write_bytes(path.read_text().replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_answers(other, key) == read_answers(path, key)


def test_the_analysis_finds_what_simulated_readers_do(kit, key, tmp_path):
    """One sees Pos-Seg-CFT and guesses about segue; the others are right about all, and wrong about all."""
    kinds = [case["kind"] for case in key.cases]

    def sees_one(reading):
        return ("edited", 5) if kinds[reading.case] == "pos_seg_cft" else ("real", 3)

    def right(reading):
        return ("real", 5) if kinds[reading.case] == REAL else ("edited", 4)

    def wrong(reading):
        return ("edited", 5) if kinds[reading.case] == REAL else ("real", 4)

    def rates(shown):
        return (5, 4, 2) if shown.method == "segue" else (1, 4, 3)

    paths = [
        answer_file(tmp_path / f"{name}.csv", key, name, how, rates)
        for name, how in zip(("reader-2", "reader-1", "reader-3"), (right, sees_one, wrong), strict=True)
    ]
    out = analyse(kit, paths, tmp_path / "out")
    found = json.loads((out / "analysis.json").read_text())
    roc_areas = found["first"]["auc"]
    assert found["readers"] == ["reader-1", "reader-2", "reader-3"]
    assert [roc_areas["segue"]["readers"][name]["value"] for name in found["readers"]] == [0.5, 1, 0]
    assert [roc_areas["pos_seg_cft"]["readers"][name]["value"] for name in found["readers"]] == [1, 1, 0]
    assert roc_areas["all edited images"]["readers"]["reader-1"]["value"] == 0.75
    assert roc_areas["pos_seg_cft"]["value"] == pytest.approx(2 / 3)
    assert found["first"]["differences"]["pos_seg_cft - segue"]["value"] == pytest.approx(1 / 6)
    assert found["first"]["called_edited"]["segue"] == {"reader-1": 0, "reader-2": 1, "reader-3": 0}
    assert {one["kappa"] for one in found["first"]["within_readers"].values()} == {1}
    assert found["first"]["within_readers"]["reader-1"]["cases"] == 6
    assert found["first"]["between_readers"]["reader-2, reader-3"]["kappa"] < -0.5
    happened = found["second"]["methods"]["segue"]["happened"]
    assert happened == {"value": 5, "ci95": [5, 5], "share_4_or_5": 1}
    assert found["second"]["differences"]["pos_seg_cft - segue"]["plausible"]["value"] == 1
    assert found["seconds"]["reader-1"] == 2.5 and found["stand_in"] is None
    text = (out / "analysis.md").read_text()
    assert "| segue" in text and "Pos-Seg-CFT − segue" in text and "stand-in" not in text


def test_a_reader_who_is_inconsistent_has_a_low_kappa_and_the_first_reading_counts(key):
    sheet, kinds = key.sheets["reader-1"], [case["kind"] for case in key.cases]
    first = {one: level("real" if (kinds[one.case] == REAL) != one.again else "edited", 3) for one in sheet.first}
    found = analysed(key, [Answers("reader-1", first, dict.fromkeys(sheet.second, (1, 2, 3)), [])])
    assert found["first"]["auc"]["segue"]["value"] == 1
    assert found["first"]["within_readers"]["reader-1"]["kappa"] == pytest.approx(-1, abs=0.3)


def test_the_stand_in_stands_apart_and_is_named_as_such(kit, key, tmp_path, capsys):
    save_answers(path := tmp_path / "automatic.csv", key, STAND_IN, dict.fromkeys(range(18), 7))
    assert main(["readers", "analyse", str(kit), str(path), "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert found["readers"] == [] and found["first"] is None and found["second"] is None
    assert found["stand_in"]["auc"]["segue"]["value"] == 0.5
    assert set(read_answers(path, key).first.values()) == {7}
    said = capsys.readouterr().out
    assert "No human has read this kit" in said and "Automatic stand-in" in said and "no human" in said


def test_levels_that_are_written_are_read(key, tmp_path):
    levels = {case: case % 10 for case in range(18)}
    save_answers(path := tmp_path / "automatic.csv", key, STAND_IN, levels)
    first = read_answers(path, key).first
    assert {one.case: at for one, at in first.items()} == levels
    assert not np.isnan([*first.values()]).any()


def test_an_earlier_analysis_is_replaced_and_nothing_else_is(kit, key, tmp_path):
    paths, out = [answer_file(tmp_path / "answers.csv", key, "reader-1", guess)], tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"out: holds files that segue did not make"):
        analyse(kit, paths, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    assert analyse(kit, paths, analyse(kit, paths, out)) == out
    assert sorted(path.name for path in out.iterdir()) == ["analysis.json", "analysis.md"]
