import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from segue.cohort.grid import Grid
from segue.cohort.intensity import Intensity, PercentileRule
from segue.training.augment import jitter, random_affine, random_displacement, smoothed, toned, uniform, warp
from segue.training.objectives import Augmentation

STILL = {"rotate": 0.0, "scale": 0.0, "shift": 0.0, "flip_axes": ()}


def disc(size, radius, centre=(0.0, 0.0)):
    """The area fraction of each pixel (8 x 8 supersampled) within `radius` pixels of the image's centre."""
    fine = 8
    y, x = (
        (torch.arange(side * fine) + 0.5) / fine - side / 2 - offset for side, offset in zip(size, centre, strict=True)
    )
    inside = (y[:, None] ** 2 + x[None] ** 2 < radius**2).float()
    return inside.reshape(size[0], fine, size[1], fine).mean((1, 3))[None, None]


def moments(image):
    """Area, centroid (y, x) and central second moments (yy, xx, xy) of one image, in pixels."""
    mass = image[0, 0]
    y, x = (torch.arange(side) + 0.5 - side / 2 for side in mass.shape)
    area = mass.sum()
    cy, cx = (mass.sum(1) * y).sum() / area, (mass.sum(0) * x).sum() / area
    dy, dx = (y - cy)[:, None], (x - cx)[None]
    return float(area), (float(cy), float(cx)), [float((mass * m).sum() / area) for m in (dy * dy, dx * dx, dy * dx)]


@pytest.mark.parametrize("space", [(6, 10), (4, 6, 8)])
def test_zero_strength_is_the_identity(space):
    affine = random_affine(3, space=space, **STILL)
    x = torch.randn(3, 2, *space)
    torch.testing.assert_close(warp(x, affine), x, atol=1e-5, rtol=0)
    assert torch.equal(jitter(x, contrast=0.0, brightness=0.0, noise=0.0), x)
    image, mask = Augmentation()(x, x[:, :1])
    assert torch.equal(image, x) and torch.equal(mask, x[:, :1])


@pytest.mark.parametrize("size", [(32, 96), (64, 64), (90, 40)])
def test_a_rotated_disc_stays_a_disc_of_the_same_area(size):
    image = disc(size, 10)
    area, _, before = moments(image)
    for seed in range(5):
        torch.manual_seed(seed)
        turned = warp(image, random_affine(1, space=size, **(STILL | {"rotate": 90.0})))
        found, centroid, (yy, xx, xy) = moments(turned)
        assert found == pytest.approx(area, rel=0.01)
        assert centroid == pytest.approx((0, 0), abs=0.05)
        assert (yy, xx) == pytest.approx(before[:2], rel=0.02) and abs(xy) < 0.5


def test_a_rotation_turns_by_its_angle_in_pixels():
    size, far = (40, 80), 12.0
    image = disc(size, 3, centre=(0.0, far))
    angles = []
    for seed in range(8):
        torch.manual_seed(seed)
        (y, x) = moments(warp(image, random_affine(1, space=size, **(STILL | {"rotate": 60.0}))))[1]
        assert math.hypot(y, x) == pytest.approx(far, abs=0.1)
        torch.manual_seed(seed)
        angles.append((abs(math.degrees(math.atan2(y, x))), abs(60 * float(uniform(1)))))
    found, drawn = zip(*angles, strict=True)
    assert found == pytest.approx(drawn, abs=0.5)


def test_a_shift_moves_by_a_fraction_of_the_side():
    size = (40, 80)
    image = disc(size, 6)
    for seed in range(5):
        torch.manual_seed(seed)
        affine = random_affine(1, space=size, **(STILL | {"shift": 0.2}))
        area, (y, x), _ = moments(warp(image, affine))
        assert area == pytest.approx(float(image.sum()), rel=1e-3)
        assert abs(y) <= 0.2 * 40 and abs(x) <= 0.2 * 80
        # affine maps output to input, in half-widths: the disc goes the other way
        assert (y, x) == pytest.approx((-20 * float(affine[0, 1, 2]), -40 * float(affine[0, 0, 2])), abs=0.05)


def test_a_scale_changes_the_area_by_its_determinant():
    size = (64, 96)
    image = disc(size, 12)
    factors = []
    for seed in range(20):
        torch.manual_seed(seed)
        affine = random_affine(1, space=size, **(STILL | {"scale": 0.3, "rotate": 30.0}))
        area = float(warp(image, affine).sum())
        factors.append(area / float(image.sum()))
        assert factors[-1] == pytest.approx(1 / float(torch.linalg.det(affine[0, :, :2]).abs()), rel=0.01)
    assert min(factors) < 0.9 and max(factors) > 1.1


