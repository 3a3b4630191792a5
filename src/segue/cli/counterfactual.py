"""`segue counterfactual MODEL IMAGE ...`"""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from segue.cli.arguments import covariates_in, parse_options, question_parser, requests_in, say_verdicts
from segue.errors import InputError

if TYPE_CHECKING:
    from segue.engine.answer_files import FileFormat


def counterfactual_command(rest: list[str]) -> None:
    """Write counterfactuals of image files, and print what was reached."""
    parser = question_parser("counterfactual", images="PNG or NIfTI files")
    parser.add_argument("--out", type=Path, default=Path("counterfactuals"), help="folder to write")
    parser.add_argument(
        "--save", type=str, default="counterfactual", help="any of counterfactual,difference,masks"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("--particles", type=int, default=1, help="number of posterior samples to average")
    parser.add_argument(
        "--propagate", type=bool, default=True, help="false: descendants keep their factual values"
    )
    parser.add_argument(
        "--hold", type=str, action="append", default=[], help="a descendant to keep; repeatable"
    )
    options = parse_options(parser, rest)
    from segue.engine.answer_files import write_answers
    from segue.engine.verdict import refuse_unmet
    from segue.hub.load import load

    targets = targets_of(options)  # refused before any work
    model = load(options.run, method=options.method)
    do = requests_in(options, model.variables[0])
    inputs = [(path, *model.read(path)) for path in options.images]  # read all before anything is written
    asked = {key: options[key] for key in ("particles", "propagate", "hold")} | {
        "covariates": covariates_in(options)
    }
    answers = [model.counterfactual(image, do, spacing=spacing, **asked) for _, image, spacing in inputs]
    said = [one.verdict[0] for one in answers]
    names = [path.name for path in options.images]
    say_verdicts(names, said)
    if options.strict:
        refuse_unmet(said, names)
    for answer, name, (stem, format) in zip(answers, names, targets.items(), strict=True):
        about, parts = {"image": name, "do": do}, parts_of(options)
        saved = write_answers(
            answer, options.out, [stem], parts=parts, format=format, force=options.force, about=about
        )
        print(*saved, sep="\n")


def parts_of(options: Namespace) -> list[str]:
    """What is to be saved."""
    return [part.strip() for part in options.save.split(",") if part.strip()]


def targets_of(options: Namespace) -> dict[str, "FileFormat"]:
    """By name without suffix, the format of each image's files.

    Raises:
        InputError: two images have one name, a part is not known, or a file exists already.
    """
    from segue.cohort.io import split_suffix
    from segue.engine.answer_files import check_parts, paths_of, refuse_existing

    parts = parts_of(options)
    targets: dict[str, FileFormat] = {}
    check_parts(parts)
    for path in options.images:
        stem, suffix = split_suffix(path.name)
        if stem in targets:
            raise InputError(f"{stem}: two images have this name; give them one by one, each with its --out")
        targets[stem] = "png" if suffix == ".png" else "nifti"
    if not options.force:
        refuse_existing(
            [path for stem, kind in targets.items() for path in paths_of(options.out, stem, parts, kind)]
        )
    return targets
