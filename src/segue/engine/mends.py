"""What may mend an image that is unlike the training images: each is tried, and named where it works."""

from collections.abc import Collection, Iterator

from segue.cohort.grid import Grid
from segue.engine.image_statistics import outer
from segue.engine.poses import INVERTED, Raw, poses

__all__ = ["lies_in", "mends"]

FRACTIONS, INTEGERS = (255, 65535), (257, 16)  # [0, 1] to 8 bits and to 16 bits; 8 to 16 bits, 8 to 12 bits
OFFSETS = (1024, 1000)  # of computed tomography stored without a sign


def mends(
    raw: Raw, grid: Grid, usual: tuple[float, float], *, intensity: bool, wrong: Collection[str]
) -> Iterator[tuple[str, Raw]]:
    """What to say, and the image mended, of each mend.

    Args:
        raw: one image. usual: the raw values between which intensities of the cohort lie.
        intensity: whether intensities are unusual. wrong: the poses that the image may be in.

    >>> import torch
    >>> found = dict(mends(torch.rand(1, 1, 4, 4), Grid((4, 4)), (0.0, 255.0), intensity=True, wrong=()))
    >>> next(iter(found))
    'intensities lie in [...], those of training images in [0, 255]: multiply by 255'
    """
    if intensity:
        said = lies_in(raw, usual)
        for factor in factors(float(outer(raw)[0, 1])):
            yield f"{said}: multiply by {factor}", raw * factor
        for factor in factors(usual[1]):
            yield f"{said}: divide by {factor}", raw / factor
        for offset in OFFSETS:
            yield f"{said}: subtract {offset}", raw - offset
            yield f"{said}: add {offset}", raw + offset
    for name, pose in poses(grid).items():
        if name in wrong:
            yield pose.said, pose.mended(raw)
            if name == INVERTED:  # about the middle of its own range, where that of the study is another
                yield pose.said, raw.amin() + raw.amax() - raw


def lies_in(raw: Raw, usual: tuple[float, float]) -> str:
    """Where the intensities of an image lie, and where they should.

    >>> import torch
    >>> lies_in(torch.tensor([[[[0.0, 1.0]]]]), (0.0, 255.0))
    'intensities lie in [0, 1], those of training images in [0, 255]'
    """
    low, high = outer(raw)[0].tolist()
    return f"intensities lie in [{low:.4g}, {high:.4g}], those of training images in [{usual[0]:.4g}, {usual[1]:.4g}]"


def factors(highest: float) -> tuple[int, ...]:
    """By what intensities up to `highest` are multiplied where more bits are expected.

    >>> factors(1.0), factors(255.0)
    ((255, 65535), (257, 16))
    """
    return FRACTIONS if highest <= 1 else INTEGERS