@pytest.mark.parametrize(("axis", "dims"), [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])
def test_flips_are_exact_and_happen_half_the_time(axis, dims):
    space = (4, 6, 8)[:dims]
    x = torch.randn(1, 1, *space).expand(64, -1, *space)
    torch.manual_seed(0)
    flipped = warp(x, random_affine(64, space=space, **(STILL | {"flip_axes": (axis,)})))
    mirror = x.flip(axis + 2)
    same = (flipped - x).abs().flatten(1).amax(1) < 1e-4
    mirrored = (flipped - mirror).abs().flatten(1).amax(1) < 1e-4
    assert bool((same ^ mirrored).all())
    assert 16 < int(mirrored.sum()) < 48


def test_image_and_masks_move_together():
    torch.manual_seed(0)
    shape = disc((32, 48), 7, centre=(3.0, -5.0)).expand(4, -1, -1, -1)
    augment = Augmentation(rotate=40.0, scale=0.2, shift=0.1, flip_axes=(0, 1))
    image, first, second = augment(2 * shape - 1, shape, torch.cat([shape, 1 - shape], dim=1))
    torch.testing.assert_close(second, torch.cat([first, 1 - first], dim=1), atol=1e-4, rtol=0)
    assert first.min() >= 0 and first.max() <= 1 + 1e-5
    # The image is resampled otherwise than masks, which shows at edges only, and to both sides.
    drawn = (image + 1) / 2
    assert (drawn - first).abs().max() < 0.2
    for one, mask in zip(drawn, first, strict=True):
        (area, centroid, _), (of_mask, where, _) = moments(one[None]), moments(mask[None])
        assert area == pytest.approx(of_mask, rel=5e-3) and centroid == pytest.approx(where, abs=0.02)
    assert (first[0] - first[1]).abs().max() > 0.5  # each image its own way


@pytest.mark.parametrize(("sharp", "low", "high"), [(True, 0.8, 1.0), (False, 0.2, 0.75)])
def test_a_sharp_warp_keeps_the_finest_detail(sharp, low, high):
    def detail(image):
        return float((image - torch.nn.functional.avg_pool2d(image, 3, 1, 1))[..., 4:-4, 4:-4].square().mean())

    torch.manual_seed(0)
    x = torch.nn.functional.avg_pool2d(torch.randn(8, 1, 65, 65), 2, 1)  # as fine as images are, no finer
    moved = warp(x, random_affine(8, space=(64, 64), **(STILL | {"rotate": 20.0, "shift": 0.02})), sharp=sharp)
    assert low < detail(moved) / detail(x) < high


def test_intensity_is_for_the_image_alone():
    torch.manual_seed(0)
    x = torch.randn(8, 1, 6, 6)
    image, mask = Augmentation(contrast=0.2, brightness=0.1)(x, x)
    assert torch.equal(mask, x)
    gain, offset = torch.linalg.lstsq(
        torch.stack([x.flatten(1), torch.ones(8, 36)], dim=2), image.flatten(1)[..., None]
    ).solution.unbind(1)
    torch.testing.assert_close(image.flatten(1), gain * x.flatten(1) + offset, atol=1e-5, rtol=0)
    assert (gain - 1).abs().max() <= 0.2 and offset.abs().max() <= 0.1 and gain.std() > 0.02


def test_noise_is_white_and_no_stronger_than_asked():
    torch.manual_seed(0)
    noise = jitter(torch.zeros(32, 1, 40, 40), contrast=0.0, brightness=0.0, noise=0.3)
    sd = noise.flatten(1).std(1)
    assert sd.max() < 0.33 and sd.min() < 0.1
    assert abs(float((noise[..., 1:] * noise[..., :-1]).mean())) < 1e-3


def test_the_same_seed_draws_the_same():
    settings = {"space": (8, 8), "rotate": 20.0, "scale": 0.1, "shift": 0.1, "flip_axes": (0,)}
    drawn = []
    for _ in range(2):
        torch.manual_seed(4)
        drawn.append(random_affine(5, **settings))
    assert torch.equal(*drawn)


@pytest.mark.parametrize("space", [(32, 96), (12, 16, 20)])
def test_an_elastic_field_is_smooth_of_its_size_and_folds_nothing(space):
    torch.manual_seed(0)
    field = random_displacement(200, space=space, elastic=0.02)
    assert field.shape == (200, *space, len(space))
    corner = field[(slice(None), *[0] * len(space))]  # a control point
    assert float(corner.std()) == pytest.approx(2 * 0.02, rel=0.1)
    for axis, side in enumerate(space):  # where pixels come from stays in order along every axis
        step = 2 / side
        component = len(space) - 1 - axis
        assert float((field[..., component].diff(dim=axis + 1) / step).min()) > -1


