"""A classifier of "large calcified plaque in the distal third", trained where that is confounded, tested where not.

With calibre: in training, arteries with plaque are wide (95 of 100) and those without are narrow. With brightness:
those with plaque have more contrast agent. Counterfactuals of the training images break this: do(plaque) turns the
label and keeps the rest, do(lumen) turns the calibre and keeps the label. Reweighting draws the four groups equally
often. The two bounds are the phantom's own counterfactuals, and training images that are not confounded.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from scipy.stats import mannwhitneyu
from torch import Tensor, nn

from benchmarks.use.record import Rows, by_name, fitted, interval, paired, parser, settings_of, write_results
from segue.engine.answer import abduct_images, check_inputs
from segue.engine.method import Questions, of_mechanism, set_one
from segue.engine.model import Model
from segue.hardware import channels_last
from segue.hub.load import load
from segue.mechanisms.base import Loss
from segue.nets.segmentor import Regressor
from segue.phantom import VARIABLES, Noise, areas, counterfactual, draw, render
from segue.phantom.noise import draw_images
from segue.tensor_file import save_tensors
from segue.training.batches import Batch

Settings = Mapping[str, Any]
SIZE, TOGETHER = (48, 144), 20
TRUTH, NONE, REWEIGHTED, UNCONFOUNDED = "truth", "none", "reweighting", "not confounded"


class Chosen(NamedTuple):
    """Images of the phantom with their labels.

    Attributes:
        noise: of the images. raw: in HU. label, confounder: 0 or 1.
    """

    noise: Noise
    raw: Tensor
    label: Tensor
    confounder: Tensor


class Made(NamedTuple):
    """Counterfactuals: of each image one for each variable that was set, HU, and their labels."""

    raw: Tensor
    label: Tensor


def choose(settings: Settings, confounder: str, split: str, agreement: float, seed: int) -> Chosen:
    """Balanced classes; in each, the confounder is as the label in a share of the images."""
    pool = draw(settings["drawn"], seed=settings["pool"][split])
    plaque = areas(pool)[:, VARIABLES.index(settings["label"])]
    if confounder == "calibre":
        value = areas(pool)[:, VARIABLES.index(settings["confounders"][confounder])]
    else:
        value = pool.lumen_hu
    low, high = np.quantile(value, [1 / 3, 2 / 3])
    count, random = settings["images"][split] // 2, np.random.default_rng(seed)
    rows, labels, others = [], [], []
    for label, is_label in enumerate((plaque < settings["small"], plaque > settings["large"])):
        as_label = round(agreement * count)
        for other, number in ((label, as_label), (1 - label, count - as_label)):
            found = np.flatnonzero(is_label & ((value > high) if other else (value < low)))
            rows += random.permutation(found)[:number].tolist()
            labels += [label] * number
            others += [other] * number
    noise = draw_images(rows, seed=settings["pool"][split], law="independent")
    parts = [render(draw_images(rows[i : i + 16], seed=settings["pool"][split], law="independent"), SIZE)[0]
             for i in range(0, len(rows), 16)]  # fmt: skip
    return Chosen(noise, torch.from_numpy(np.concatenate(parts)), torch.tensor(labels), torch.tensor(others))


def donors(group: Tensor, seed: int) -> Tensor:
    """For each image one of the other group, at random."""
    generator = torch.Generator().manual_seed(seed)
    places = [torch.nonzero(group == one)[:, 0] for one in (0, 1)]
    return torch.stack([places[1 - int(one)][torch.randint(len(places[1 - int(one)]), (), generator=generator)]
                        for one in group])  # fmt: skip


def swaps(chosen: Chosen, settings: Settings, confounder: str, seed: int) -> list[tuple[str, Tensor, Tensor]]:
    """What is set: the variable, of which image each takes the value, and the label of the counterfactual."""
    found = [(settings["label"], donors(chosen.label, seed), 1 - chosen.label)]
    if confounder == "calibre":
        found.append((settings["confounders"][confounder], donors(chosen.confounder, seed + 100), chosen.label))
    return found


@torch.inference_mode()
def answered(model: Model, raw: Tensor, asked: list[tuple[str, Tensor, Tensor]]) -> Made:
    """Each variable set to what the guide measures on the donor."""
    pa = torch.stack(list(model.measure(raw).values()), dim=1)
    parts = []
    for rows in torch.arange(len(raw)).split(TOGETHER):
        known = abduct_images(model, check_inputs(model, raw[rows]))
        wanted = []
        for name, donor, _ in asked:
            v = VARIABLES.index(name)
            wanted.append(set_one(known.facts.pa, v, pa[donor[rows], v]))
        found = of_mechanism(model.mechanism).answer(Questions(tuple(map(str, rows.tolist())), known.facts, wanted))
        parts.append(torch.stack([model.grid.unscale(one, known.window) for one in found], dim=1))
    return Made(torch.cat(parts), torch.stack([label for _, _, label in asked], dim=1))


def true_answers(chosen: Chosen, asked: list[tuple[str, Tensor, Tensor]]) -> Made:
    """The phantom's own counterfactuals: each variable set to its true value in the donor."""
    true, images = areas(chosen.noise), []
    for name, donor, _ in asked:
        images.append(torch.from_numpy(
            counterfactual(chosen.noise, {name: true[donor.numpy(), VARIABLES.index(name)]}, SIZE).image
        ))  # fmt: skip
    return Made(torch.stack(images, dim=1), torch.stack([label for _, _, label in asked], dim=1))


