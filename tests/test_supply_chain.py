"""What the package depends on is pinned with hashes, may be used, and is not called home by a command."""

import re
import socket
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from pytest_socket import SocketConnectBlockedError

ROOT = Path(__file__).parent.parent
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = {
    name: (version, block)
    for name, version, block in re.findall(
        r"^([\w.-]+)==([^\s;]+)((?:.*\\\n)(?:    --hash.*\n)+)", LOCK, re.MULTILINE
    )
}


def test_every_locked_file_has_a_hash_and_the_tested_version():
    assert len(LOCKED) == len(re.findall(r"^[\w.-]+==", LOCK, re.MULTILINE)) > 100
    assert {
        name: version for name, (version, _) in LOCKED.items() if name in PINS and PINS[name] != version
    } == {}
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for _, block in LOCKED.values())


def test_every_dependency_is_pinned_and_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {re.match(r"[\w.-]+", one).group().lower() for one in wanted} - {"segue-counterfactual"}
    assert names - {name.lower() for name in PINS} == set()
    assert names - {name.lower() for name in LOCKED} == set()


def test_no_dependency_asks_for_the_licence_of_what_uses_it():
    rows = re.findall(
        r"^\| (\S+) +\| \S+ +\| (.*?) +\|$", (ROOT / "docs" / "licences.md").read_text(), re.MULTILINE
    )
    assert {"torch", "monai", "gradio", "pydicom"} <= {name for name, _ in rows}
    copyleft = re.compile(r"(?<!L)\b(A?GPL|GNU (Affero )?General|SSPL)|UNKNOWN|Proprietary", re.IGNORECASE)
    assert [(name, licence) for name, licence in rows if copyleft.search(licence)] == []


def test_a_test_that_reaches_for_another_machine_fails():
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_may_no_more_than_it_needs(path):
    """It parses; all may read alone, but a job that publishes; actions have versions; what it calls is here."""
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"} and workflow[True]  # YAML 1.1 takes `on` for true
    called = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", one) for one in used)
    for name, job in workflow["jobs"].items():
        assert ("permissions" in job) == ("environment" in job) == (name == "publish")
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(called), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for script in re.findall(r"^\.ci/\w+", "\n".join(called), re.MULTILINE):
        assert (ROOT / script).exists()
