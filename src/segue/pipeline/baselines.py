"""The baselines of a study, made from what it has trained."""

from typing import Any

from segue.baselines import ANSWERS_WITH, BASELINES, BaselineParts, baseline_kind, baseline_settings
from segue.engine.method import Method
from segue.pipeline.common import device, grid_of, open_store
from segue.pipeline.recipes import Workshop
from segue.study.schema import Study


def baseline_stages(study: Study, name: str) -> list[str]:
    """The stages that trained the networks of a baseline.

    >>> from pathlib import Path
    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"), ["--baselines", "{latent_optimisation: {}}"])
    >>> baseline_stages(study, "latent_optimisation")
    ['measure', 'pretrain/map']
    """
    trained = {"guide": "measure", "mechanism": own_stage(study), "diffusion": diffusion_stage(study)}
    kind = baseline_kind(name, study.baselines[name])
    return [trained[part] for part in ANSWERS_WITH.get(kind, ("guide",))]


def own_stage(study: Study) -> str:
    """The stage of the study's own mechanism, not fine-tuned."""
    return f"pretrain/{study.hvae.conditioning[0]}"


def diffusion_stage(study: Study) -> str:
    """The stage of the diffusion model, not fine-tuned."""
    return own_stage(study) if study.mechanism == "diffusion" else "pretrain/diffusion"


def baseline_method(study: Study, workshop: Workshop, name: str) -> Method:
    """A baseline, ready to answer."""

    def loaded(stage: str, kind: str) -> Any:
        plain = workshop.plain(study.hvae.conditioning[0], study.directory / stage)
        return plain.to(device()).eval().requires_grad_(False)

    parts = BaselineParts(
        workshop.parents.to(device()),
        grid_of(study, open_store(study)),
        pretrained=lambda: loaded(own_stage(study), study.mechanism),
        diffusion=lambda: loaded(diffusion_stage(study), "diffusion"),
    )
    given = study.baselines[name]
    return BASELINES[baseline_kind(name, given)](parts, **baseline_settings(name, given))
