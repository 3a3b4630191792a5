"""`segue straighten VOLUME ...`: a vessel straightened, and an edit brought back."""

import sys
from pathlib import Path

from jsonargparse import Namespace

from segue.cli.arguments import make_parser, parse_options
from segue.errors import InputError

OF_SECTION = ("radius", "step", "across", "start", "length", "planes", "angle")


def straighten_command(rest: list[str]) -> None:
    """Straighten a vessel along its centreline; or, with --back, write an edit of it into the volume."""
    parser = make_parser("straighten")
    parser.add_argument("volume", type=Path, help="NIfTI, or multi-frame DICOM")
    parser.add_argument("--out", type=Path, required=True, help="the NIfTI file to write")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("--centreline", type=Path | None, default=None, help="CSV, .vtp, .vtk, or a mask")
    parser.add_argument(
        "--proximal", type=str | None, default=None,
        help="where the file does not say it: first, last, left, right, anterior, posterior, superior or inferior",
    )  # fmt: skip
    parser.add_argument("--space", type=str | None, default=None, help="of the points: RAS (the default) or LPS")
    parser.add_argument("--part", type=int | None, default=None, help="the line of a VTK file, the label of a mask")
    parser.add_argument("--smoothing", type=float | None, default=None, help="how far from the points, mm")
    parser.add_argument("--radius", type=float, default=6.0, help="of the tube, mm")
    parser.add_argument("--step", type=float, default=0.25, help="of the samples along the vessel, mm")
    parser.add_argument("--across", type=float | None, default=None, help="of the samples across it, mm")
    parser.add_argument("--start", type=float, default=0.0, help="mm from the proximal end")
    parser.add_argument("--length", type=float | None, default=None, help="mm along the vessel; default: to its end")
    parser.add_argument("--planes", type=int, default=1, help="longitudinal slices over half a turn")
    parser.add_argument("--angle", type=float, default=0.0, help="of the first slice, degrees")
    parser.add_argument("--kind", type=str, default="slices", help="slices, or the straightened volume")
    parser.add_argument("--back", type=Path, nargs="+", default=[], help="edited slices or volume, to go back")
    parser.add_argument("--along", type=Path | None, default=None, help="with --back: the .json beside what was edited")
    options = parse_options(parser, rest)
    if bool(options.back) == (options.along is None) or bool(options.back) == (options.centreline is not None):
        raise InputError("segue straighten: give --centreline POINTS; or --back EDITED and --along MAP.json")
    if options.kind not in ("slices", "volume"):
        raise InputError(f"--kind {options.kind}: choose slices or volume")
    if options.back:
        bring_back(options)
    else:
        straighten_to_file(options)


def straighten_to_file(options: Namespace) -> None:
    """VOLUME along --centreline to --out."""
    from segue.engine.answer_files import refuse_existing
    from segue.straightening import VesselSection, read_centreline, straighten
    from segue.straightening.map_files import map_of, write_straightened

    if not options.force:
        refuse_existing([options.out, map_of(options.out)])
    about = {key: options[key] for key in ("proximal", "space", "part", "smoothing")}
    line = read_centreline(options.centreline, **about)
    found = straighten(options.volume, line, VesselSection(**{key: options[key] for key in OF_SECTION}))
    written = write_straightened(found, line, options.out, options.kind, options.volume.name)
    print(*(f"note: {note}" for note in found.notes), sep="\n", end="\n" if found.notes else "", file=sys.stderr)
    print(*written, sep="\n")


def bring_back(options: Namespace) -> None:
    """The edits --back, of what --along is the map of, into VOLUME, to --out."""
    from segue.engine.answer_files import refuse_existing
    from segue.straightening.map_files import read_edits, read_map, write_volume

    if not options.force:
        refuse_existing([options.out])
    found, kind = read_map(options.along, options.volume)
    write_volume(found.back(read_edits(options.back, kind)), options.out, options.volume, found.pixels)
    print(options.out)
