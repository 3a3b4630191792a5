"""The distributions: what is in them, their version, and that what a user does first works from the wheel alone."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH = "2.13.0"
FIRST = """
import contextlib, io, json, os, sys
import segue
from segue.cli import main

model = segue.load("coronary-phantom")
answer = model.counterfactual(model.examples()[:1], do={"calcified_plaque@mid": "+50%"})
loaded = {name.split(".")[0] for name in sys.modules}
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    codes = [main(arguments) for arguments in [
        ["--version"], ["studies"], ["studies", "coronary-phantom"], ["variables", "chest"],
        ["phantom", "scans", "--images", "4", "--size", "[16, 48]"], ["init", "scans", "-o", "study.yaml"],
        ["counterfactual", "coronary-phantom", "scans/images/phantom_000000.nii.gz", "--do", "lumen@mid=+5%"],
        ["prepare", "studies:coronary-phantom", "--cohort.phantom.images", "30"],
        ["segmentor", "studies:coronary-phantom", "--cohort.phantom.images", "30"], ["explore", "chest"],
    ]]
print(json.dumps({
    "home": segue.__file__, "version": segue.__version__, "word": answer.verdict[0].word, "codes": codes,
    "said": said.getvalue(), "shipped": segue.shipped(), "written": sorted(os.listdir()),
    "loaded": sorted({"accelerate", "tensorboard", "SimpleITK", "gradio"} & loaded),
}))
"""
TRAINED = """
from segue.cli import main
from segue.explorer.page import build_page
from segue.explorer.models import Explored
small = "--segmentor.budget.steps 2 --judge.budget.steps 2 --regressor.budget.steps 2 --hvae.budget.steps 2"
assert main(["pretrain", "studies:coronary-phantom", "--cohort.phantom.images", "40", *small.split()]) == 0
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    """A folder with wheel and sdist, as `python -m build` makes them, without the network."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def unpacked(dist, tmp_path_factory) -> Path:
    """The wheel as an installer lays it out."""
    out = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(next(dist.glob("*.whl"))).extractall(out)
    return out


def version_in(folder: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "hatchling", "version"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def test_the_version_is_that_of_the_tag_and_there_is_one_without(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    assert version_in(tmp_path) == "0.1.0.dev0"  # an archive of the source
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    assert re.fullmatch(r"0\.1(\.0)?\.dev\d+", version_in(tmp_path))  # a checkout without tags
    git(tmp_path, "tag", "v3.4.5")
    assert version_in(tmp_path) == "3.4.5"
    (tmp_path / "LICENSE").write_text("changed")
    git(tmp_path, "commit", "-am", "two")
    assert version_in(tmp_path) == "3.4.6.dev1"


def test_the_sdist_has_what_is_named_and_builds_the_same_wheel(dist, tmp_path):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    tops = {name.split("/")[0] for name in names}
    assert {"src", "studies", "tests", "docs", "LICENSE", "README.md", "requirements.lock", "PKG-INFO"} <= tops
    assert tops & {"data", "runs", "results", ".venv", "build"} == set()
    version = re.search(r"-([^-]+)\.tar\.gz$", next(dist.glob("*.tar.gz")).name)
    assert version is not None and version_in(next(tmp_path.iterdir())) == version[1]


def test_the_wheel_has_models_studies_and_addresses(unpacked):
    package = unpacked / "segue"
    assert {path.parent.name for path in package.glob("models/*/model.safetensors")} == {"chest", "coronary-phantom"}
    shipped = {path.relative_to(package / "studies") for path in (package / "studies").rglob("*.yaml")}
    assert shipped == {path.relative_to(ROOT / "studies") for path in (ROOT / "studies").rglob("*.yaml")}
    assert (package / "py.typed").exists() and not list(unpacked.glob("**/__pycache__"))
    about = HeaderParser().parsestr(next(unpacked.glob("*.dist-info/METADATA")).read_text())
    urls = dict(one.split(", ") for one in about.get_all("Project-URL"))
    assert {"Homepage", "Repository", "Documentation", "Changelog", "Issues"} == set(urls)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert urls == project["urls"] and set(about.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    text = about.get_payload()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20 and [one for one in links if "://" not in one] == []  # PyPI has no files beside it


def run_bare(folder: Path, extras: str, code: str, cwd: Path) -> str:
    command = [sys.executable, "-P", Path(__file__).with_name("bare.py"), folder, extras, code]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def check_first(found: dict, home: Path) -> None:
    """What came out of `FIRST`."""
    assert found["home"].startswith(str(home)) and found["version"].startswith("0.1") and found["word"] == "met"
    assert found["codes"] == [0] * 8 + [2, 2], found["said"]
    assert 'training needs accelerate: pip install "segue-counterfactual[train]"' in found["said"]
    assert 'pip install "segue-counterfactual[explore]"' in found["said"]
    assert found["loaded"] == [] and found["shipped"] == ["chest", "coronary-phantom"]
    assert {"study.yaml", "counterfactuals", "runs", "scans"} <= set(found["written"])


def test_what_a_user_does_first_needs_only_what_the_wheel_asks_for(unpacked, tmp_path):
    check_first(json.loads(run_bare(unpacked, "", FIRST, tmp_path).splitlines()[-1]), unpacked)


@pytest.mark.slow
def test_training_and_explorer_need_only_their_extras(unpacked, tmp_path):
    run_bare(unpacked, "train,explore", TRAINED, tmp_path)


@pytest.mark.slow
def test_an_environment_that_an_installer_made(dist, tmp_path):
    """Needs a package index."""
    venv.create(tmp_path / "env", with_pip=True)
    program = tmp_path / "env" / "bin" / "python"
    wheel = next(dist.glob("*.whl"))

    def install(*what: str) -> None:
        command = [program, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *what]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    def run(code: str) -> str:
        command = [program, "-I", "-c", code]  # without PYTHONPATH
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    install(f"torch=={TORCH}")
    install(str(wheel))
    check_first(json.loads(run(FIRST).splitlines()[-1]), tmp_path / "env")
    assert subprocess.run([tmp_path / "env" / "bin" / "segue", "--version"], capture_output=True).returncode == 0
    install(f"{wheel}[train,explore,dicom,vessel,torchio]")
    run(TRAINED)
    run("import highdicom, skimage, segue.bridges.torchio, segue.straightening.skeleton, segue.cohort.io.dicom")