class Labelled(nn.Module):
    """Binary cross-entropy of a network with one output."""

    def __init__(self, net: Regressor) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch, progress: float) -> Loss:
        loss = F.binary_cross_entropy_with_logits(self.net(batch["image"])[:, 0], batch["label"])
        return loss, {"cross_entropy": loss}


class Labels:
    """Batches by step number: images by their weights, a share of them replaced by their counterfactuals."""

    def __init__(self, chosen: Chosen, made: Made | None, weights: np.ndarray, settings: Settings, seed: int) -> None:
        self.image, self.label = seen(chosen.raw), chosen.label.float()
        self.made = None if made is None else (seen(made.raw.flatten(0, 1)), made.label.flatten().float())
        self.swaps = 0 if made is None else made.label.shape[1]
        self.weights, self.share, self.seed = weights / weights.sum(), settings["share"], seed
        self.batch_size: int = settings["training"]["batch_size"]

    def at(self, step: int) -> Batch:
        """The batch of a step."""
        random = np.random.default_rng((self.seed, step))
        rows = random.choice(len(self.weights), size=self.batch_size, p=self.weights)
        image, label = self.image[rows], self.label[rows]
        if self.made is not None:
            turned = np.flatnonzero(random.random(self.batch_size) < self.share)
            places = rows[turned] * self.swaps + random.integers(self.swaps, size=len(turned))
            image[turned], label[turned] = self.made[0][places], self.made[1][places]
        return {"image": image, "label": label}


def seen(raw: Tensor) -> Tensor:
    """What the classifier sees: half of the resolution, [-200, 1200] HU as [-1, 1]."""
    return F.avg_pool2d((raw + 200) / 700 - 1, 2)


