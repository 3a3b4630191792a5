"""The input check of an exported model: what is stored of it, what the card says, and adding it to an older folder."""

import shutil
from pathlib import Path

from torch import Tensor

from segue.cohort import Store
from segue.engine.model import Model
from segue.engine.typical import FEWEST_HELD_OUT, Typical
from segue.errors import InputError
from segue.files import whole_folder, write_text
from segue.hub.folder import INPUTS, TENSORS, read_model
from segue.hub.locate import EXPORTED
from segue.hub.runs import study_at
from segue.hub.settings import read_settings
from segue.pipeline.common import device, open_store
from segue.pipeline.inputs import typical_of
from segue.sealed import sealed, sha256
from segue.tensor_file import read_tensors, save_tensors

CARD, HEADING = "README.md", "## Input check"


def input_tensors(typical: Typical | None) -> dict[str, Tensor]:
    """What is stored with a model of its input check, if it has one."""
    return {} if typical is None else {INPUTS + name: tensor for name, tensor in typical.tensors().items()}


def input_section(typical: Typical | None) -> str:
    """What the card says of the check."""
    if typical is None:
        return (
            f"\n{HEADING}\n\nThis model has none: its cohort has fewer than {FEWEST_HELD_OUT} held-out images. "
            "It does not say when an image is unlike the training images.\n"
        )
    return (
        f"\n{HEADING}\n\nThe model says when an image is unlike the training images (intensities, texture, layout, "
        "measured areas, certainty of the guide, likelihood), and why. The check was calibrated on "
        f"{typical.images} held-out images of the cohort: it doubts about {typical.false_alarm:.1%} of images that are "
        "like the training images. An image that passes can still be wrong for the model.\n"
    )


def add_input_check(folder: Path, run: Path) -> Path:
    """Calibrate the check of an exported model on the cohort of its run, and put it in the model's folder.

    Args:
        folder: an exported model. run: whose prepared cohort the model was trained on; nothing else of it is read.

    Raises:
        InputError: the folder is no exported model, or the cohort is another or has too few held-out images.
    """
    if not (folder / EXPORTED).is_file():
        raise InputError(f"{folder}: no exported model here ({EXPORTED} is missing); give a folder of `segue export`")
    model, settings, store = read_model(folder, method=None, device=device()), read_settings(folder), cohort_of(run)
    check_same(model, store, run)
    if (typical := typical_of(model, store)) is None:
        raise InputError(f"{run}: has fewer than {FEWEST_HELD_OUT} held-out images (splits validation and judge)")
    tensors = {name: one for name, one in read_tensors(folder / TENSORS).items() if not name.startswith(INPUTS)}
    with whole_folder(folder, replaces=EXPORTED) as partial:
        shutil.copytree(folder, partial, dirs_exist_ok=True)
        save_tensors(tensors | input_tensors(typical), partial / TENSORS)
        (partial / TENSORS).chmod(0o644)
        settings["files"] = {name: sha256(partial / name) for name in settings["files"]}
        write_text(partial / EXPORTED, sealed(settings))
        write_card(partial / CARD, typical)
    return folder


def cohort_of(run: Path) -> Store:
    """The prepared cohort of a run."""
    return open_store(study_at(run))


def check_same(model: Model, store: Store, run: Path) -> None:
    """Refuse a cohort that cannot be the model's."""
    found = (store.channels, *store.size), store.structures
    if found != (model.grid.shape, model.structures):
        raise InputError(
            f"{run}: its images are {found[0]} with {', '.join(found[1])}, the model's {model.grid.shape} "
            f"with {', '.join(model.structures)}; give the run that the model was exported from"
        )


def write_card(path: Path, typical: Typical) -> None:
    """The card, its section on the check anew."""
    text = path.read_text().split(f"\n{HEADING}\n")[0] if path.exists() else ""
    write_text(path, text + input_section(typical))
