"""`segue init FOLDER`"""

import shlex
from pathlib import Path

from segue.cli.arguments import make_parser, parse_options
from segue.errors import InputError
from segue.quoting import in_comment


def init_command(rest: list[str]) -> None:
    """Look at a folder, say what it holds, and write a study of it."""
    parser = make_parser("init")
    parser.add_argument("folder", type=Path, help="images and masks, in any of the layouts of docs/data.md")
    parser.add_argument("-o", "--out", type=Path, default=Path("study.yaml"), help="the study to write")
    options = parse_options(parser, rest)
    from segue.cohort.survey import survey_folder
    from segue.files import write_text
    from segue.study.draft import draft_study, survey_lines
    from segue.study.read import study_of
    from segue.yaml_text import load_yaml

    if options.out.exists():
        raise InputError(f"{options.out}: exists already; name another file: -o FILE")
    survey = survey_folder(options.folder)
    print(*map(in_comment, survey_lines(survey)), sep="\n")
    draft = draft_study(survey, options.folder, options.out)
    study_of(load_yaml(draft), where=f"{options.out} (not written)")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, draft)
    print(f"{options.out}: read it through, then: {shlex.join(['segue', 'run', str(options.out)])}")
