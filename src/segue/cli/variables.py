"""`segue variables MODEL`"""

from rich.console import Console
from rich.table import Table

from segue.cli.arguments import add_model, make_parser, parse_options


def variables_command(rest: list[str]) -> None:
    """Print the variables of a model, with their range in the training images."""
    parser = make_parser("variables")
    add_model(parser)
    options = parse_options(parser, rest)
    from segue.hub.load import load

    model = load(options.run)
    table = Table(title=f"variables, in {model.grid.unit}")
    for column in ("variable", "5%", "median", "95%", "sd"):
        table.add_column(column, justify="left" if column == "variable" else "right")
    if model.scm is not None:
        table.add_column("causes")
    for i, name in enumerate(model.variables):
        levels = [float(model.space.marginal[:, i].quantile(q)) for q in (0.05, 0.5, 0.95)]
        causes = [] if model.scm is None else [", ".join(model.scm.parents[name])]
        table.add_row(name, *(f"{v:.3g}" for v in [*levels, float(model.parents.sd[i])]), *causes)
    Console().print(table)
