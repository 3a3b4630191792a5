"""Settings are chosen on validation subjects: what is judged then."""

from dataclasses import replace

import pytest
from small_study import trained

from segue.errors import InputError
from segue.pipeline.common import open_store
from segue.pipeline.judging import chosen_places
from segue.pipeline.stages import evaluation_settings
from segue.study.read import load_study


def test_validation_images_are_judged_in_place_of_test_images():
    path, run = trained()
    study = load_study(path, ["--runs", str(run.parent)])
    asked = replace(study, evaluate=replace(study.evaluate, validation=True))
    store = open_store(study)
    assert set(store.table["split"][chosen_places(study, store, run).tolist()]) == {"test"}
    assert chosen_places(asked, store, run).tolist() == store.indices("validation").tolist()
    assert evaluation_settings(asked) != evaluation_settings(study)
    assert "validation" not in evaluation_settings(study)[1]  # evaluations that were done before stay done


def test_a_study_without_validation_subjects_is_told(phantom_store, tmp_path):
    path, run = trained()
    study = load_study(path, ["--runs", str(run.parent), "--evaluate.validation", "true"])
    with pytest.raises(InputError, match="0 validation images; give at least 2"):
        chosen_places(study, phantom_store, tmp_path)
