"""Layouts of data sets in folders. To add one: a module with a function, a line below, and a test."""

from collections.abc import Callable
from pathlib import Path

from segue.cohort.layout.base import LABEL_MAP, CaseFiles, ChannelFile, FoundLayout
from segue.cohort.layout.bids import find_bids
from segue.cohort.layout.decathlon import find_decathlon
from segue.cohort.layout.dicom_series import find_dicom_series
from segue.cohort.layout.nnunet import find_nnunet
from segue.cohort.layout.pairs import find_pairs

LAYOUTS: dict[str, Callable[[Path], FoundLayout | None]] = {
    "pairs": find_pairs,
    "nnunet": find_nnunet,
    "decathlon": find_decathlon,
    "bids": find_bids,
    "dicom": find_dicom_series,
}
"""By name, what finds the cases of a folder; None where the folder is not laid out so. The first that fits is taken."""

__all__ = ["LABEL_MAP", "LAYOUTS", "CaseFiles", "ChannelFile", "FoundLayout"]
