"""Exported models on the Hugging Face Hub: fetched by name at one commit, and uploaded.

The network is used only for a name that has the form of a repository, `user/repo` or `user/repo@revision`, and is no
folder here. Only the files that `model.json` names are fetched, and their checksums are compared; nothing is unpickled.
`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE` mean what they mean to `huggingface_hub`.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from segue.errors import InputError

NAME = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
SETTINGS, CARD_FILE = "model.json", "README.md"
FETCHED = (".json", ".safetensors", ".md", ".png", ".nii", ".gz", ".npy")  # of a model's files; no pickles


class HubName(NamedTuple):
    """A repository, and a branch, tag or commit of it.

    >>> HubName.of("clinic/vessels@v1")
    HubName(repository='clinic/vessels', revision='v1')
    >>> HubName.of("runs/coronary") is None, HubName.of("chest") is None  # the folder of runs; no user
    (True, True)
    """

    repository: str
    revision: str

    @classmethod
    def of(cls, model: Path | str) -> "HubName | None":
        """The repository that a model's name means; None where it has another form, or begins with a folder here."""
        found = NAME.fullmatch(str(model))
        owner = str(model).split("/")[0]
        if found is None or owner in ("runs", "studies", "data") or Path(owner).is_dir():
            return None
        return cls(found["repository"], found["revision"] or "main")


def fetch(name: HubName) -> Path:
    """The folder of a model of the Hub, in the local cache, at one commit.

    Raises:
        InputError: it cannot be reached, or is no exported model.
    """
    from huggingface_hub import hf_hub_download

    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        commit = commit_of(name, endpoint)
        at: dict[str, Any] = {"revision": commit, "endpoint": endpoint}
        settings = Path(hf_hub_download(name.repository, SETTINGS, **at))
        for file in named_in(settings, name):
            hf_hub_download(name.repository, file, **at)
    except InputError:
        raise
    except Exception as error:  # of the network, of the Hub, of the cache
        raise InputError(hub_failure(name, error)) from None
    if name.revision != commit:
        pinned = f'segue.load("{name.repository}@{commit}")'
        print(f"{name.repository}: {name.revision} is commit {commit}; {pinned} stays with it", file=sys.stderr)
    return settings.parent


def commit_of(name: HubName, endpoint: str | None) -> str:
    """The commit of a branch or tag; without a network, the one in the cache."""
    from huggingface_hub import HfApi, constants, hf_hub_download

    if COMMIT.fullmatch(name.revision):
        return name.revision
    if constants.HF_HUB_OFFLINE:
        return Path(hf_hub_download(name.repository, SETTINGS, revision=name.revision)).parent.name
    return str(HfApi(endpoint=endpoint).model_info(name.repository, revision=name.revision).sha)


def named_in(settings: Path, name: HubName) -> list[str]:
    """The files that a model.json names.

    Raises:
        InputError: it is no model.json, or names a file elsewhere or of another kind.
    """
    try:
        files = list(json.loads(settings.read_text())["files"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{name.repository}: its {SETTINGS} is no segue model's; give another repository") from None
    for file in files:
        if Path(file).name != file or not file.endswith(FETCHED):
            raise InputError(f"{name.repository}: its {SETTINGS} names {file}; such files are not fetched")
    return files


def hub_failure(name: HubName, error: Exception) -> str:
    """One line: what went wrong, and the mend."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return (
        f"{name.repository}: no folder here, and not fetched from the Hub at {name.revision} ({reason}); "
        "check the name and HF_TOKEN, or give a folder"
    )


def push_to_hub(folder: Path | str, repository: str, *, private: bool = True, message: str = "Upload model") -> str:
    """Upload an exported model's files, and return `user/repo@commit`, by which `segue.load` finds them again.

    Args:
        folder: written by `segue export`. private: whether a new repository is seen by its owner alone.

    Raises:
        InputError: the folder is no exported model, or damaged; or the Hub refuses.

    >>> push_to_hub("nowhere", "clinic/vessels")
    Traceback (most recent call last):
    segue.errors.InputError: nowhere: no exported model (model.json is missing); write one with `segue export RUN`
    """
    from huggingface_hub import HfApi

    from segue.hub.settings import read_settings

    folder = Path(folder)
    if not (folder / SETTINGS).is_file():
        raise InputError(f"{folder}: no exported model ({SETTINGS} is missing); write one with `segue export RUN`")
    files = [SETTINGS, *read_settings(folder)["files"], *([CARD_FILE] if (folder / CARD_FILE).is_file() else [])]
    if NAME.fullmatch(repository) is None or "@" in repository:
        raise InputError(f"{repository}: not the name of a repository; give user/repo")
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=files, commit_message=message)
    except Exception as error:  # of the network, or of the Hub
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(f"{repository}: not uploaded ({reason}); check the name, log in (`hf auth login`)") from None
    return f"{repository}@{done.oid}"
