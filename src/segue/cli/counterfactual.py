"""`segue counterfactual MODEL IMAGE ...`"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from segue.cli.arguments import covariates_in, parse_options, question_parser, requests_in
from segue.errors import InputError
from segue.files import write_text

if TYPE_CHECKING:
    from segue.engine.model import Counterfactual, Model


def counterfactual_command(rest: list[str]) -> None:
    """Write counterfactuals of image files."""
    parser = question_parser("counterfactual", images="PNG or NIfTI files")
    parser.add_argument("--out", type=Path, default=Path("counterfactuals"), help="folder to write")
    parser.add_argument("--particles", type=int, default=1, help="number of posterior samples to average")
    parser.add_argument("--propagate", type=bool, default=True, help="false: descendants keep their factual values")
    parser.add_argument("--hold", type=str, action="append", default=[], help="a descendant to keep; repeatable")
    options = parse_options(parser, rest)
    import torch

    from segue.cohort.io import split_suffix
    from segue.cohort.io.write_file import bits_of
    from segue.hub.load import load

    model = load(options.run, method=options.method)
    do = requests_in(options, model.variables[0])
    covariates = {name: torch.tensor([value]) for name, value in covariates_in(options).items()}
    stems = [split_suffix(path.name)[0] for path in options.images]
    if repeated := [stem for stem in stems if stems.count(stem) > 1]:
        raise InputError(f"{repeated[0]}: two images have this name; give them one by one, each with its --out")
    inputs = [(path, *model.read(path)) for path in options.images]  # read all before anything is written
    asked = {key: options[key] for key in ("particles", "propagate", "hold")}
    for path, image, spacing in inputs:
        answer = model.counterfactual(image, do, spacing=spacing, covariates=covariates, **asked)
        options.out.mkdir(parents=True, exist_ok=True)  # after the request has been checked
        bits = bits_of(model.grid.limits(image[0].numpy()))
        print(write_counterfactual(answer, model, do, path, spacing, options.out, bits=bits))


def write_counterfactual(
    answer: "Counterfactual",
    model: "Model",
    do: dict[str, str],
    source: Path,
    spacing: tuple[float, ...] | None,
    out: Path,
    *,
    bits: int,
) -> Path:
    """Write the image (a PNG of 8 or 16 bits), and a JSON file with its variables; return the path of the image."""
    from segue.cohort.io import split_suffix
    from segue.cohort.io.write_file import write_image

    stem, suffix = split_suffix(source.name)
    file = out / f"{stem}_counterfactual{'.png' if suffix == '.png' else '.nii.gz'}"
    write_image(file, answer.image[0, 0].cpu().numpy(), spacing, bits=bits)
    kinds = {"factual": answer.factual, "requested": answer.requested, "achieved": answer.achieved}
    values = {
        name: {kind: float(value[name][0]) for kind, value in kinds.items() if name in value}
        for name in model.variables
    }
    sidecar = {"image": source.name, "do": do, "unit": answer.unit, "variables": values}
    write_text(out / f"{stem}_counterfactual.json", json.dumps(sidecar, indent=1))
    return file
