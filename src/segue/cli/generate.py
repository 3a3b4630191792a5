"""`segue generate MODEL`"""

from pathlib import Path
from typing import Literal

from rich.console import Console

from segue.cli.arguments import add_method, add_model, add_strict, make_parser, parse_options
from segue.errors import InputError


def generate_command(rest: list[str]) -> None:
    """Write counterfactuals of a whole cohort."""
    parser = make_parser("generate")
    add_model(parser)
    parser.add_argument("--cohort", type=Path, required=True, help="a prepared cohort.zarr, or a folder of image files")
    parser.add_argument("--do", type=Path, required=True, help="the plan: a YAML file (docs/generate.md)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, or to continue")
    parser.add_argument("--format", type=Literal["zarr", "nifti", "png"], default="zarr", help="of the images")
    parser.add_argument("--split", type=str | None, default=None, help="of a prepared cohort: only this split")
    add_strict(parser)
    add_method(parser)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work; or actors of a cluster")
    parser.add_argument("--address", type=str | None, default=None, help="of a Ray cluster; needs the extra `ray`")
    options = parse_options(parser, rest)
    from segue.generation.generate import generate
    from segue.generation.ledger import QUARANTINE, TABLE

    given = {key: options[key] for key in ("cohort", "out", "format", "split", "method", "workers", "address")}
    summary = generate(options.run, plan=options.do, **given)
    note = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if summary["quarantined"]:
        note.print(f"{summary['quarantined']} images were quarantined: {options.out / QUARANTINE} says why")
    note.print(
        f"{summary['counterfactuals']} counterfactuals of {summary['images']} images, "
        f"{summary['counterfactuals_per_second']:.1f} a second",
        style="dim",
    )
    note.print(f"verdicts: {summary['not_met']} not met, {summary['in_doubt']} met but in doubt ({TABLE} says why)")
    print(options.out)
    if options.strict and summary["not_met"]:
        table = options.out / TABLE
        raise InputError(f"{table}: {summary['not_met']} requests were not met (verdict); ask for smaller changes")
