"""A guide that learns from a share of the masks."""

import dataclasses
import json

import numpy as np
import pytest
from small_study import STUDY, write_study

from segue.cohort import Store, write_store
from segue.errors import InputError
from segue.phantom import STRUCTURES
from segue.pipeline import stages
from segue.pipeline.predictors import with_masks
from segue.study.read import load_study


@pytest.fixture(scope="module")
def store(phantom_records, tmp_path_factory) -> Store:
    """24 images of 8 subjects, all of them the guide's."""
    records = [dataclasses.replace(record, subject=f"s{i // 3}") for i, record in enumerate(phantom_records)]
    path = tmp_path_factory.mktemp("masks") / "cohort.zarr"
    write_store(path, records, structures=STRUCTURES, size=(16, 48), split={"guide": 1.0}, seed=0)
    return Store(path)


def test_whole_subjects_are_taken_and_a_smaller_share_is_part_of_a_larger(store):
    subjects = np.array(store.table["subject"].to_list())
    before: set[int] = set()
    for share, count in ((0.01, 1), (0.25, 2), (0.5, 4), (1.0, 8)):
        chosen = with_masks(store, "guide", share, seed=0)
        assert len(chosen) == 3 * count and len(set(subjects[chosen])) == count
        assert before <= set(chosen) and chosen.tolist() == sorted(chosen)
        before = set(chosen)
    others = [set(with_masks(store, "guide", 0.25, seed=seed)) for seed in range(10)]
    assert len(set(map(frozenset, others))) > 1


def test_only_those_are_streamed_to_the_guide(tmp_path, monkeypatch):
    """The guide of the small study sees a quarter of its 24 subjects in every epoch, its judge all of its own."""
    study = load_study(write_study(tmp_path), ["--segmentor.masks", "0.25", "--runs", str(tmp_path / "runs")])
    seen: dict[str, set[int]] = {}

    def fake(study, net, objective, batches, directory, budget, *, title, **more):
        seen[title] = set(batches.indices.tolist())
        (directory / "done").touch()
        return {}

    monkeypatch.setattr("segue.pipeline.predictors.trained", fake)
    from segue import pipeline as running

    for stage in ("segmentor", "judge"):
        running.run(study, only=stage)
    store = Store(study.directory / "prepare" / "cohort.zarr")
    assert len(seen["segmentor"]) == 6 and seen["segmentor"] <= set(store.indices("guide").tolist())
    assert seen["judge"] == set(store.indices("judge").tolist())


@pytest.mark.parametrize("masks", ["0", "-0.1", "1.5", ".nan"])
def test_what_is_no_share_is_refused(tmp_path, masks):
    with pytest.raises(InputError, match=r"judge\.masks is .*give (a share above 0|0 to 1)"):
        load_study(write_study(tmp_path), ["--judge.masks", masks])


def test_runs_from_before_these_settings_stay_done(tmp_path):
    """Where nothing is said of them, they are no part of a fingerprint; a choice changes what it should."""
    path = write_study(tmp_path, STUDY)
    plain = {name: json.dumps(stage.settings, default=str) for name, stage in stages(load_study(path)).items()}
    assert not any(key in text for text in plain.values() for key in ('"masks"', '"sample"'))
    assert '"partitions"' not in plain["evaluate"]
    changed = stages(load_study(path, ["--segmentor.masks", "0.5", "--evaluate.sample", "true"]))
    differ = {name for name, stage in changed.items() if json.dumps(stage.settings, default=str) != plain[name]}
    assert differ == {"segmentor", "evaluate"}
