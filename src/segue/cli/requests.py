"""`segue requests RUN`"""

from pathlib import Path

from segue.cli.arguments import make_parser, parse_options


def requests_command(rest: list[str]) -> None:
    """Export what every method of a study is asked, for a method outside segue (docs/judge-your-method.md)."""
    parser = make_parser("requests")
    parser.add_argument("run", type=Path, help="a trained run (runs/<study>), or the YAML file of a trained study")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    options = parse_options(parser, rest)
    from segue.hub.runs import study_at
    from segue.pipeline.exchange import export_requests

    print(export_requests(study_at(options.run), options.out))
