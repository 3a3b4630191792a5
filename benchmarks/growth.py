"""How cost grows with the image's size and with the number of regions: training steps and prediction, as shipped."""

from collections.abc import Callable, Mapping

from benchmarks.record import Findings, Row, run, together
from benchmarks.timing import interleave, ratio, spread
from benchmarks.workload import Kind, work

FULL = {
    "rounds": 8,
    "warmup": 1,
    "sides": (32, 64, 128, 256),
    "pixels": 131072,
    "regions": (1, 2, 4, 8, 16),
    "batch": 32,
    "size": (32, 96),
}
QUICK = FULL | {"rounds": 2, "sides": (32, 128), "regions": (1, 16)}
KINDS: tuple[Kind, ...] = ("ELBO step", "fine-tuning step", "prediction")


def measure(
    *,
    rounds: int,
    warmup: int,
    sides: tuple[int, ...],
    pixels: int,
    regions: tuple[int, ...],
    batch: int,
    size: tuple[int, int],
) -> Findings:
    """Seconds per megapixel of square images by their side, and seconds per image by the number of regions.

    A batch holds `pixels` in all, whatever the side, so that only the images grow; two of them at least, which a
    permutation needs.
    """
    parts = []
    for kind in KINDS:
        batches = {side: max(2, pixels // side**2) for side in sides}
        by_side = {side: work(kind, "shipped", batch=batches[side], size=(side, side)) for side in sides}
        megapixels = {side: batches[side] * side**2 / 1e6 for side in sides}
        parts.append(compare(kind, "side", by_side, megapixels, "megapixel", rounds=rounds, warmup=warmup))
        by_regions = {
            count: work(kind, "shipped", batch=batch, size=size, regions=count) for count in regions
        }
        images = dict.fromkeys(regions, float(batch))
        parts.append(compare(kind, "regions", by_regions, images, "image", rounds=rounds, warmup=warmup))
    return together(parts)


def compare(
    kind: Kind,
    axis: str,
    works: Mapping[int, Callable[[], None]],
    amounts: Mapping[int, float],
    unit: str,
    *,
    rounds: int,
    warmup: int,
) -> Findings:
    """Seconds per `unit`, of which each work does so many, along an axis; the ratio is of its last over its first."""
    named = {f"{axis} {value}": call for value, call in works.items()}
    seconds = interleave(named, rounds=rounds, warmup=warmup, title=f"{kind} by {axis}")
    rows: list[Row] = []
    for value, amount in amounts.items():
        times = spread(seconds[f"{axis} {value}"])
        rows.append({"work": kind, axis: value, **times, f"seconds_per_{unit}": times["seconds"] / amount})
    small, large = min(works), max(works)
    told = f"{kind}: seconds per {unit}, {axis} {large} over {small}"
    factor = amounts[small] / amounts[large]
    return Findings(
        rows, [ratio(told, seconds[f"{axis} {large}"], seconds[f"{axis} {small}"], factor=factor)]
    )


if __name__ == "__main__":
    run("growth", measure, full=FULL, quick=QUICK)
