"""Windows: the two raw values that become -1 and +1, of all images or found in each one; and the way there and back."""

import torch
from jaxtyping import Float
from torch import Tensor

ValuePair = tuple[float, float]
Window = ValuePair | Float[Tensor, "images 2"]
"""The two raw values that become -1 and +1: of all images, or one row an image."""
NARROWEST = 0.01  # width of a window that is found in an image, as a share of the image's whole range, at least
BACKGROUND = 5.0  # percentile of an image up to which its pixels are background


def scaled(image: Tensor, window: Window) -> Tensor:
    """Raw values to the networks' range: the window goes to [-1, 1], unclipped (so that it can be undone exactly).

    >>> scaled(torch.tensor([0.0, 255.0]), (0.0, 255.0))
    tensor([-1.,  1.])
    >>> scaled(torch.tensor([[0.0, 255.0], [10.0, 20.0]]), torch.tensor([[0.0, 255.0], [0.0, 10.0]]))
    tensor([[-1.,  1.],
            [ 1.,  3.]])
    """
    low, width = low_and_width(window, image)
    return (image - low.to(image.dtype)) * (2 / width).to(image.dtype) - 1


def unscaled(image: Tensor, window: Window) -> Tensor:
    """The inverse of `scaled`.

    >>> unscaled(torch.tensor([-1.0, 1.0]), (0.0, 255.0))
    tensor([  0., 255.])
    """
    low, width = low_and_width(window, image)
    return (image + 1) * (width / 2).to(image.dtype) + low.to(image.dtype)


def low_and_width(window: Window, image: Tensor) -> tuple[Tensor, Tensor]:
    """Lower edge and width of a window, in double precision, with the axes of the image.

    >>> [side.shape for side in low_and_width((0.0, 255.0), torch.zeros(4, 1, 8, 8))]
    [torch.Size([1, 1, 1, 1]), torch.Size([1, 1, 1, 1])]
    """
    edges = torch.as_tensor(window, dtype=torch.float64, device=image.device).reshape(-1, 2)
    low, high = (edge.reshape(-1, *[1] * (image.ndim - 1)) for edge in edges.unbind(1))
    return low, high - low


def percentile_window(
    raw: Float[Tensor, "batch channel *space"], percentiles: ValuePair
) -> Float[Tensor, "batch 2"]:
    """Two percentiles of each image, over all its pixels and channels, interpolated linearly.

    A window is at least a hundredth of its image's whole range wide (`NARROWEST`), so that a bright spot on an even
    image does not become a huge value. An image of one value has a window of width 1 above it: all of it becomes -1.

    >>> percentile_window(torch.arange(101.0).reshape(1, 1, 101), (1.0, 99.0)).tolist()
    [[1.0, 99.0]]
    >>> percentile_window(torch.full((1, 1, 4), 7.0), (1.0, 99.0)).tolist()
    [[7.0, 8.0]]
    """
    ordered = raw.flatten(1).sort(dim=1).values
    last = ordered.shape[1] - 1
    places = torch.tensor(percentiles, dtype=torch.float64, device=raw.device) * last / 100
    below = places.floor().long()
    one, other = ordered[:, below].double(), ordered[:, (below + 1).clamp(max=last)].double()
    low, high = (one + (places - below) * (other - one)).unbind(1)
    width = torch.maximum(high - low, least_width(ordered[:, 0], ordered[:, last]))
    return torch.stack([low, low + width], dim=1)


def least_width(lowest: Float[Tensor, " batch"], highest: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """The least width of a window by a rule: a share of the image's range (`NARROWEST`), or 1 where that is 0.

    >>> least_width(torch.tensor([0.0, 7.0]), torch.tensor([500.0, 7.0])).tolist()
    [5.0, 1.0]
    """
    least = NARROWEST * (highest - lowest).double()
    return torch.where(least > 0, least, 1.0)


def zscore_window(raw: Float[Tensor, "batch channel *space"], sd: float) -> Float[Tensor, "batch 2"]:
    """Mean -+ `sd` standard deviations of each image, over its pixels and channels that are not background.

    Background is what is not above the image's 5th percentile: all of an even background that is a twentieth of the
    image at least, and the darkest twentieth of an image without one. So it does not matter how a scanner scales
    its values. The least width is that of `percentile_window`; an image of one value becomes 0.

    >>> zscore_window(torch.tensor([[[0.0, 0.0, 0.0, 10.0, 20.0]]]), 2.0).tolist()
    [[5.0, 25.0]]
    """
    values = raw.flatten(1).double()
    dark = percentile_window(raw, (BACKGROUND, BACKGROUND))[:, :1]
    shown = values > dark
    shown |= ~shown.any(dim=1, keepdim=True)  # of one value: all pixels
    count = shown.sum(1)
    mean = (values * shown).sum(1) / count
    spread = ((values - mean[:, None]).square() * shown).sum(1).div(count).sqrt()
    half = torch.maximum(2 * sd * spread, least_width(values.amin(1), values.amax(1))) / 2
    return torch.stack([mean - half, mean + half], dim=1)
