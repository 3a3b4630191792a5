"""`segue variables MODEL`"""

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from segue.cli.arguments import add_model, make_parser, parse_options
from segue.text import in_digits

if TYPE_CHECKING:
    from segue.engine.model import Model

LEVELS_SHOWN = {"5%": 0.05, "median": 0.5, "95%": 0.95}


def variables_command(rest: list[str]) -> None:
    """Print the variables of a model, with their range in the training images."""
    parser = make_parser("variables")
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parse_options(parser, rest)
    from segue.hub.load import load

    model = load(options.run)
    listed = listed_variables(model)
    if options.json:
        print(json.dumps(listed, indent=1))
        return
    table = Table(title=f"variables, in {model.grid.unit}")
    for column in ("variable", *LEVELS_SHOWN, "sd"):
        table.add_column(column, justify="left" if column == "variable" else "right")
    if model.scm is not None:
        table.add_column("causes")
    for name, one in listed.items():
        numbers = [in_digits(one[key]) for key in (*LEVELS_SHOWN, "sd")]
        causes = [", ".join(one["causes"])] if model.scm is not None else []
        other = f" ({one['unit']})" if one["unit"] not in (model.grid.unit, "") else ""  # of lengths
        table.add_row(name + other, *numbers, *causes)
    Console(markup=False).print(table)


def listed_variables(model: "Model") -> dict[str, dict[str, Any]]:
    """By variable: unit, range, quantiles and sd in the training images, and causes in the graph."""
    from segue.anatomy import variable_unit

    listed = {}
    for i, name in enumerate(model.variables):
        low, high = model.space.training_range(name)
        levels = {key: float(model.space.marginal[:, i].quantile(q)) for key, q in LEVELS_SHOWN.items()}
        listed[name] = {
            "unit": variable_unit(name, model.grid.unit),
            "smallest": low,
            **levels,
            "largest": high,
            "sd": float(model.space.sd[i]),
            "causes": [] if model.scm is None else list(model.scm.parents[name]),
        }
    return listed
