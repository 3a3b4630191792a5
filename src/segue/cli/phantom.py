"""`segue phantom OUT`"""

from pathlib import Path

from segue.cli.arguments import make_parser, parse_options
from segue.errors import InputError


def phantom_command(rest: list[str]) -> None:
    """Write a folder of simulated images and masks."""
    from segue.phantom import Law, write_folder

    parser = make_parser("phantom")
    parser.add_argument("out", type=Path, help="folder to write: images/ and masks/, NIfTI")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=tuple[int, int], default=(32, 96))
    parser.add_argument("--law", type=Law, default="independent", help="the causal model of the variables")
    options = parse_options(parser, rest)
    if options.out.exists():
        raise InputError(f"{options.out}: exists already; name a new folder")
    write_folder(options.out, options.images, size=options.size, seed=options.seed, law=options.law)
    print(options.out)
