"""The command line: parse, call, print. What is heavy is imported by the command that needs it."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table

from segue.cli.ablate import ablate_command
from segue.cli.explore import explore_command
from segue.cli.export import export_command
from segue.cli.graph import effects_command, sample_command
from segue.errors import Ended, InputError, RanksLost, TrainingDiverged, exit_code
from segue.hub.locate import shipped

if TYPE_CHECKING:
    from segue.study.schema import Study

STAGES = {
    "run": "do everything that is missing of a study, to its report",
    "prepare": "read the cohort and write it to its store",
    "segmentor": "train the guide's segmentor",
    "judge": "train the judge, on other subjects",
    "measure": "measure every image with the guide's segmentor",
    "regressor": "train Reg-CFT's guide",
    "scm": "fit the mechanisms of the study's graph, and test it",
    "pretrain": "train the image model by its ELBO",
    "finetune": "fine-tune it, once for each guide",
    "evaluate": "judge every method (with --cohort FOLDER: on another cohort of the same anatomy)",
    "report": "write tables and figure into one page",
}
HELP = """segue: segmentor-guided counterfactual images, region by region.

usage: segue COMMAND ...

A study, from its YAML file to its report (each stage first does what it needs; what is done is not done again):
{stages}  ablate ABLATION                do all this at several values of one factor (docs/ablations.md)

With a MODEL: a trained run (a folder runs/<study>), an exported folder, or a shipped model ({shipped}):
  counterfactual MODEL IMAGE ... write the counterfactual of image files: --do "lumen@mid=+20%" --out FOLDER
  generate MODEL ...             counterfactuals of a whole cohort: --cohort STORE --do plan.yaml --out FOLDER
  effects MODEL IMAGE ...        total, direct and indirect effect along the study's graph: --do age=+1sd
  sample MODEL                   images of a population that nobody has: --images 20 --out FOLDER
  variables MODEL                what can be intervened on, with units and training range
  export RUN                     write a run's model to a folder that travels, with its card: --out FOLDER
  explore MODEL                  ask with sliders, in the browser: --cohort IMAGES

Data to try it on:
  phantom OUT                    write a folder of simulated coronary CT images and masks: --images 20 --seed 0

