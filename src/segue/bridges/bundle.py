"""A MONAI bundle: a folder that MONAI's tools read, with a segue model in it. No pickle: weights are safetensors."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from jaxtyping import Float
from monai.data import Dataset
from monai.inferers import Inferer
from torch import Tensor, nn

from segue import __version__
from segue.cohort.io import split_suffix
from segue.cohort.io.write_file import write_nifti
from segue.engine.model import Model
from segue.errors import InputError
from segue.files import whole_file, whole_folder, write_text
from segue.hub.export import export
from segue.hub.load import load
from segue.hub.locate import EXPORTED, locate

__all__ = ["CounterfactualNet", "answer_images", "export_bundle"]

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20220324.json"


class CounterfactualNet(nn.Module):
    """A model under one request as a network: images in the source's units to their counterfactuals.

    Args:
        model: what `segue.load` takes. do: the request.

    >>> net = CounterfactualNet("coronary-phantom", {"lumen@mid": "+1sd"})
    >>> net(net.model.examples()[:2]).shape
    torch.Size([2, 1, 48, 144])
    """

    def __init__(self, model: str, do: Mapping[str, float | int | str]) -> None:
        super().__init__()
        self.model, self.do = load(model), dict(do)
        self.network = self.model.mechanism

    def to(self, *args: Any, **kwargs: Any) -> "CounterfactualNet":
        """Moved to a device; weights stay in float32."""
        device = torch._C._nn._parse_to(*args, **kwargs)[0]
        if device is not None:
            self.model.to(device)
        return self

    def forward(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
        """x*."""
        plain = images.as_tensor() if hasattr(images, "as_tensor") else images
        return self.model.counterfactual(plain, self.do).image


def export_bundle(model: Path | str, out: Path | str, *, method: str | None = None) -> Path:
    """Write a MONAI bundle: configs/metadata.json, configs/inference.json, models/, docs/.

    `python -m monai.bundle run --config_file configs/inference.json --bundle_root OUT` answers `do` for the images of
    `dataset_dir` and writes them to `output_dir`; all of these are keys of the configuration.

    Args:
        model: a run, an exported folder or a name, as of `segue.load`. method: of a run.

    Raises:
        InputError: there is something at `out`, or no such model.
    """
    source, out = locate(model), Path(out)
    if out.exists():
        raise InputError(f"{out}: exists already; name a new folder")
    with whole_folder(out) as partial:
        if (source / EXPORTED).is_file():
            shutil.copytree(source, partial / "models")
        else:
            export(source, partial / "models", method=method)
        opened = load(partial / "models", method=method)
        for folder in ("configs", "docs"):
            (partial / folder).mkdir()
        write_text(partial / "configs" / "metadata.json", json.dumps(metadata_of(opened, out.name), indent=1))
        write_text(partial / "configs" / "inference.json", json.dumps(inference_of(opened), indent=1))
        shutil.copyfile(partial / "models" / "README.md", partial / "docs" / "README.md")
    return out


def metadata_of(model: Model, name: str) -> dict[str, Any]:
    """metadata.json: what goes in and comes out. Images are on the study's grid, in the source's units."""
    image = {
        "type": "image",
        "format": "magnitude",
        "num_channels": model.grid.channels,
        "spatial_shape": list(model.grid.size),
        "dtype": "float32",
        "value_range": list(model.grid.intensity.usual),
        "is_patch_data": False,
        "channel_def": {str(i): f"channel {i}" for i in range(model.grid.channels)},
    }
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "exported"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": "2.0.0",
        "required_packages_version": {"segue-counterfactual": __version__},
        "name": name,
        "task": "Counterfactual images under a requested change of anatomy",
        "description": f"Variables: {', '.join(model.variables)}, in {model.grid.unit}. Not for clinical use.",
        "authors": "see docs/README.md",
        "copyright": "see docs/README.md",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": image}},
    }


def inference_of(model: Model) -> dict[str, Any]:
    """inference.json: images of a folder, read as the model reads them, answered and written as NIfTI."""
    return {
        "imports": ["$import glob", "$import torch", "$from segue.bridges.bundle import answer_images"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "do": {model.variables[0]: "+1sd"},
        "device": "cpu",
        "network_def": {
            "_target_": "segue.bridges.bundle.CounterfactualNet",
            "model": "$@bundle_root + '/models'",
            "do": "@do",
        },
        "network": "$@network_def.to(torch.device(@device))",
        "reader": {"_target_": "segue.bridges.monai.ModelReader", "model": "$@network_def.model"},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": "@reader", "ensure_channel_first": True},
            ],
        },
        "data": "$[{'image': path} for path in sorted(glob.glob(@dataset_dir + '/*'))]",
        "dataset": {"_target_": "Dataset", "data": "@data", "transform": "@preprocessing"},
        "inferer": {"_target_": "SimpleInferer"},
        "run": ["$answer_images(@dataset, @network, @inferer, @output_dir)"],
    }


def answer_images(dataset: Dataset, network: CounterfactualNet, inferer: Inferer, output_dir: str) -> list[Path]:
    """What `run` of inference.json does: each image answered and written as NIfTI (its first channel)."""
    folder, written = Path(output_dir), []
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(dataset)):
        image = dataset[i]["image"]
        answered = inferer(image[None].to(network.model.device), network)[0, 0].cpu().numpy()
        stem = split_suffix(Path(str(image.meta["filename_or_obj"])).name)[0]
        written.append(folder / f"{stem}_counterfactual.nii.gz")
        with whole_file(written[-1]) as partial:
            write_nifti(partial, answered, np.asarray(image.affine))
    return written
