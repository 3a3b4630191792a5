"""The baselines of a study, made from what it has trained."""

from segue.baselines import ANSWERS_WITH, BASELINES, BaselineParts, baseline_kind, baseline_settings
from segue.engine.method import Method
from segue.pipeline.common import device, grid_of, open_store
from segue.pipeline.recipes import Workshop
from segue.study.schema import Study


def baseline_method(study: Study, workshop: Workshop, name: str) -> Method:
    """A baseline, ready to answer."""
    parts = BaselineParts(
        workshop.parents.to(device()),
        grid_of(study, open_store(study)),
        pretrained=workshop.pretrained,
        diffusion=lambda: workshop.pretrained("diffusion"),
    )
    given = study.baselines[name]
    return BASELINES[baseline_kind(name, given)](parts, **baseline_settings(name, given))


def baseline_stages(study: Study, name: str) -> list[str]:
    """The stages that trained the networks of a baseline.

    >>> from pathlib import Path
    >>> from segue.study.read import load_study
    >>> study = load_study(Path("studies/coronary-phantom.yaml"), ["--baselines", "{latent_optimisation: {}}"])
    >>> baseline_stages(study, "latent_optimisation")
    ['measure', 'pretrain/map']
    """
    own = f"pretrain/{study.hvae.conditioning[0]}"
    other = own if study.mechanism == "diffusion" else "pretrain/diffusion"
    trained = {"guide": "measure", "mechanism": own, "diffusion": other}
    kind = baseline_kind(name, study.baselines[name])
    return [trained[part] for part in ANSWERS_WITH.get(kind, ("guide",))]
