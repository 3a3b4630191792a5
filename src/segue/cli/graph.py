"""`segue effects` and `segue sample`: parse, call, print. What a model with a graph can be asked besides."""

import sys
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table

from segue.errors import InputError

WAYS = ("total", "direct", "indirect")


def effects_command(rest: list[str]) -> None:
    """The total, direct and indirect effect of a request, in a table."""
    from segue.cli import given_in, pairs, parse, question

    parser = question("segue effects", images="PNG or NIfTI files; effects are averaged over them")
    parser.add_argument("--method", type=str | None, default=None, help="of a run, a key of metrics.json")
    options = parse(parser, rest)
    import torch

    from segue.engine.effects import effects
    from segue.hub.load import load

    model = load(options.run, method=options.method)
    do = pairs(options.do, "--do", example=f"{model.variables[0]}=+20%")
    given = given_in(options)
    read = [model.read(path) for path in options.images]
    answers = [effects(model, image, do, spacing=spacing, covariates=given) for image, spacing in read]
    table = Table(title=f"do({', '.join(f'{name} = {value}' for name, value in do.items())}), {len(answers)} images")
    table.add_column("variable")
    for column in ("in fact", "total", "direct", "indirect", "total, seen", "direct, seen"):
        table.add_column(column, justify="right")
    for i, name in enumerate(model.variables):
        ways = [torch.stack([getattr(one.variables, way)[0, i] for one in answers]).mean() for way in WAYS]
        seen = [
            torch.stack([(part.achieved[name] - part.factual[name])[0] for part in parts]).mean()
            for parts in ([one.total for one in answers], [one.direct for one in answers])
            if name in answers[0].total.achieved
        ]
        fact = torch.stack([one.total.factual[name][0] for one in answers]).mean()
        table.add_row(name, *(f"{float(value):.4g}" for value in (fact, *ways, *seen)))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def sample_command(rest: list[str]) -> None:
    """A population: image files, and a table of their variables."""
    from segue.cli import pairs, parse

    parser = ArgumentParser(exit_on_error=False, prog="segue sample")
    parser.add_argument("run", type=Path, help="a run, runs/<study>, an exported folder or a shipped model")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--do", type=str, action="append", default=[], help='"variable=value", may be repeated')
    parser.add_argument("--like", type=Path, nargs="*", default=[], help="images to take the regions from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", type=Literal["nifti", "png"], default="nifti")
    parser.add_argument("--method", type=str | None, default=None, help="of a run, a key of metrics.json")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    options = parse(parser, rest)
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
