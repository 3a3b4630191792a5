"""Counterfactual augmentation in MONAI, and the axes of a PNG."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged
from monai.transforms import LoadImage as MonaiLoadImage
from PIL import Image

import segue
from segue.bridges.augment import rows_first, warped_labels
from segue.bridges.monai import ModelReader, RandCounterfactuald

RANGE = {"lumen@mid": (-1.5, 1.5), "calcified_plaque@distal": (0.5, 1.0)}


@pytest.fixture(scope="module")
def model():
    return segue.load("coronary-phantom")


@pytest.fixture
def sample(model):
    meta = {"affine": np.diag([0.25, 0.25, 1, 1]), "patient": "p01"}
    image = MetaTensor(model.examples()[0].clone(), meta=meta)
    label = MetaTensor(torch.randint(0, 4, (1, 48, 144), generator=torch.Generator().manual_seed(0)), meta=dict(meta))
    return {"image": image, "label": label, "warped": label.clone(), "age": 61}


def test_the_answer_is_the_engines_and_meta_stays(model, sample):
    labels = {"label": "guide", "warped": "warp"}
    found = RandCounterfactuald("image", model, [{"lumen@mid": "+1sd"}], 1.0, labels)(sample)
    answer = model.counterfactual(model.examples()[:1], {"lumen@mid": "+1sd"}, spacing=(0.25, 0.25))
    assert isinstance(found["image"], MetaTensor)
    assert torch.equal(found["image"].as_tensor(), answer.image[0])
    guide = torch.cat([1 - answer.soft.sum(1, keepdim=True), answer.soft], dim=1).argmax(1)
    assert (found["label"].as_tensor() == guide).float().mean() > 0.999  # ties aside
    assert found["image"].meta["patient"] == "p01" and found["label"].meta["patient"] == "p01"
    assert torch.equal(found["image"].affine, sample["image"].affine)
    assert found["image"].meta["counterfactual"] == {"do": {"lumen@mid": "+1sd"}, "verdict": answer.verdict[0].word}
    assert found["age"] == 61 and "counterfactual" not in sample["image"].meta
    changed = found["warped"].as_tensor() != sample["warped"].as_tensor()
    assert 0 < changed.float().mean() < 0.4 and found["warped"].dtype == sample["warped"].dtype


def test_seeds_reproduce_and_prob_is_kept(model, sample):
    def drawn(seed: int) -> list[object]:
        chain = Compose([RandCounterfactuald("image", model, RANGE, prob=0.5)])
        chain.set_random_state(seed)
        return [chain(sample)["image"].meta.get("counterfactual", {}).get("do") for _ in range(6)]

    one, again, other = drawn(1), drawn(1), drawn(2)
    assert one == again != other and None in one + other
    asked = [do for do in one + other if do is not None]
    assert asked and all(set(do) <= set(RANGE) for do in asked)
    for do in asked:
        ((name, text),) = do.items()
        assert RANGE[name][0] <= float(text.removesuffix("sd")) <= RANGE[name][1]
    untouched = RandCounterfactuald("image", model, RANGE, prob=0.0)(sample)
    assert untouched["image"] is sample["image"]


def test_warped_labels_are_those_of_the_moved_image():
    labels = torch.zeros(1, 12, 16)
    labels[0, 4:8, 5:9] = 2
    shift = torch.stack([torch.full((12, 16), 1.0), torch.full((12, 16), -2.0)])
    assert torch.equal(warped_labels(labels, shift), torch.roll(labels, (-1, 2), (1, 2)))
    assert torch.equal(warped_labels(labels, 0 * shift), labels)


def test_a_png_has_its_columns_first_in_monai(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)  # 2 rows, 3 columns
    Image.fromarray(array).save(tmp_path / "a.png")
    loaded = MonaiLoadImage(image_only=True, ensure_channel_first=True)(tmp_path / "a.png")
    assert loaded.shape == (1, 3, 2)  # what docs/bridges.md says of MONAI
    assert rows_first(loaded)[0].tolist() == array.tolist()


def test_the_reader_gives_what_the_model_reads(model, tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (48, 144), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    load = LoadImaged("image", reader=ModelReader(model), ensure_channel_first=True)
    found = load({"image": str(tmp_path / "a.png")})["image"]
    assert torch.equal(found.as_tensor(), model.read(tmp_path / "a.png")[0][0])
    assert found[0].numpy().tolist() == values.tolist()


def test_transposed_images_are_answered_alike(model, sample):
    turned = {key: rows_first(sample[key].as_tensor()) for key in ("image", "label")}
    given = {"model": model, "requests": [{"lumen@mid": "+1sd"}], "prob": 1.0, "label_keys": {"label": "guide"}}
    one = RandCounterfactuald("image", **given)({key: sample[key].as_tensor() for key in ("image", "label")})
    other = RandCounterfactuald("image", transposed=True, **given)(turned)
    for key in ("image", "label"):
        assert torch.equal(rows_first(other[key].as_tensor()), one[key].as_tensor())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"requests": {"lumen@middle": (0, 1)}}, "did you mean lumen@mid"),
        ({"requests": {"lumen@mid": (1, -1)}}, "give \\(low, high\\) in sd"),
        ({"requests": []}, "requests is empty"),
        ({"requests": [{"lumen@mid": "more"}]}, "lumen@mid"),
        ({"keys": ["image", "other"]}, "2 images"),
        ({"label_keys": {"label": "mine"}}, "choose guide or warp"),
    ],
)
def test_mistakes_are_said_at_once(model, arguments, said):
    with pytest.raises(segue.InputError, match=said):
        RandCounterfactuald(**{"keys": "image", "model": model, "requests": RANGE} | arguments)
