"""`segue export`: parse, call, print."""

from pathlib import Path

from jsonargparse import ArgumentParser

from segue.errors import InputError


def export_command(rest: list[str]) -> None:
    """A trained run to a folder that travels."""
    from segue.cli import parse

    parser = ArgumentParser(exit_on_error=False, prog="segue export")
    parser.add_argument("run", type=Path, help="a trained run, runs/<study>")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; must not exist")
    parser.add_argument("--method", type=str | None, default=None, help="a key of metrics.json")
    parser.add_argument("--examples", type=int, default=0, help="test images to put in: only if they may be published")
    parser.add_argument("--notes", type=Path | None, default=None, help="Markdown for the model card, about the data")
    parser.add_argument("--license", type=str, default="unknown", help="of the model: apache-2.0, other, ...")
    options = parse(parser, rest)
    from segue.hub.export import export

    given = {key: options[key] for key in ("method", "examples", "license")}
    print(export(options.run, options.out, notes=read_notes(options.notes), **given))


def read_notes(path: Path | None) -> str:
    try:
        return path.read_text() if path is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--notes {path}: cannot be read as text ({error})") from None
