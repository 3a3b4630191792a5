"""A sentinel folder of the user's: no study, name or command removes it, or anything in it."""

import hashlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_study import trained, write_study

from segue.cli import main
from segue.cohort import write_store
from segue.errors import InputError
from segue.files import LONGEST_NAME, check_name, whole_folder, write_text
from segue.phantom import STRUCTURES
from segue.pipeline.done import start_stage

STAGES = ("report", "judge", "evaluate", "prepare", "segmentor")


@pytest.fixture
def sentinel(tmp_path):
    """A folder of the user's that looks like a run, with stages' names in it."""
    folder = tmp_path / "theirs"
    for name in STAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "thesis.txt").write_text(f"{name}: three years of work")
    (folder / "study.yaml").write_text("# mine\nname: theirs\n")
    return folder


def content_of(folder: Path) -> dict[str, str]:
    """Every path below a folder, and what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


HOSTILE = [
    "{theirs}", "../theirs", "..", ".", "", "/", "./theirs", "theirs/", "../../..", "~", "a/../../theirs", "a\\b",
    ".hidden", "-rf", "a\nb", "a\tb", "x" * 300, "a b", "$HOME", "`id`", "théâtre\u202e/", "con:", "*", "?",
    "a|b", "\x7f",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_name(name):
    with pytest.raises(InputError, match="is to name a folder"):
        check_name(name, "name")


@pytest.mark.parametrize("name", HOSTILE[:6])
def test_a_hostile_name_removes_nothing_and_is_one_line(tmp_path, sentinel, capsys, name):
    study, before = write_study(tmp_path), content_of(sentinel)
    (tmp_path / "runs").mkdir()
    arguments = ["report", str(study), "--runs", str(tmp_path / "runs")]
    assert main([*arguments, f"--name={name.format(theirs=sentinel)}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert content_of(sentinel) == before and not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("key", "value"),
    [("panel", "{arch: unet, width: 8, patch: 1, budget: {steps: 1}}"), ("finetune.variants", "{}"),
     ("baselines", "{kind: nothing}"), ("partitions", "{kind: whole}")],
)  # fmt: skip
def test_every_name_of_a_study_that_names_a_folder_is_checked(tmp_path, sentinel, capsys, key, value):
    name = "../theirs"
    study, before = write_study(tmp_path), content_of(sentinel)
    changed = f"{{thirds: {{kind: axis, axis: 1, regions: [proximal, mid, distal]}}, '{name}': {value}}}"
    stated = changed if key == "partitions" else f"{{'{name}': {value}}}"
    assert main(["run", str(study), "--runs", str(tmp_path / "runs"), f"--{key}", stated]) == 2
    assert "is to name a folder" in capsys.readouterr().err
    assert content_of(sentinel) == before


@given(st.text(max_size=200))
def test_a_name_is_refused_or_one_component_that_fits(name):
    try:
        check_name(name, "name")
    except InputError as error:
        assert "\n" not in str(error)
        return
    path = Path("runs") / name
    assert path.parent == Path("runs") and path.name == name and not name.startswith((".", "-"))
    assert 0 < len(name.encode()) <= LONGEST_NAME and not set(name) & set("/\\\0\n\t :*?\"'$`|<>~")


@pytest.mark.parametrize("command", ["run", "report"])
def test_a_folder_that_is_no_run_is_no_place_for_one(tmp_path, sentinel, capsys, command):
    study, before = write_study(tmp_path), content_of(sentinel)
    assert main([command, str(study), "--runs", str(tmp_path), "--name", "theirs"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "theirs: holds files that are no run of segue's" in line
    assert content_of(sentinel) == before


def test_a_stage_starts_in_no_folder_that_segue_did_not_begin(sentinel):
    before = content_of(sentinel)
    for name in STAGES:
        with pytest.raises(InputError, match="holds files that segue did not make"):
            start_stage(sentinel / name, "a fingerprint")
    assert content_of(sentinel) == before


def test_a_run_in_which_a_stage_is_the_users_is_refused(tmp_path, sentinel, capsys):
    study, run = trained()
    shutil.copytree(run, tmp_path / "runs" / "small")
    shutil.rmtree(tmp_path / "runs" / "small" / "report")
    theirs = Path(shutil.copytree(sentinel, tmp_path / "runs" / "small" / "report"))
    before = content_of(theirs)
    assert main(["report", str(study), "--runs", str(tmp_path / "runs")]) == 2
    assert "report: holds files that segue did not make" in capsys.readouterr().err
    assert content_of(theirs) == before


@pytest.mark.parametrize("aside", ["out.partial", ".partial-out"])
def test_temporary_names_are_nobodys_elses(tmp_path, sentinel, capsys, aside):
    shutil.copytree(sentinel, tmp_path / aside)
    before = content_of(tmp_path / aside)
    main(["phantom", str(tmp_path / "out"), "--images", "2", "--size", "[16,48]"])
    assert content_of(tmp_path / aside) == before
    if (tmp_path / "out").exists():
        assert aside == "out.partial"
    else:
        assert "holds files that segue did not make" in capsys.readouterr().err


def test_only_a_folder_with_segues_file_in_it_is_replaced(tmp_path, sentinel):
    before = content_of(sentinel)
    with pytest.raises(InputError, match="holds files that segue did not make"), \
            whole_folder(sentinel, replaces="metrics.json") as partial:  # fmt: skip
        write_text(partial / "metrics.json", "{}")
    with pytest.raises(InputError, match="cannot be written"), whole_folder(sentinel) as partial:
        write_text(partial / "metrics.json", "{}")
    assert content_of(sentinel) == before
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_what_was_replaced_comes_back_where_the_new_one_is_not_complete(tmp_path):
    out = tmp_path / "out"
    for text in ("1", "2"):
        with whole_folder(out, replaces="metrics.json") as partial:
            write_text(partial / "metrics.json", text)
    assert (out / "metrics.json").read_text() == "2" and [path.name for path in tmp_path.iterdir()] == ["out"]
    # As a kill between two renames leaves it: the old folder is aside, and the new one has no name yet.
    (aside := tmp_path / ".partial-out").mkdir()
    (aside / ".segue").touch()
    out.rename(aside / "out.before")
    with pytest.raises(ZeroDivisionError), whole_folder(out, replaces="metrics.json"):
        _ = 1 / 0
    assert (out / "metrics.json").read_text() == "2" and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_store_replaces_stores_only(tmp_path, sentinel, phantom_records):
    before = content_of(sentinel)
    given = {"structures": STRUCTURES, "size": (16, 48), "split": {"test": 1.0}, "seed": 0}
    with pytest.raises(InputError):
        write_store(sentinel, phantom_records, **given)
    assert content_of(sentinel) == before
