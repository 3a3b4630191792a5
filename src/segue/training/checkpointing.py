"""Gradient checkpointing (Chen et al., arXiv 1604.06174): memory of a training for time.

Of each block of a network only what goes in is kept for the gradient. What is inside is computed again where it is
needed. Gradients stay what they were.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from monai.networks.blocks.segresnet_block import ResBlock
from monai.networks.nets.basic_unet import TwoConv
from torch import nn
from torch.utils.checkpoint import checkpoint

from segue.nets.layers import Block

__all__ = ["blocks_of", "checkpointed"]

RECOMPUTED = (Block, TwoConv, ResBlock)


def blocks_of(objective: nn.Module) -> list[nn.Module]:
    """The blocks of all networks of an objective, guides too. None is part of another.

    >>> from segue.nets.segmentor import Segmentor
    >>> len(blocks_of(Segmentor(arch="unet", spatial_dims=2, structures=1, width=8)))
    9
    """
    return [one for one in objective.modules() if isinstance(one, RECOMPUTED)]


@contextmanager
def checkpointed(objective: nn.Module, on: bool = True) -> Iterator[None]:
    """Inside, blocks keep only what goes in; `on` False: as always.

    >>> import torch
    >>> from segue.nets.layers import Residual
    >>> net, x = Residual(spatial_dims=2, width=4), torch.ones(1, 4, 8, 8, requires_grad=True)
    >>> with checkpointed(net):
    ...     net(x).sum().backward()
    >>> float(x.grad.mean())  # the second convolution is zero at first, so that the block is the identity
    1.0
    """
    blocks = blocks_of(objective) if on else []
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class has its own
