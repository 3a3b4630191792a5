"""A study's file: read, overridden, checked, and written back."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml
from small_study import CHEST, STUDY, VARIABLES, write_study

from segue.anatomy import partition_settings
from segue.cohort.marks import Marks
from segue.errors import InputError
from segue.pipeline import fingerprint, stages
from segue.study.derived import asked, for_others, to_yaml, variables
from segue.study.networks import Augment, Budget
from segue.study.read import load_study
from segue.study.schema import Study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
BASELINES = sorted((STUDIES[0].parent / "baselines").glob("*.yaml"))


def marks(study: Study) -> dict[str, str]:
    """The fingerprint of every stage."""
    found: dict[str, str] = {}
    for name, stage in stages(study).items():
        found[name] = fingerprint([name, stage.settings, [found[need] for need in stage.needs]])
    return found


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_that_come_with_segue_are_valid(path):
    study = load_study(path)
    assert study.name == path.stem
    assert study.segmentor.arch != study.judge.arch and study.segmentor.budget.seed != study.judge.budget.seed


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_the_studies_of_baselines_are_valid(path):
    assert load_study(path).name == f"baselines-{path.stem}"


def test_the_baselines_of_the_phantom_rest_on_what_its_study_has_trained():
    base, compared = (marks(load_study(STUDIES[0].parent / name)) for name in (
        "coronary-phantom-full.yaml", "baselines/phantom.yaml"
    ))  # fmt: skip
    trained = [name for name in compared if name.startswith(("segmentor", "judge", "panel", "pretrain", "finetune"))]
    own = {name for name in trained if compared[name] != base.get(name)}
    assert own == {name for name in trained if "diffusion" in name} and len(trained) > len(own) > 0


@pytest.mark.parametrize(
    ("baselines", "said"),
    [
        ("{guided_diffusion: {}}", "guided_diffusion needs a diffusion model; give the study a section diffusion"),
        ("{held: {kind: mask_inpainting}}", "held needs a diffusion model"),
        ("{held: {kind: guided}}", "held.kind: guided is no baseline"),
        ("{segue: {kind: nothing}}", "segue is a variant too"),
    ],
)
def test_baselines_are_checked(tmp_path, baselines, said):
    with pytest.raises(InputError, match=said):
        load_study(write_study(tmp_path), ["--baselines", baselines])


def test_defaults_are_filled_in_and_written_back(tmp_path):
    study = load_study(write_study(tmp_path))
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(study))
    assert load_study(again) == study
    assert yaml.safe_load(to_yaml(study))["hvae"]["free_bits"] == study.hvae.free_bits == 0.05


def test_variables_are_structures_by_regions(tmp_path):
    assert list(variables(load_study(write_study(tmp_path))).names) == VARIABLES


def test_options_override_the_file(tmp_path):
    path = write_study(tmp_path)
    study = load_study(path, ["--hvae.widths", "[8,24]", "--cohort.phantom.images=70", "--name", "other"])
    changed = dataclasses.replace(
        load_study(path),
        name="other",
        hvae=dataclasses.replace(study.hvae, widths=(8, 24)),
        cohort=dataclasses.replace(study.cohort, phantom=dataclasses.replace(study.cohort.phantom, images=70)),
    )
    assert study == changed and study.directory == Path("runs/other")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: chest", "nmae: chest", "unknown key nmae; did you mean name?"),
        ("margin: 0.06", "margn: 0.06", "zones: margn: kind 'extent' does not take it; did you mean margin?"),
        ("margin: 0.06", "margin: [1]", "partitions.zones: margin: is [1]; give a number, or leave it out"),
        ("margin: 0.06", "clockwise: true", "partitions.zones: clockwise: kind 'extent' does not take it"),
        ("kind: extent, ", "kind: extents, ", "partitions.zones: kind: 'extents' is not known; did you mean extent?"),
        ("kind: whole", "kind: axis", "partitions.whole: regions: is missing; kind 'axis' needs a list"),
        ("rotate: 5", "spin: 5", "unknown key segmentor.augment.spin; choose from rotate"),
        ("heart: whole", "hart: whole", "variables.hart is no structure; did you mean heart?"),
        ("judge: 0.2", "judge: 0", "gives no subjects to 'judge'"),
        ("arch: segresnet", "arch: resnet", "judge.arch"),
        ("kind: whole", "kind: label_map, regions: [a], file: none.png", "partitions.whole: file: none.png: no such"),
        ("axis: 0", "axis: 2", "partitions.zones: axis: 2 is not an axis"),
        ("[upper, lower]", "[upper, upper]", "partitions.zones: regions: upper named more than once"),
        ("kind: whole", "kind: polar, regions: [a], towards: hart", "whole: towards: 'hart' is no structure; choose"),
        ("kind: whole", "kind: polar, regions: [a], axis: 1", "partitions.whole: axis: 1"),
        ("[32, 32]", "[32, 36]", "multiples of 8"),
        ("heart@whole]", "hart@whole]", "graph.left_lung@lower: hart@whole is no variable; did you mean heart@whole?"),
        ("right_lung@lower: [", "heart@whole: [left_lung@lower, ", "has a cycle, left_lung@lower -> heart@whole ->"),
        ("absent: {heart:", "absent: {hart:", "scm.absent: hart is not measured; did you mean heart?"),
        ("heart: 1.0", "heart: -1.0", "scm.absent.heart is -1: give an area"),
        ("epochs: 10", "categorical: [sex]", "scm.categorical: sex is no covariate"),
        ("epochs: 10", "held_out: 1", "held_out between 0 and 1"),
        ("start: moving", "start: segue", "segue.start: segue is no variant that begins with the pre-trained weights"),
        ("{moves: true, moves_only: true, ", "{moves_only: true, ", "variants.moving: moves_only, painting and smooth"),
        ("painting: 1.0", "painting: -1.0", "finetune.variants.segue.painting is -1; give 0 to 1e+06"),
        ("steps: 3, batch_size: 2, lr", "steps: 0, batch_size: 2, lr", "variants.moving.budget: give at least 1"),
        ("name: chest", "name: chest\ndeformation: quick", "deformation is quick; it is a section: give its keys, "),
        ("name: chest", "name: chest\npanel: {second: quick}", "study.yaml: panel.second is quick; it is a section"),
        ("name: chest", "name: chest\npanel: quick", "panel is quick; it is a section"),
        ("name: chest", "name: chest\ndeformation: {resolution: 3}", "deformation: resolution is 3: choose"),
    ],
)
def test_mistakes_are_named_with_their_mend(tmp_path, old, new, expected):
    text = CHEST.format(folder="somewhere")
    assert old in text
    with pytest.raises(InputError) as error:
        load_study(write_study(tmp_path, text.replace(old, new)))
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_the_phantom_has_its_own_structures_and_axes(tmp_path):
    with pytest.raises(InputError, match="in this order"):
        load_study(write_study(tmp_path, STUDY.replace("lumen: 1, calcified_plaque: 2", "plaque: 1, lumen: 2")))
    with pytest.raises(InputError, match="two axes"):
        load_study(write_study(tmp_path, STUDY.replace("[16, 48]", "[16, 48, 16]")))


@pytest.mark.parametrize("wrong", ["at_once: 0", "blur: -0.5", "shrinkage: -0.1", "floor: -1", "corrections: -1"])
def test_a_variant_out_of_range_is_named(tmp_path, wrong):
    with pytest.raises(InputError, match=r"finetune\.variants\.mine\.\w+ is .*; give [01] to"):
        load_study(write_study(tmp_path), ["--finetune.variants", f"{{mine: {{{wrong}}}}}"])


def test_an_ensemble_that_guides_is_trained_and_needed_by_what_it_guides(tmp_path):
    path, mine = write_study(tmp_path), ["--finetune.variants", "{mine: {guide: ensemble}}"]
    made = stages(load_study(path, mine))
    assert "panel/second" in made["finetune/mine"].needs and "panel/second" not in made["finetune/pos_seg_cft"].needs
    with pytest.raises(InputError, match=r"mine\.guide: the ensemble has no members; give the study a panel"):
        load_study(path, [*mine, "--panel", "{}"])


@pytest.mark.parametrize("wrong", ["{mine: {corrections: 2, panel: true}}", "{mine: {panel: true}}"])
def test_a_panel_that_could_not_look_is_named(tmp_path, wrong):
    panel = "{}" if "corrections" in wrong else "{second: {arch: unet, width: 8, patch: 1, budget: {steps: 1}}}"
    with pytest.raises(InputError, match=r"finetune\.variants\.mine\.panel: the ensemble measures"):
        load_study(write_study(tmp_path), ["--panel", panel, "--finetune.variants", wrong])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("width: 9", "panel.second: "), ("masks: 2", "panel.second.masks"), ("budget: {steps: 0}", "panel.second.budget")],
)
def test_what_is_wrong_with_a_panel_is_named(tmp_path, wrong, said):
    settings = {"arch": "unet", "width": "8", "patch": "1", "budget": "{steps: 1}"} | dict([wrong.split(": ", 1)])
    stated = ", ".join(f"{key}: {value}" for key, value in settings.items())
    with pytest.raises(InputError, match=said):
        load_study(write_study(tmp_path), ["--panel", f"{{second: {{{stated}}}}}"])


@pytest.mark.parametrize("name", ["../mine", "a/b", "a b", "."])
@pytest.mark.parametrize(
    ("key", "value"), [("finetune.variants", "{}"), ("panel", "{arch: unet, width: 8, patch: 1, budget: {steps: 1}}")]
)
def test_a_name_that_is_no_folders_is_refused(tmp_path, name, key, value):
    with pytest.raises(InputError, match=rf"{key}: '{re.escape(name)}' is to name a folder"):
        load_study(write_study(tmp_path), [f"--{key}", f"{{'{name}': {value}}}"])


def test_a_study_of_volumes_is_valid(tmp_path):
    text = CHEST.format(folder="somewhere").replace("[32, 32]", "[32, 32, 16]")
    assert load_study(write_study(tmp_path, text)).cohort.size == (32, 32, 16)


def test_stages_need_only_what_comes_before_them(tmp_path):
    seen: set[str] = set()
    for name, stage in stages(load_study(write_study(tmp_path))).items():
        assert set(stage.needs) <= seen
        seen.add(name)
    assert "regressor" not in stages(load_study(write_study(tmp_path), ["--finetune.guides", "[none,region]"]))


def test_a_key_that_asks_for_nothing_is_no_part_of_a_fingerprint_and_any_other_is():
    off = Augment()
    assert asked(off) == {}
    assert asked(dataclasses.replace(off, rotate=5.0)) == {"rotate": 5.0}
    # no margin (the kind's own) and a margin of 0 are two things
    asking = {"kind": "extent", "regions": ["a"]}
    kinds = [partition_settings(asking | {"margin": margin}) for margin in (None, 0.0, 0.1)]
    assert len({json.dumps(asked(kind)) for kind in kinds}) == 3
    # a default that is something stays: another one would be another study
    assert asked(Budget(steps=3))["lr"] == Budget(steps=3).lr and "seed" not in asked(Budget(steps=3))
    assert asked(Budget(steps=0)) == asked(Budget(steps=3)) | {"steps": 0}


def test_a_partition_is_the_same_however_it_is_written(tmp_path):
    text = CHEST.format(folder="somewhere")
    written, other = "{kind: extent, axis: 0, regions: [upper, lower], margin: 0.06}", (
        "{margin: 0.06, softness: 0, regions: [upper, lower], kind: extent, rings: [], file: null, clockwise: false}"
    )
    assert written in text
    here, there = (load_study(write_study(tmp_path, text.replace(written, way))) for way in (written, other))
    assert here == there and json.dumps(asked(here.partitions)) == json.dumps(asked(there.partitions))


def test_options_change_single_arguments_of_a_partition(tmp_path):
    path = write_study(tmp_path)
    options = ["--partitions.thirds.softness", "1e-1", "--partitions.thirds.cuts=[0.3,0.6]"]
    options += ["--evaluate.partitions.thirds", "{kind: axis, axis: 1, regions: [proximal, mid, distal]}"]
    study = load_study(path, options)
    assert study.partitions["thirds"] == load_study(path).partitions["thirds"] | {"softness": 0.1, "cuts": (0.3, 0.6)}
    assert study.evaluate.partitions == load_study(path).partitions
    assert load_study(path, [*options, "--partitions.thirds.softness", "0.2"]).partitions["thirds"]["softness"] == 0.2
    for wrong in ("--partitions.thirds.cuts=[0.3", "--partitions.thirds.cuts.x=1"):
        with pytest.raises(InputError, match=r"partitions\.thirds.*cuts"):
            load_study(path, [wrong])


def test_a_study_of_before_baselines_had_settings_is_read(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text(Path("studies/coronary-phantom.yaml").read_text() + "\nbaselines: []\n")
    assert load_study(path).baselines == {}


@pytest.mark.parametrize("named", ["studies:oct-coronary", str(STUDIES[0].parent / "oct-coronary.yaml")])
def test_marks_lie_beside_the_study_wherever_it_is_run(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load_study(Path(named))
    assert Marks(study.cohort.marks).at(study.cohort.size).any()
    assert not for_others(study).cohort.marks.is_absolute()
