"""Every method in a sentence."""

from collections.abc import Mapping

from segue.evaluation.comparison import IDEAL
from segue.report.columns import BROADCAST

METHODS_EXPLAINED = {
    "no_cft": "The pre-trained image model, not fine-tuned.",
    "reg_cft": "Fine-tuned with a regressor as guide, which predicts the variables from the image.",
    "seg_cft": "Fine-tuned with a segmentor as guide, which measures the whole area of each structure.",
    "pos_seg_cft": "Fine-tuned with a segmentor as guide, which measures the area of each structure in each region.",
    IDEAL: "The true counterfactual of the simulated image, judged like a method; it does not compete.",
}
UNKNOWN = "Made outside of this study, and judged as it is."


def explain(key: str, known: Mapping[str, str]) -> str:
    """A method in a sentence.

    Args:
        known: sentences of the study's own methods, by name.

    >>> explain("no_cft_broadcast", {})
    'The pre-trained image model, not fine-tuned. Parents enter as constants, not as maps.'
    >>> explain("segue", {"segue": "Moves anatomy."})
    'Moves anatomy.'
    """
    stem = key.removesuffix(BROADCAST)
    sentence = known.get(key) or known.get(stem) or METHODS_EXPLAINED.get(stem, UNKNOWN)
    return f"{sentence} Parents enter as constants, not as maps." if key.endswith(BROADCAST) else sentence