def trained(stream: Any, settings: Settings, seed: int) -> Regressor:
    """A classifier."""
    torch.manual_seed(seed)
    net = Regressor(size=(SIZE[0] // 2, SIZE[1] // 2), outputs=1, **settings["classifier"])
    channels_last(net, dims=2)
    return fitted(net, Labelled(net), stream, settings["training"], seed, title="classifier")


@torch.inference_mode()
def judged(net: Regressor, test: Chosen) -> dict[str, float]:
    """On the test images, half of which have another confounder than label: accuracy, that of each kind, and AUC."""
    logit = net(seen(test.raw))[:, 0]
    right = ((logit > 0) == (test.label == 1)).double()
    same = test.label == test.confounder
    one, other = logit[test.label == 1].numpy(), logit[test.label == 0].numpy()
    return {
        "accuracy": float(right.mean()),
        "accuracy_as_confounded": float(right[same].mean()),
        "accuracy_against": float(right[~same].mean()),
        "auc": float(mannwhitneyu(one, other).statistic) / (len(one) * len(other)),
    }


class Bench:
    """One confounder: its test images, and counterfactuals that are made once."""

    def __init__(self, runs: Path, cache: Path, settings: Settings, confounder: str) -> None:
        self.runs, self.cache, self.settings, self.confounder = runs, cache, settings, confounder

    @cached_property
    def test(self) -> Chosen:
        """Images of other subjects, whose confounder is as the label in a half."""
        return choose(self.settings, self.confounder, "test", 0.5, seed=0)

    def made(self, method: str, chosen: Chosen, seed: int) -> Made:
        """Counterfactuals of the training images of a seed."""
        path = self.cache / f"bias-{self.confounder}-{method}-{seed}.safetensors"
        if not path.exists():
            asked = swaps(chosen, self.settings, self.confounder, seed)
            if method == TRUTH:
                found = true_answers(chosen, asked)
            else:
                found = answered(load(self.runs / self.settings["run"], method=method), chosen.raw, asked)
            save_tensors(found._asdict(), path)
        return Made(**load_file(path))

    def arms(self, rows: Rows, seed: int) -> None:
        """All arms of a seed."""
        settings = self.settings
        confounded = choose(settings, self.confounder, "train", settings["agreement"], seed)
        equal = np.ones(len(confounded.label))

        def arm(name: str, stream: Any) -> None:
            key = {"confounder": self.confounder, "seed": seed, "arm": name}
            rows.add(key, lambda: judged(trained(stream(), settings, seed), self.test))

        arm(NONE, lambda: Labels(confounded, None, equal, settings, seed))
        arm(REWEIGHTED, lambda: Labels(confounded, None, inverse(confounded), settings, seed))
        for method in (*settings["methods"], TRUTH):
            arm(method, lambda method=method: Labels(  # type: ignore[misc]
                confounded, self.made(method, confounded, seed), equal, settings, seed
            ))  # fmt: skip
        free = choose(settings, self.confounder, "train", 0.5, seed)
        arm(UNCONFOUNDED, lambda: Labels(free, None, equal, settings, seed))


def inverse(chosen: Chosen) -> np.ndarray:
    """Weights by which the four groups of label and confounder are equally frequent."""
    group = (2 * chosen.label + chosen.confounder).numpy()
    return 1 / np.bincount(group, minlength=4)[group]


def summary(rows: Rows, settings: Settings) -> list[dict[str, Any]]:
    """Each arm: numbers over seeds, and their paired difference to training as it is."""
    found = []
    for confounder in settings["confounders"]:
        at = [row for row in rows.rows if row["confounder"] == confounder]
        by_arm = by_name(at)
        for arm, own in by_arm.items():
            entry: dict[str, Any] = {"confounder": confounder, "arm": arm}
            for number in ("accuracy", "accuracy_as_confounded", "accuracy_against", "auc"):
                entry[number] = interval(row[number] for row in own)
                entry[f"{number}_over_none"] = paired(own, by_arm[NONE], number)
            found.append(entry)
    return found


def main() -> None:
    """Train every classifier that is not trained yet, and write results/use/bias.json."""
    options = parser("bias", __doc__).parse_args()
    settings = settings_of("bias")
    cache = options.cache or options.runs / "use"
    rows = Rows(cache / "bias.jsonl", ("confounder", "seed", "arm"))
    benches = [Bench(options.runs, cache, settings, one) for one in settings["confounders"]]
    for seed in settings["seeds"] if options.seeds is None else options.seeds:
        for bench in benches:
            bench.arms(rows, seed)
    write_results("bias", {"settings": settings, "arms": summary(rows.anew(), settings)})


if __name__ == "__main__":
    main()
