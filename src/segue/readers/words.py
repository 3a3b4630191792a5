"""What was asked of an image, as a reader is told."""

from segue.report.columns import split_name
from segue.text import in_digits, typeset_unit

MOST_PERCENT = 300
"""A change that is larger is not given in percent."""


def request_words(variable: str, before: float, after: float, unit: str, *, sd: float) -> str:
    """A request in a sentence or two.

    Args:
        before, after: factual and requested value, in `unit`. sd: of the variable; a twentieth of it is nothing.

    >>> request_words("lumen@mid", 12.0, 18.0, "mm2", sd=4.0)
    'Make larger: lumen, mid. From 12.0 to 18.0 mm² (+50%). Nothing else should change.'
    >>> request_words("calcified_plaque@mid", 3.0, 0.0, "mm2", sd=1.0)
    'Remove: calcified plaque, mid. From 3.00 to 0 mm². Nothing else should change.'
    """
    structure, region = split_name(variable)
    what = structure if region == "whole" else f"{structure}, {region}"
    nothing = sd / 20
    changed = "Make larger" if after > before else "Make smaller"
    verb = "Remove" if after < nothing else "Add" if before < nothing else changed
    percent = 100 * (after / before - 1) if before >= nothing and after >= nothing else float("inf")
    share = f" ({percent:+.0f}%)".replace("-", "−") if abs(percent) <= MOST_PERCENT else ""
    ends = f"From {in_digits(before)} to {in_digits(after)} {typeset_unit(unit)}{share}"
    return f"{verb}: {what}. {ends}. Nothing else should change."
