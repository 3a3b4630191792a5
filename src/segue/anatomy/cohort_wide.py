"""The base of partitions that are one map for the whole cohort."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class CohortWide:
    """A partition that reads nothing of an image: its frames are empty."""

    reads: Mapping[str, str] = MappingProxyType({})

    def params(self, dims: int) -> int:
        """0: one map for the cohort."""
        return 0

    def frame(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Float[Tensor, "batch 0"]:
        """Empty."""
        return mask.new_zeros(len(mask), 0)

    def missing(
        self, mask: Float[Tensor, "batch *space"], *further: Float[Tensor, "batch *space"]
    ) -> Bool[Tensor, " batch"]:
        """False: nothing is read."""
        return mask.new_zeros(len(mask), dtype=torch.bool)