def test_an_elastic_change_moves_masks_with_the_image():
    torch.manual_seed(1)
    image = disc((48, 48), 12).repeat(16, 1, 1, 1)
    moved, mask = Augmentation(elastic=0.03)(image, image)
    areas = mask.sum((1, 2, 3))
    assert float(areas.std() / areas.mean()) > 0.03  # areas do change
    overlap = ((moved > 0.5) == (mask > 0.5)).float().mean()
    assert float(overlap) > 0.99 and not torch.allclose(mask, image)
    again, other = Augmentation(elastic=0.03)(image, image)
    assert not torch.allclose(other, mask) and again.shape == image.shape


def test_gamma_one_is_the_identity_and_gamma_keeps_the_order_of_all_values():
    x = torch.linspace(-3, 3, 601).reshape(1, 1, 601)
    torch.testing.assert_close(toned(x, 1.0), x)
    for gamma in (0.4, 2.5):
        changed = toned(x, gamma)
        assert changed.isfinite().all() and (changed.diff(dim=2) > 0).all()
        inside = (x >= -1) & (x <= 1)
        torch.testing.assert_close(changed[inside], 2 * ((x[inside] + 1) / 2) ** gamma - 1)
        assert torch.equal(changed[x < -1], x[x < -1])


def test_gamma_is_drawn_for_each_image_within_its_limits():
    torch.manual_seed(0)
    changed = jitter(torch.zeros(200, 1, 2, 2), contrast=0.0, brightness=0.0, noise=0.0, gamma=0.5)
    assert torch.equal(changed, changed[:, :, :1, :1].expand_as(changed))
    drawn = ((changed[:, 0, 0, 0] + 1) / 2).log() / math.log(0.5)
    assert drawn.log().abs().max() < 0.5 and drawn.log().std() > 0.2


@pytest.mark.parametrize("space", [(40, 30), (12, 16, 20)])
def test_a_blur_is_scipys_away_from_the_border_and_keeps_even_images(space):
    x, sd = torch.randn(3, 2, *space), torch.tensor([0.0, 0.6, 1.3])
    found = smoothed(x, sd)
    assert torch.equal(found[0], x[0])
    torch.testing.assert_close(smoothed(torch.full_like(x, 2.5), sd), torch.full_like(x, 2.5))
    for i in (1, 2):
        expected = gaussian_filter(x[i].double().numpy(), sigma=(0, *[float(sd[i])] * len(space)), truncate=8.0)
        middle = (slice(None), *[slice(6, -5)] * len(space))
        np.testing.assert_allclose(found[i][middle].numpy(), expected[middle], atol=2e-4)


def test_blur_is_drawn_for_each_image_up_to_its_limit():
    torch.manual_seed(0)
    x = torch.zeros(100, 1, 21, 21)
    x[:, :, 10, 10] = 1
    changed = jitter(x, contrast=0.0, brightness=0.0, noise=0.0, blur=1.5)
    place = torch.arange(21.0) - 10
    sd = (changed.sum(2)[:, 0] * place**2).sum(1).sqrt()
    assert sd.max() < 1.5 and sd.max() > 1.3 and sd.min() < 0.3


def test_what_is_off_draws_nothing():
    x = torch.rand(3, 1, 6, 6)
    torch.manual_seed(0)
    one = jitter(x, contrast=0.2, brightness=0.1, noise=0.1)
    after = torch.rand(1)
    torch.manual_seed(0)
    gain, strength = 1 + 0.2 * (2 * torch.rand(3, 1, 1, 1) - 1), 0.1 * torch.rand(3, 1, 1, 1)
    white = torch.randn(3, 1, 6, 6)
    assert torch.equal(one, gain * x + 0.1 * (2 * torch.rand(3, 1, 1, 1) - 1) + strength * white)
    assert torch.equal(after, torch.rand(1))


def test_with_percentiles_a_changed_image_is_scaled_by_its_own_again():
    torch.manual_seed(0)
    x = Grid((16, 16), intensity=Intensity(rule=PercentileRule((1.0, 99.0)))).scale(255 * torch.rand(4, 1, 16, 16))
    own = {"rule": PercentileRule((1.0, 99.0))}
    assert torch.equal(Augmentation(**own)(x)[0], x)  # nothing changes: nothing is scaled
    (linear,) = Augmentation(contrast=0.3, brightness=0.3, **own)(x)
    torch.testing.assert_close(linear, x, atol=1e-5, rtol=0)
    changed, mask = Augmentation(gamma=0.8, blur=1.0, noise=0.1, shift=0.1, **own)(x, x)
    levels = changed.flatten(1).quantile(torch.tensor([0.01, 0.99]), dim=1)
    torch.testing.assert_close(levels, torch.tensor([[-1.0], [1.0]]).expand(2, 4), atol=1e-4, rtol=0)
    assert not torch.allclose(changed, mask, atol=0.05)
