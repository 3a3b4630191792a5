"""How a diffusion model answers best on validation images: depth, steps and guidance, by the guide's error.

    python benchmarks/diffusion_settings.py runs/STUDY --depths 0.4 0.6 0.8 --guidances 1 2 4

Every image is asked for one variable, drawn at random, at the value that another validation image has. Printed for each
setting, in the cohort's standard deviations: the guide's mean absolute error of the variable that was asked for
(`asked`), that of all others (`others`), the mean absolute change as a share of the intensity range (`change`), and the
seconds an image. Take the setting with the least asked + others. Test images are not read. The network works in
bfloat16 where the processor has it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from segue.causal.facts import Facts
from segue.hardware import resolve_precision
from segue.mechanisms.diffusion import Diffusion, Inversion
from segue.pipeline.common import in_order, load_measured, open_store, per_image, spaced
from segue.pipeline.recipes import Workshop
from segue.study.derived import further
from segue.study.read import load_study
from segue.study.schema import Study
from segue.training.finetune import intervene
from segue.training.guides import RegionGuide
from segue.training.objectives import Augmentation, augmented

KIND = "diffusion"
Result = TypeVar("Result")


def validation_facts(study: Study, workshop: Workshop, images: int) -> Facts:
    """The facts of validation images, evenly spaced among all."""
    store = open_store(study)
    chosen = spaced(store.indices("validation"), images)
    batches = in_order(study, store, chosen, title="validation", extras=per_image(load_measured(study)))
    made = [augmented(batch, Augmentation(), workshop.parents) for batch in batches]
    return Facts(*(torch.cat(part) for part in zip(*(facts[:4] for facts in made), strict=True)))


def errors(workshop: Workshop, facts: Facts, requested: Tensor, image: Tensor) -> tuple[float, float]:
    """The guide's mean absolute errors of what was asked and of the rest, in standard deviations."""
    areas, measured = RegionGuide(workshop.parents).areas(image, facts), facts.measured
    error = (areas - requested[:, :measured]).abs() / workshop.parents.sd[:measured]
    asked = (requested != facts.pa)[:, :measured]
    return float(error[asked].mean()), float(error[~asked].mean())


@torch.inference_mode()
def tried(study: Study, images: int, depths: list[float], guidances: list[float], steps: list[int]) -> Iterator[str]:
    """A line for each setting."""
    workshop = Workshop(study)
    diffusion: Diffusion = workshop.pretrained(KIND)
    facts = validation_facts(study, workshop, images)
    torch.manual_seed(0)
    requested = intervene(facts.pa, facts.measured)
    asked, _ = errors(workshop, facts, requested, facts.image)
    yield f"{len(facts.image)} validation images; doing nothing: asked {asked:.3f}"
    net = diffusion.model
    for net.steps, net.depth in product(steps, depths):
        posterior, inversion = timed(partial(inverted, diffusion, facts))
        for net.guidance in guidances:
            (image,), seconds = timed(partial(diffusion.predict, facts, posterior, [requested]))
            asked, others = errors(workshop, facts, requested, image)
            change = float((image - facts.image).abs().mean()) / 2
            yield (
                f"steps {net.steps}  depth {net.depth:g}  guidance {net.guidance:g}  asked {asked:.3f}  "
                f"others {others:.3f}  sum {asked + others:.3f}  change {change:.4f}  "
                f"s/image {(inversion + seconds) / len(facts.image):.2f}"
            )


def inverted(diffusion: Diffusion, facts: Facts) -> Inversion:
    """u, inverted now and not when it is first needed."""
    posterior = diffusion.abduct(facts)
    assert len(posterior.found) == 2
    return posterior


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What `work` gives, and the seconds that it takes."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--depths", type=float, nargs="+", default=[0.4, 0.6, 0.8])
    parser.add_argument("--guidances", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument("--steps", type=int, nargs="+", default=[20])
    given = parser.parse_args()
    study = load_study(given.run / "study.yaml", ["--runs", str(given.run.parent), "--name", given.run.name])
    assert KIND in (*further(study), study.mechanism), "the study has no section diffusion"
    with torch.autocast("cpu", torch.bfloat16, enabled=resolve_precision("auto") == "bf16"):
        for line in tried(study, given.images, given.depths, given.guidances, given.steps):
            print(line, flush=True)


if __name__ == "__main__":
    main()