Any key of the study can be given after it: segue run studies/chest-zones.yaml --cohort.folder DATA --hvae.latent 4
`segue COMMAND --help` lists the options. Results land in runs/<study>/."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 2 where the input was wrong (one line on stderr says what, and how to mend it), 1 where a
    training diverged or processes were lost."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        stages = "".join(f"  {f'{name} STUDY':<30} {text}\n" for name, text in STAGES.items())
        print(HELP.format(stages=stages, shipped=", ".join(shipped()) or "none"))
        return 0
    command, rest = given[0], given[1:]
    commands: dict[str, Callable[[list[str]], None]] = {
        **{name: lambda rest, name=name: study_command(name, rest) for name in STAGES},  # type: ignore[misc]
        "ablate": ablate_command,
        "counterfactual": counterfactual_command,
        "generate": generate_command,
        "effects": effects_command,
        "sample": sample_command,
        "variables": variables_command,
        "export": export_command,
        "explore": explore_command,
        "phantom": phantom_command,
    }
    try:
        if command not in commands:
            raise InputError(f"unknown command {command!r}; choose from {', '.join(commands)}")
        commands[command](rest)
    except (InputError, TrainingDiverged, RanksLost) as error:
        print(f"segue: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt as error:
        print("segue: stopped; the same command goes on from here", file=sys.stderr)
        return exit_code(error)
    except Ended as error:
        return error.code
    return 0


def study_command(name: str, rest: list[str]) -> None:
    """A stage, or all of them, in this process, in as many as were asked for, or as one of those that torchrun made."""
    from segue import launch
    from segue.study.read import load_study, study_parser

    if not rest or "-h" in rest or "--help" in rest:
        study_parser(f"segue {name} STUDY [--key.sub value ...]", STAGES[name]).print_help()
        print(launch.HELP)
        return
    options, rest = take_all(rest, launch.OPTIONS)
    placement = launch.place(options)
    cohort, given = take(rest, "--cohort") if name == "evaluate" else (None, rest)
    if not given:
        raise InputError(f"segue {name}: give a study, e.g. studies/coronary-phantom.yaml")
    launch.spread(
        placement,
        [name, *rest],
        read=lambda: load_study(Path(given[0]), given[1:]),
        work=lambda study: do_stages(name, study, cohort),
    )


def do_stages(name: str, study: "Study", cohort: str | None) -> None:
    """A stage, or all of them; the main process says how it goes."""
    from segue import hardware, pipeline, processes, rendezvous
    from segue.study.derived import folds_of

    if name == "scm" and not study.graph:
        raise InputError(f"{study.name}: has no graph to fit; add `graph:` to the study (docs/graph.md)")
    hardware.keep_memory()
    console = Console(stderr=True, highlight=False, quiet=not processes.is_main())
    if cohort is not None:
        directory = Path(rendezvous.alone(lambda: str(pipeline.evaluate_elsewhere(study, Path(cohort)))))
        console.print(f"report: {directory / 'report.html'}", soft_wrap=True)
        if processes.is_main():
            print_summary(directory / "metrics.json")
        return
    root = pipeline.run(study, only=None if name == "run" else name, say=lambda line: console.print(line, style="dim"))
    if not processes.is_main():
        return
    if name in ("run", "evaluate", "report"):
        print_summary(root / "evaluate" / "metrics.json")
    if name == "scm":
        for one in folds_of(study) or [study]:
            print(json.loads((one.directory / "scm" / "metrics.json").read_text())["verdict"])
    if name in ("run", "report"):
        console.print(f"report: {root / 'report' / 'report.html'}", soft_wrap=True)


def print_summary(path: Path) -> None:
    """The means of metrics.json."""
    metrics = json.loads(path.read_text())
    table = Table(title=f"{metrics['study']}: {metrics['n_images']} test images, judged independently")
    for column in ("method", "error (sd)", "95% CI", "off-target (sd)", "leakage", "reversibility"):
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
    for name, method in metrics["methods"].items():
        mean = method["mean"]
        low, high = mean["ci95"]
        reversibility = method.get("reversibility")  # the oracle abducts nothing
        table.add_row(
            name, f"{mean['error_sd']:.3f}", f"{low:.3f} to {high:.3f}", f"{mean['off_target_sd']:.3f}",
            f"{mean['leakage']:.3f}", "–" if reversibility is None else f"{reversibility:.4f}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def take(rest: list[str], option: str) -> tuple[str | None, list[str]]:
    """The value of `option VALUE` or `option=VALUE`, and what else was given."""
    for i, argument in enumerate(rest):
        if argument == option and i + 1 < len(rest):
            return rest[i + 1], rest[:i] + rest[i + 2 :]
        if argument.startswith(option + "="):
            return argument.split("=", 1)[1], rest[:i] + rest[i + 1 :]
        if argument == option:
            raise InputError(f"{option} needs a value")
    return None, rest


def take_all(rest: list[str], options: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The values of those of `options` that were given, by name, and what else was."""
    found = {}
    for option in options:
        value, rest = take(rest, f"--{option}")
        if value is not None:
            found[option] = value
    return found, rest


def parse(parser: ArgumentParser, rest: list[str]) -> Namespace:
    """Parse, an error being one line."""
    try:
        return parser.parse_args(rest)
    except Exception as error:  # jsonargparse raises several kinds
        raise InputError(" ".join(str(error).split())) from None


def question(prog: str, *, images: str) -> ArgumentParser:
    """What a model is asked of image files: the arguments that such commands share."""
    parser = ArgumentParser(exit_on_error=False, prog=prog)
    parser.add_argument("run", type=Path, help="a run, runs/<study>, an exported folder or a shipped model")
    parser.add_argument("images", type=Path, nargs="+", help=images)
    parser.add_argument("--do", type=str, action="append", required=True, help='"variable=request", may be repeated')
    parser.add_argument("--given", type=str, action="append", default=[], help='"covariate=value", as it is in fact')
    return parser


def given_in(options: Namespace) -> dict[str, float]:
    """The factual values of covariates."""
    return {name: number(value, name) for name, value in pairs(options.given, "--given", example="age=60").items()}


def counterfactual_command(rest: list[str]) -> None:
    """Counterfactuals of image files."""
    parser = question("segue counterfactual", images="PNG or NIfTI files")
    parser.add_argument("--out", type=Path, default=Path("counterfactuals"), help="folder to write")
    parser.add_argument("--method", type=str | None, default=None, help="of a run, a key of metrics.json")
    parser.add_argument("--particles", type=int, default=1, help="posterior samples to average")
    parser.add_argument("--propagate", type=bool, default=True, help="false: what follows from the request stays")
    parser.add_argument("--hold", type=str, action="append", default=[], help="a descendant that stays; repeatable")
    options = parse(parser, rest)
    import torch

    from segue.cohort.io import split_suffix
    from segue.cohort.io.write_file import bits_of, write_image
    from segue.hub.load import load

    model = load(options.run, method=options.method)
    do = pairs(options.do, "--do", example=f"{model.variables[0]}=+20%")
    given = given_in(options)
    covariates = {name: torch.tensor([value]) for name, value in given.items()}
    stems = [split_suffix(path.name)[0] for path in options.images]
    if repeated := [stem for stem in stems if stems.count(stem) > 1]:
        raise InputError(f"{repeated[0]}: two images have this name; give them one by one, each with its --out")
    inputs = [(path, *model.read(path)) for path in options.images]  # all are read before anything is written
    for path, image, spacing in inputs:
        causal = {"propagate": options.propagate, "hold": options.hold}
        answer = model.counterfactual(
            image, do, spacing=spacing, covariates=covariates, particles=options.particles, **causal
        )
        options.out.mkdir(parents=True, exist_ok=True)  # only once the request has proved sound
        stem, suffix = split_suffix(path.name)
        array = answer.image[0, 0].cpu().numpy()
        file = options.out / f"{stem}_counterfactual{'.png' if suffix == '.png' else '.nii.gz'}"
        write_image(file, array, spacing, bits=bits_of(model.intensity))
        kinds = {"factual": answer.factual, "requested": answer.requested, "achieved": answer.achieved}
        values = {
            name: {kind: float(value[name][0]) for kind, value in kinds.items() if name in value}
            for name in model.variables
        }
        sidecar = {"image": path.name, "do": do, "unit": answer.unit, "variables": values}
        (options.out / f"{stem}_counterfactual.json").write_text(json.dumps(sidecar, indent=1))
        print(file)


def pairs(texts: list[str], option: str, *, example: str) -> dict[str, str]:
    """`name=value` by name."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{option} {text!r}: write name=value, e.g. {example}")
        found[name.strip()] = value.strip()
    return found


def number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--given {name}={text}: give a number") from None


def generate_command(rest: list[str]) -> None:
    """Counterfactuals of a whole cohort."""
    from segue.cli import generate as command

    command.generate_command(rest)


def variables_command(rest: list[str]) -> None:
    """What a run's images can be asked."""
    parser = ArgumentParser(exit_on_error=False, prog="segue variables")
    parser.add_argument("run", type=Path, help="a run, runs/<study>, an exported folder or a shipped model")
    options = parse(parser, rest)
    from segue.hub.load import load

    model = load(options.run)
    table = Table(title=f"variables, in {model.unit}")
    for column in ("variable", "5%", "median", "95%", "sd"):
        table.add_column(column, justify="left" if column == "variable" else "right")
    if model.scm is not None:
        table.add_column("causes")
    for i, name in enumerate(model.variables):
        levels = [float(model.marginal[:, i].quantile(q)) for q in (0.05, 0.5, 0.95)]
        causes = [] if model.scm is None else [", ".join(model.scm.parents[name])]
        table.add_row(name, *(f"{v:.3g}" for v in [*levels, float(model.parents.sd[i])]), *causes)
    Console().print(table)


def phantom_command(rest: list[str]) -> None:
    """A folder of simulated images and masks, as a user would have."""
    from segue.phantom import Law, write_folder

    parser = ArgumentParser(exit_on_error=False, prog="segue phantom")
    parser.add_argument("out", type=Path, help="folder to write: images/ and masks/, NIfTI")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=tuple[int, int], default=(32, 96))
    parser.add_argument("--law", type=Law, default="independent")
    options = parse(parser, rest)

    if options.out.exists():
        raise InputError(f"{options.out}: exists already; name a new folder")
    write_folder(options.out, options.images, size=options.size, seed=options.seed, law=options.law)
    print(options.out)
