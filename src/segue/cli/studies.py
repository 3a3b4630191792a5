"""`segue studies [NAME]`"""

from rich.console import Console
from rich.table import Table

from segue.cli.arguments import make_parser, parse_options


def studies_command(rest: list[str]) -> None:
    """List the studies that come with the package, or print the file of one."""
    parser = make_parser("studies")
    parser.add_argument("name", type=str | None, nargs="?", default=None, help="the study whose file is printed")
    options = parse_options(parser, rest)
    from segue.study.shipped import BY_NAME, about_study, shipped_studies, study_file

    if options.name is not None:
        print(study_file(BY_NAME + options.name.removeprefix(BY_NAME)).read_text(encoding="utf-8"), end="")
        return
    table = Table("study", "what it is", title="segue run studies:NAME (of ablations/: segue ablate studies:NAME)")
    for name, path in shipped_studies().items():
        table.add_row(name, about_study(path))
    Console(markup=False).print(table)
