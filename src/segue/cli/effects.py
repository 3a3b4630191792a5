"""`segue effects MODEL IMAGE ...`"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from segue.cli.arguments import covariates_in, parse_options, question_parser, requests_in, say_verdicts

if TYPE_CHECKING:
    from segue.engine.effects import Mediation

WAYS = ("total", "direct", "indirect")


def effects_command(rest: list[str]) -> None:
    """Print the total, direct and indirect effect of a request, averaged over images."""
    parser = question_parser("effects", images="PNG or NIfTI files; effects are averaged over them")
    options = parse_options(parser, rest)
    from segue.engine.effects import effects
    from segue.engine.verdict import refuse_unmet
    from segue.hub.load import load

    model = load(options.run, method=options.method)
    do, given = requests_in(options, model.variables[0]), covariates_in(options)
    read = [model.read(path) for path in options.images]
    answers = [effects(model, image, do, spacing=spacing, covariates=given) for image, spacing in read]
    said, names = [one.total.verdict[0] for one in answers], [path.name for path in options.images]
    say_verdicts(names, said)
    if options.strict:
        refuse_unmet(said, names)
    title = f"do({', '.join(f'{name} = {value}' for name, value in do.items())}), {len(answers)} images"
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False)
    console.print(effects_table(answers, model.variables, title))


def effects_table(answers: "list[Mediation]", variables: Sequence[str], title: str) -> Table:
    """Effects on each variable, as the causal model expects them and as they are measured ("seen") in the images."""
    import torch

    table = Table(title=title)
    table.add_column("variable")
    for column in ("in fact", "total", "direct", "indirect", "total, seen", "direct, seen"):
        table.add_column(column, justify="right")
    for i, name in enumerate(variables):
        ways = [torch.stack([getattr(one.variables, way)[0, i] for one in answers]).mean() for way in WAYS]
        seen = [
            torch.stack([(part.achieved[name] - part.factual[name])[0] for part in parts]).mean()
            for parts in ([one.total for one in answers], [one.direct for one in answers])
            if name in answers[0].total.achieved
        ]
        fact = torch.stack([one.total.factual[name][0] for one in answers]).mean()
        table.add_row(name, *(f"{float(value):.4g}" for value in (fact, *ways, *seen)))
    return table
