"""`segue export RUN`"""

import sys
from pathlib import Path

from segue.cli.arguments import add_method, make_parser, parse_options
from segue.errors import InputError


def export_command(rest: list[str]) -> None:
    """Write the model of a trained run to a folder of its own."""
    parser = make_parser("export")
    parser.add_argument("run", type=Path, help="a trained run (runs/<study>)")
    parser.add_argument("--out", type=Path | None, default=None, help="the folder to write; must not exist")
    parser.add_argument(
        "--add-check", type=Path | None, default=None, help="in place of --out: an exported model of this run that "
        "has no input check; it is added, and nothing else is changed"
    )  # fmt: skip
    add_method(parser)
    parser.add_argument("--examples", type=int, default=0, help="test images to include, if they may be published")
    parser.add_argument("--notes", type=Path | None, default=None, help="Markdown about the data, for the model card")
    parser.add_argument("--license", type=str, default="unknown", help="of the model: apache-2.0, other, ...")
    parser.add_argument("--push", type=str | None, default=None, help="user/repo: upload it to the Hugging Face Hub")
    parser.add_argument("--public", action="store_true", help="with --push: a new repository is seen by everybody")
    parser.add_argument("--monai-bundle", action="store_true", help="write a MONAI bundle; MODEL may be any model")
    options = parse_options(parser, rest)
    if (options.out is None) == (options.add_check is None):
        raise InputError("segue export: give --out FOLDER, or --add-check FOLDER")
    if options.add_check is not None:
        from segue.hub.inputs import add_input_check

        print(add_input_check(options.add_check, options.run))
        return
    if options.monai_bundle:
        from segue.bridges.bundle import export_bundle

        print(export_bundle(options.run, options.out, method=options.method))
        return
    from segue.hub.export import export

    given = {key: options[key] for key in ("method", "examples", "license")}
    print(export(options.run, options.out, notes=read_notes(options.notes), **given))
    if (doubt := export_warning(options.run)) is not None:
        print(f"warning: {doubt}", file=sys.stderr)
    if options.push is not None:
        from segue.hub.remote import push_to_hub

        print(push_to_hub(options.out, options.push, private=not options.public))


def export_warning(run: Path) -> str | None:
    """Why the model of a run must not be relied on; None where its evaluation does not forbid it."""
    from segue.pipeline.judging import read_metrics
    from segue.report.verdict_text import warning

    path = run / "evaluate" / "metrics.json"
    if not path.is_file():
        return "This model has not been judged: do `segue evaluate` on its study before it is relied on."
    return warning(read_metrics(path.parent))


def read_notes(path: Path | None) -> str:
    """The text of a file, or no text."""
    try:
        return path.read_text() if path is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--notes {path}: cannot be read as text ({error})") from None
