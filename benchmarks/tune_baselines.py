"""Settings of the baselines, chosen on validation subjects: a grid each, measured by the guide and the image model.

    python -m benchmarks.tune_baselines --study studies/baselines/chest.yaml --out results/baselines/chest/tuning.json

No test subject and no judge takes part. For each setting: the guide's error of what was asked, and the change of all
other variables, in sd; and how much the negative ELBO of the pre-trained HVAE rises from the factual image to the
answer (nats per pixel). Chosen is the least sum of error and change, of the settings whose rise is at most `RISE` above
the least rise.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.engine.method import log_likelihood, one_at_a_time
from segue.evaluation.asked import Asked
from segue.files import write_text
from segue.pipeline.asking import Examination
from segue.pipeline.baselines import baseline_method, baseline_stages
from segue.pipeline.common import device, open_store, spaced
from segue.pipeline.recipes import Workshop
from segue.sealed import DONE, read_json
from segue.study.derived import fingerprint
from segue.study.read import load_study
from segue.study.schema import Study
from segue.tensor_file import read_tensors, save_tensors
from segue.training.guides import RegionGuide

RISE = 0.1
GRIDS: dict[str, dict[str, Sequence[Any]]] = {
    "untrained_warp": {"smoothing": (0.75, 1.5, 3.0, 5.0)},
    "test_time_deformation": {"steps": (30,), "smoothness": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)},
    "latent_optimisation": {"steps": (20,), "lr": (0.02,), "distance": (3.0, 10.0, 30.0)},
    "mask_inpainting": {"depth": (0.02, 0.04, 0.08, 0.15, 0.3, 0.5)},
    "guided_diffusion": {"depth": (0.02, 0.05, 0.1, 0.2, 0.4), "scale": (0.5, 1.0, 2.0)},
    "guided_diffusion_held": {
        "kind": ("guided_diffusion",), "hold": (True,),
        "depth": (0.02, 0.05, 0.1, 0.2, 0.4), "scale": (0.5, 1.0, 2.0, 4.0),
    },
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, help="default: all validation images")
    parser.add_argument("--only", nargs="*", default=list(GRIDS), choices=list(GRIDS))
    parser.add_argument("--answers", type=Path, help="where answers are kept; default: tuning, beside the runs")
    given, overrides = parser.parse_known_args(arguments)
    study = load_study(given.study, overrides)
    found: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    asked, workshop = examination(study, given.images), Workshop(study)
    kept = given.answers or study.directory.parent / "tuning" / study.name
    for name in given.only:
        rows = [row for row in found.get(name, {}).get("rows", []) if row["images"] == len(asked.ids)]
        for settings in combinations(GRIDS[name]):
            if settings not in [row["settings"] for row in rows]:  # what was measured before is not measured again
                answers, seconds = answered(study, workshop, asked, name, settings, kept)
                row = {"settings": settings, "images": len(asked.ids)} | numbers(workshop, asked, answers)
                rows.append(row | {"seconds": seconds})
                print(name, rows[-1], flush=True)
                rows.sort(key=lambda row: tuple(row["settings"].values()))
                found[name] = {"rows": rows, "chosen": chosen(rows)}
                given.out.parent.mkdir(parents=True, exist_ok=True)
                write_text(given.out, json.dumps(found, indent=1))
        print(name, "chosen:", found[name]["chosen"], flush=True)


def examination(study: Study, images: int | None) -> Asked:
    """Validation images (all where no number is given) with a request for each variable, all in one batch."""
    store, parents = open_store(study), Workshop(study).parents.to(device())
    held_out = store.indices("validation")
    places = spaced(held_out, images or len(held_out))
    return Examination(study, store, parents, places).chosen(np.arange(len(places)), title="validation images")


def combinations(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every setting of a grid."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def answered(
    study: Study, workshop: Workshop, asked: Asked, name: str, settings: dict[str, Any], kept: Path
) -> tuple[list[Tensor], float]:
    """The answers of one setting, and the seconds that they took; made once, because many of them are costly."""
    alone = dataclasses.replace(study, baselines={name: settings})
    done = [read_json(study.directory / stage / DONE)["fingerprint"] for stage in baseline_stages(alone, name)]
    path = kept / f"{name}-{fingerprint([settings, list(asked.ids), done])[:12]}.safetensors"
    if not path.exists():
        before = time.perf_counter()
        method = baseline_method(alone, workshop, name)
        with torch.inference_mode():
            answers = torch.stack(method.answer(asked.questions))
        seconds = torch.tensor(round(time.perf_counter() - before, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors({"answers": answers, "seconds": seconds}, path)
    found = read_tensors(path)
    return list(found["answers"].to(device())), round(float(found["seconds"]), 1)


@torch.inference_mode()
def numbers(workshop: Workshop, asked: Asked, answers: Sequence[Tensor]) -> dict[str, float]:
    """What answers are by the guide and by the pre-trained image model: means over images and variables."""
    facts, guide, n = asked.facts, RegionGuide(workshop.parents), asked.facts.measured
    pretrained = workshop.pretrained()
    likely = log_likelihood(pretrained, facts)
    errors, others, rises = [], [], []
    requests = one_at_a_time(facts.pa, asked.values)
    for v, (requested, image) in enumerate(zip(requests, answers, strict=True)):
        moved = (guide.areas(image, facts) - facts.pa[:, :n]) / workshop.parents.sd[:n]
        errors.append((moved[:, v] - ((requested - facts.pa)[:, v] / workshop.parents.sd[v])).abs())
        others.append(moved[:, [w for w in range(n) if w != v]].abs().mean(1))
        changed = log_likelihood(pretrained, facts._replace(image=image, pa=requested))
        assert likely is not None and changed is not None
        rises.append(likely - changed)
    names = {"error_sd": errors, "off_target_sd": others, "nelbo_rise": rises}
    return {key: round(float(torch.cat(part).mean()), 4) for key, part in names.items()}


def chosen(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings of the least error and change, where the answers look most like the cohort's images."""
    least = min(row["nelbo_rise"] for row in rows)
    likely = [row for row in rows if row["nelbo_rise"] <= least + RISE]
    best: dict[str, Any] = min(likely, key=lambda row: row["error_sd"] + row["off_target_sd"])["settings"]
    return best


if __name__ == "__main__":
    main()
