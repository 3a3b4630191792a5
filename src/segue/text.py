"""Names and numbers as text for readers."""

import math
import re


def in_words(name: str) -> str:
    """A name without underscores.

    >>> in_words("calcified_plaque")
    'calcified plaque'
    """
    return name.replace("_", " ")


def typeset_unit(text: str) -> str:
    """`mm2` and `mm3` with their exponents raised.

    >>> typeset_unit("12 mm2")
    '12 mm²'
    """
    return text.replace("mm2", "mm²").replace("mm3", "mm³")


def typeset(text: str) -> str:
    """Raised exponents, and minus signs in place of hyphens before numbers.

    >>> typeset("-1.5 mm2")
    '−1.5 mm²'
    """
    return re.sub(r"(?<![\w.])-(?=\d)", "−", typeset_unit(text))


def without_folders(text: str) -> str:
    """Text for others: of each absolute path in it only the last part, since folders tell of people and machines.

    >>> without_folders("/home/ada/scans/p1.png: is damaged; see docs/formats.md")
    'p1.png: is damaged; see docs/formats.md'
    >>> without_folders("segue run /home/ada/a.yaml --cohort.folder=/data")
    'segue run a.yaml --cohort.folder=data'
    """
    return re.sub(r"(?<![\w/.<])/(?=[^\s/])(?:[^/\s:;,'\"]+/)*", "", text)


def one_line(error: BaseException) -> str:
    """An exception's message on one line, or its type where it has no message.

    >>> one_line(ValueError("two\\nlines"))
    'two lines'
    """
    return " ".join(str(error).split()) or type(error).__name__


def shortened(text: str, most: int = 80) -> str:
    """A text of others as part of a message: on one line, and cut where it is long.

    >>> shortened("two\\nlines"), shortened("x" * 300, most=5)
    ('two lines', 'xxxxx…')
    """
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else line[:most] + "…"


def with_sign(value: float) -> str:
    """A change or an error in standard deviations, with its sign; 0 has none.

    >>> with_sign(0.784), with_sign(-0.001), with_sign(-2.0)
    ('+0.78', '0.00', '−2.00')
    """
    said = f"{value:+.2f}"
    return typeset(said if float(said) else said[1:])


def in_digits(value: float, *, digits: int = 3) -> str:
    """A number as people write it: `digits` significant digits at least, whole numbers whole, thousands separated.

    >>> in_digits(3410.4), in_digits(0.01234), in_digits(-2.5), in_digits(0.0), in_digits(1e30)
    ('3,410', '0.0123', '-2.50', '0', '1e+30')
    """
    if value == 0 or not math.isfinite(value) or abs(value) >= 1e9 or abs(value) < 1e-6:
        return f"{value:.{digits}g}"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}"
