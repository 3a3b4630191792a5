"""`segue readers make STUDY` and `segue readers analyse KIT ANSWERS...`"""

from pathlib import Path

from segue.cli.arguments import make_parser, parse_options
from segue.errors import InputError, nearest

READERS_VERBS = ("make", "analyse")
READERS_USAGE = """usage: segue readers make STUDY --out KIT     a kit for a reader study, from a finished run
       segue readers analyse KIT ANSWERS ...   what the readers' answers say

`segue readers make --help` and `segue readers analyse --help` list the options (docs/readers.md)."""


def readers_command(rest: list[str]) -> None:
    """Make a kit for readers, or analyse their answers."""
    if not rest or rest[0] in ("-h", "--help"):
        print(READERS_USAGE)
        return
    verb, *given = rest
    if verb not in READERS_VERBS:
        raise InputError(f"segue readers {verb}: unknown{nearest(verb, READERS_VERBS)}")
    (make_readers_kit if verb == "make" else analyse_answers)(given)


def make_readers_kit(given: list[str]) -> None:
    """Write the pages and the key."""
    parser = make_parser("readers make")
    add = parser.add_argument
    add("run", type=Path, help="a finished run (runs/<study>), or the YAML file of a finished study")
    add("--out", type=Path, required=True, help="the folder to write; must not exist")
    add("--readers", type=int, default=3, help="pages to write, one a reader")
    add("--cases", type=int, default=60, help="images of the first part: real, and of each method, in equal numbers")
    add("--repeats", type=int, default=12, help="of them, how many are shown twice")
    add("--requests", type=int, default=20, help="requests of the second part; every method answers each")
    add("--methods", type=str, nargs="+", default=[], help="keys of metrics.json; usually pos_seg_cft and segue")
    add("--seed", type=int, default=0, help="of every random choice")
    add("--contact", type=str, default="", help="whom readers may ask, for the page")
    add("--stand-in", action="store_true", help="add the answers of an automatic reader, which is named as such")
    options = parse_options(parser, given)
    from segue.hub.runs import study_at
    from segue.readers.draw import KitPlan
    from segue.readers.kit import make_kit

    names = ("readers", "cases", "repeats", "requests", "seed", "stand_in", "contact")
    plan = KitPlan(methods=tuple(options.methods), **{name: options[name] for name in names})
    out = make_kit(study_at(options.run), options.out, plan)
    print(f"{out / 'pages'}: give each reader one page\n{out / 'truth'}: keep this from the readers")


def analyse_answers(given: list[str]) -> None:
    """Write the analysis, and print it."""
    parser = make_parser("readers analyse")
    parser.add_argument("kit", type=Path, help="the folder that `segue readers make` wrote")
    parser.add_argument("answers", type=Path, nargs="+", help="CSV files that the pages saved")
    parser.add_argument("--out", type=Path | None, default=None, help="the folder to write; usually KIT/analysis")
    options = parse_options(parser, given)
    from segue.readers.analysis import SUMMARY, analyse

    out = analyse(options.kit, options.answers, options.out or options.kit / "analysis")
    print((out / SUMMARY).read_text(encoding="utf-8"), end="")
