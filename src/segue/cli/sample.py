"""`segue sample MODEL`"""

from pathlib import Path
from typing import Literal

from segue.cli.arguments import add_method, add_model, make_parser, pairs, parse_options
from segue.errors import InputError


def sample_command(rest: list[str]) -> None:
    """Write images of simulated subjects, and a table of their variables."""
    parser = make_parser("sample")
    add_model(parser)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--do", type=str, action="append", default=[], help='"variable=value", repeatable')
    parser.add_argument("--like", type=Path, nargs="*", default=[], help="images whose regions are used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", type=Literal["nifti", "png"], default="nifti")
    add_method(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    options = parse_options(parser, rest)
    if options.out.exists():
        raise InputError(f"{options.out}: exists already; name a new folder")
    import torch

    from segue.engine.population import sample, write_population
    from segue.hub.load import load

    model = load(options.run, method=options.method)
    like = torch.cat([model.read(path)[0] for path in options.like]) if options.like else None
    do = pairs(options.do, "--do", example=f"{model.variables[0]}=q0.9")
    people = sample(model, options.images, do, like=like, seed=options.seed)
    print(write_population(people, options.out, model, suffix=".png" if options.format == "png" else ".nii.gz"))
