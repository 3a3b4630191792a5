"""Counterfactual augmentation in TorchIO, in a Compose and with labels."""

import pytest
import torch

import segue

tio = pytest.importorskip("torchio")


@pytest.fixture(scope="module")
def model():
    return segue.load("coronary-phantom")


def test_a_subject_is_answered_with_its_labels(model):
    from segue.bridges.torchio import RandomCounterfactual

    image = model.examples()[0]
    label = torch.randint(0, 4, (1, 48, 144, 1), generator=torch.Generator().manual_seed(0))
    subject = tio.Subject(
        image=tio.ScalarImage(tensor=image[..., None]),
        label=tio.LabelMap(tensor=label),
        warped=tio.LabelMap(tensor=label),
    )
    change = RandomCounterfactual("image", model, {"lumen@mid": (0.5, 1.5)}, {"label": "guide", "warped": "warp"})
    chain = tio.Compose([change, tio.RescaleIntensity((0, 1))])

    torch.manual_seed(3)
    one = change(subject)
    torch.manual_seed(3)
    again = change(subject)
    assert torch.equal(one["image"].data, again["image"].data) and one["counterfactual"] == again["counterfactual"]
    answer = model.counterfactual(image[None], one["counterfactual"]["do"])
    assert torch.equal(one["image"].data[..., 0], answer.image[0])
    assert set(one["label"].data.unique().tolist()) == {0, 1, 2, 3}
    assert 0 < (one["warped"].data != label).float().mean() < 0.4
    assert torch.equal(subject["image"].data[..., 0], image)  # the factual one stays
    assert float(chain(subject)["image"].data.max()) == 1.0
    same = RandomCounterfactual("image", model, {"lumen@mid": (0.5, 1.5)}, p=0)(subject)
    assert torch.equal(same["image"].data, subject["image"].data)
    turned = tio.Subject(image=tio.ScalarImage(tensor=image.transpose(1, 2)[..., None]))
    do = [one["counterfactual"]["do"]]
    found = RandomCounterfactual("image", model, do, transposed=True)(turned)
    assert torch.equal(found["image"].data[..., 0].transpose(1, 2), one["image"].data[..., 0])
    with pytest.raises(segue.InputError, match="the subject has no image ct"):
        RandomCounterfactual("ct", model, do)(subject)
