"""Where a model is: in a run, in an exported folder, or in the package. Needs no torch: the help lists the shipped."""

from pathlib import Path

from segue.errors import InputError
from segue.hub.remote import HubName, fetch

RUN, EXPORTED = "study.yaml", "model.json"  # what tells a run's folder, and an exported model's
MODELS = Path(__file__).parents[1] / "models"


def shipped() -> tuple[str, ...]:
    """Names of the models that came with the package, for `segue.load`.

    >>> shipped()
    ('chest', 'coronary-phantom')
    """
    return tuple(sorted(path.parent.name for path in MODELS.glob(f"*/{EXPORTED}")))


def locate(model: Path | str) -> Path:
    """The folder of a run or of an exported model; what is no such folder is looked up among the shipped ones, and what
    is called `user/repo` or `user/repo@revision` on the Hugging Face Hub (see `segue.hub.remote`).

    Raises:
        InputError: it is none of them.
    """
    folder = Path(model)
    if (folder / RUN).is_file() or (folder / EXPORTED).is_file():
        return folder
    if str(model) in shipped():
        return MODELS / str(model)
    if (name := HubName.of(model)) is not None:
        return fetch(name)
    known = ", ".join(shipped()) or "there is none"
    raise InputError(
        f"{model}: no run here ({RUN} is missing), no exported model ({EXPORTED} is missing), and no shipped model "
        f"({known}); train a run with `segue run STUDY` and give its folder, runs/<study>"
    )
