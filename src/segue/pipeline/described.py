"""The study's own methods in a sentence each, from their settings."""

from collections.abc import Mapping
from typing import Any

from segue.baselines import BASELINES, baseline_kind
from segue.study.schema import Study, Variant

GUIDED = {
    "region": "the area of each structure in each region",
    "structure": "the whole area of each structure",
    "regressor": "what a regressor predicts from the image",
}


def described(study: Study) -> dict[str, str]:
    """By name of each variant and baseline of the study.

    >>> from pathlib import Path
    >>> from segue.study.read import load_study
    >>> sentences = described(load_study(Path("studies/coronary-phantom.yaml")))
    >>> sentences["segue"]
    'Fine-tuned with the area of each structure in each region as the guide measures it, ...'
    """
    variants = {name: variant_sentence(variant) for name, variant in study.finetune.variants.items()}
    return variants | {name: baseline_sentence(name, given) for name, given in study.baselines.items()}


def baseline_sentence(name: str, given: Mapping[str, Any]) -> str:
    """A baseline, and its settings.

    >>> baseline_sentence("nothing", {})
    'The method that changes nothing.'
    """
    said = first_sentence(BASELINES[baseline_kind(name, given)].__doc__ or "")
    settings = ", ".join(f"{key}: {value}" for key, value in given.items() if key != "kind")
    return f"{said.removesuffix('.')} ({settings})." if settings else said


def variant_sentence(variant: Variant) -> str:
    """A fine-tuning of one's own.

    >>> variant_sentence(Variant(moves=True, moves_only=True))
    'Fine-tuned with the area of each structure in each region as the guide measures it; anatomy is moved, not painted.'
    """
    measured = GUIDED.get(variant.guide)
    guide = f"{measured} as the guide measures it" if measured else f"the guide {variant.guide}"
    together = f", {variant.at_once} variables at once" if variant.at_once > 1 else ""
    moves = "moved, not painted" if variant.moves_only else "moved, then painted"
    steps = [
        f"anatomy is {moves}" if variant.moves else "",
        f"changes below {variant.shrinkage:.1%} of the intensity range are removed" if variant.shrinkage else "",
        f"the change is blurred (sd {variant.blur:g} px)" if variant.blur else "",
        f"nothing becomes darker than the darkest within {variant.floor} px" if variant.floor else "",
        corrected(variant),
    ]
    tuned = "Not fine-tuned" if variant.guide == "none" else f"Fine-tuned with {guide}{together}"
    made = f"the image mechanism is a {variant.mechanism} model" if variant.mechanism else ""
    return "; ".join(filter(None, [tuned, made, *steps])) + "."


def corrected(variant: Variant) -> str:
    """How answers are corrected; "" where they are not."""
    if not variant.corrections:
        return ""
    times = {1: "once", 2: "twice"}.get(variant.corrections, f"{variant.corrections} times")
    by = "guide and ensemble measure" if variant.panel else "the guide measures"
    return f"answers are corrected {times} by what {by}"


def first_sentence(text: str) -> str:
    """The first line of a docstring.

    >>> first_sentence("The image itself.\\n\\nMore.")
    'The image itself.'
    """
    return text.strip().splitlines()[0] if text.strip() else ""
