"""`segue counterfactual MODEL IMAGE ...`"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from jsonargparse import Namespace

from segue.cli.arguments import covariates_in, parse_options, question_parser, requests_in, say_verdicts
from segue.errors import InputError

if TYPE_CHECKING:
    from segue.engine.answer_files import FileKind


def counterfactual_command(rest: list[str]) -> None:
    """Write counterfactuals of image files, and print what was reached."""
    parser = question_parser("counterfactual", images="image files, such as PNG, NIfTI or DICOM")
    parser.add_argument("--out", type=Path, default=Path("counterfactuals"), help="folder to write")
    parser.add_argument(
        "--save", type=str, default="counterfactual", help="any of counterfactual,difference,masks"
    )
    parser.add_argument("--slice", type=int | None, default=None, help="of volumes, for a model of slices: from 0")
    parser.add_argument(
        "--grid", type=Literal["file", "study"], default="file", help="of the answers: each file's own, or the study's"
    )
    parser.add_argument("--masks", type=Literal["nifti", "seg"], default="nifti", help="of DICOM: NIfTI or DICOM SEG")
    parser.add_argument("--patient-id", type=str, default="keep", help="of DICOM answers: keep, or another text")
    parser.add_argument("--burn-in", action="store_true", help="draw a note into the pixels of DICOM answers")
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
    from segue.files import all_or_none
    from segue.hub.load import load

    targets = targets_of(options)  # refused before any work
    model = load(options.run, method=options.method)
    do = requests_in(options, model.variables[0])
    inputs = [(path, *model.read(path, slice=options.slice)) for path in options.images]  # all, before any is written
    asked = {key: options[key] for key in ("particles", "propagate", "hold")} | {
        "covariates": covariates_in(options)
    }
    answers = [model.counterfactual(image, do, spacing=spacing, **asked) for _, image, spacing in inputs]
    said = [one.verdict[0] for one in answers]
    names = [path.name for path in options.images]
    say_verdicts(names, said)
    if options.strict:
        refuse_unmet(said, names)
    given, saved = {"parts": parts_of(options), "force": options.force}, []
    with all_or_none(path for target in targets.values() for path in target.paths):
        for answer, path, (stem, target) in zip(answers, options.images, targets.items(), strict=True):
            kind = replace(target.kind, origins=(model.origin(path, slice=options.slice),))
            about = {"image": path.name, "do": do}
            saved += write_answers(answer, options.out, [stem], kind=kind, about=about, **given)
    print(*saved, sep="\n")


def parts_of(options: Namespace) -> list[str]:
    """What is to be saved."""
    return [part.strip() for part in options.save.split(",") if part.strip()]


class Target(NamedTuple):
    """What an image's answer is written as, and its files."""

    kind: "FileKind"
    paths: list[Path]


def targets_of(options: Namespace) -> dict[str, Target]:
    """By name without suffix, what each image's answer is written as.

    Raises:
        InputError: two images have one name, a part is not known, or a file exists already.
    """
    from segue.cohort.io import split_suffix
    from segue.cohort.io.dicom_answer import DicomAnswer
    from segue.cohort.io.write_back import answer_suffix
    from segue.engine.answer_files import FileKind, check_parts, paths_of, refuse_existing

    parts = parts_of(options)
    patient = None if options.patient_id == "keep" else options.patient_id
    dicom = DicomAnswer(patient, options.burn_in, ", ".join(options.do))
    targets: dict[str, Target] = {}
    check_parts(parts)
    for path in options.images:
        stem = split_suffix(path.name)[0]
        if stem in targets:
            raise InputError(f"{stem}: two images have this name; give them one by one, each with its --out")
        picture, seg = answer_suffix(path) == ".png", options.masks == "seg"
        coarse = options.grid == "study"
        kind = FileKind("png" if picture else "nifti", dicom=dicom, segmentation=seg, coarse=coarse)
        suffix = kind.suffix(0) if coarse else answer_suffix(path)
        targets[stem] = Target(kind, paths_of(options.out, stem, parts, suffix, segmentation=seg))
        if not options.force:
            refuse_existing(targets[stem].paths)
    return targets
