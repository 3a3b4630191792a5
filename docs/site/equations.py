"""Equations: the blocks ```math of a page, as MathML, which browsers show without scripts, as GitHub does."""

import re

from latex2mathml.converter import convert

BLOCK = re.compile(r"^```math\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def with_equations(text: str) -> str:
    """A page, its equations as MathML."""
    return BLOCK.sub(lambda found: f'<div class="equation">{convert(found[1].strip(), display="block")}</div>', text)
