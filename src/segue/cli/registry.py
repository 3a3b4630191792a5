"""The commands: help line, and the function that is imported when the command is run."""

from typing import NamedTuple


class Command(NamedTuple):
    """A line of the help text, and the function `module:name` that does the work."""

    arguments: str
    help: str
    function: str


STAGES = {
    "run": "do all stages of a study that are not done yet, up to the report",
    "prepare": "read the cohort and write it to its store",
    "segmentor": "train the guide's segmentor",
    "judge": "train the judge's segmentor, on other subjects",
    "measure": "measure every image with the guide's segmentor",
    "regressor": "train the regressor that guides Reg-CFT",
    "scm": "fit the mechanisms of the study's graph, and test the graph",
    "pretrain": "train the image model by its ELBO",
    "finetune": "fine-tune the image model, once for each guide",
    "inputs": "calibrate the check of whether an image is like the training images",
    "evaluate": "judge every method (--cohort FOLDER: on another cohort; --method NAME=FOLDER: images made elsewhere; "
    "--shift NAME or all: on the test images as other scanners would make them)",
    "report": "write tables and figures into one page",
}
MODEL = {
    "counterfactual": Command(
        "MODEL IMAGE ...",
        'write counterfactuals of image files: --do "lumen@mid=+20%" --out FOLDER',
        "segue.cli.counterfactual:counterfactual_command",
    ),
    "generate": Command(
        "MODEL ...",
        "counterfactuals of a whole cohort: --cohort STORE --do plan.yaml --out FOLDER",
        "segue.cli.generate:generate_command",
    ),
    "effects": Command(
        "MODEL IMAGE ...",
        "total, direct and indirect effect along the study's graph: --do age=+1sd",
        "segue.cli.effects:effects_command",
    ),
    "sample": Command(
        "MODEL", "images of simulated subjects: --images 20 --out FOLDER", "segue.cli.sample:sample_command"
    ),
    "variables": Command(
        "MODEL", "the variables of a model, with units and training range", "segue.cli.variables:variables_command"
    ),
    "export": Command(
        "RUN",
        "write the model of a run to a folder of its own, with a model card: --out FOLDER",
        "segue.cli.export:export_command",
    ),
    "requests": Command(
        "RUN",
        "export what methods are asked, for a model in another framework: --out FOLDER",
        "segue.cli.requests:requests_command",
    ),
    "readers": Command(
        "make|analyse ...",
        "a reader study: pages for readers from a finished run, and what their answers say",
        "segue.cli.readers:readers_command",
    ),
    "explore": Command(
        "MODEL",
        "ask for counterfactuals with sliders, in the browser: --cohort IMAGES",
        "segue.cli.explore:explore_command",
    ),
}
DATA = {
    "benchmark": Command(
        "[MODEL ...]",
        "a row of the phantom's leaderboard: MODEL, or --answers NAME=FOLDER, or --export FOLDER",
        "segue.cli.benchmark:benchmark_command",
    ),
    "init": Command(
        "FOLDER",
        "look at a folder of images and masks, and write a study of it: -o study.yaml",
        "segue.cli.init:init_command",
    ),
    "phantom": Command(
        "OUT",
        "write a folder of simulated coronary CT images and masks: --images 20 --seed 0",
        "segue.cli.phantom:phantom_command",
    ),
    "studies": Command(
        "[NAME]",
        "the studies that come with the package: segue run studies:NAME; with a name: print its file",
        "segue.cli.studies:studies_command",
    ),
    "straighten": Command(
        "VOLUME",
        "a vessel along its centreline to a straight image, and an edit back: --centreline POINTS --out FILE",
        "segue.cli.straighten:straighten_command",
    ),
}
COMMANDS = {
    **{name: Command("STUDY", text, "segue.cli.study:study_command") for name, text in STAGES.items()},
    "ablate": Command(
        "ABLATION", "do a study at several values of one factor (docs/ablations.md)", "segue.cli.ablate:ablate_command"
    ),
    **MODEL,
    **DATA,
}
