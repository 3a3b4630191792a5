"""Images as readers see them: one treatment for real and edited ones, and an encoding that says nothing."""

import base64

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from segue.cohort.planes import Planes, central_voxel

GreyPicture = UInt8[np.ndarray, "height width"]


def grey_picture(image: Float[Tensor, "channel *space"], part: Float[Tensor, "*space"]) -> GreyPicture:
    """The first channel in 256 grey levels; of a volume, three planes through the centre of a structure's part.

    Args:
        image: scaled to the networks' range: -1 is black, +1 is white.

    >>> import torch
    >>> grey_picture(torch.tensor([[[-2.0, -1.0, 0.0, 1.0]]]), torch.zeros(1, 4)).tolist()
    [[0, 0, 128, 255]]
    """
    levels = ((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()
    if levels.ndim == 2:
        return levels
    planes = Planes(levels.shape, central_voxel(part.cpu().numpy()))
    return planes.picture(levels, fill=0.0).astype(np.uint8)


def encoded_picture(pixels: GreyPicture) -> str:
    """The bytes of a picture row by row in base64: no file format, no metadata, one length for all.

    >>> encoded_picture(np.zeros((1, 3), np.uint8))
    'AAAA'
    """
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
