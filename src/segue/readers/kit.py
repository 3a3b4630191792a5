"""A reader study as a folder: `pages/`, one HTML file a reader, and `truth/`, which readers must not have."""

from pathlib import Path

from segue.files import whole_folder, write_text
from segue.pipeline.exchange import check_absent
from segue.readers.answers import save_answers
from segue.readers.blinding import make_key
from segue.readers.draw import KitPlan, draw_kit, opened_source
from segue.readers.key import KEY, PAGES, STAND_IN, TRUTH, write_key
from segue.readers.page import reader_page, requests_in_words
from segue.readers.stand_in import stand_in_answers
from segue.study.schema import Study


def make_kit(study: Study, out: Path, plan: KitPlan) -> Path:
    """Draw the cases of a finished run, and write a kit for its readers.

    Raises:
        InputError: `out` exists, the run is not finished, or the plan does not fit it.

    >>> from segue.study.read import load_study
    >>> make_kit(load_study(Path("studies/coronary-phantom.yaml")), Path("studies"), KitPlan())
    Traceback (most recent call last):
    segue.errors.InputError: studies: exists already; name a new folder
    """
    check_absent(out)
    source = opened_source(study, plan)
    drawn = draw_kit(source, plan)
    key = make_key(source, drawn, plan)
    requests = requests_in_words(key, source.asked.sd)
    with whole_folder(out) as folder:
        for part in (PAGES, TRUTH):
            (folder / part).mkdir()
        for reader in key.sheets:
            if reader != STAND_IN:
                page = reader_page(key, reader, drawn, requests, plan.contact)
                write_text(folder / PAGES / f"{reader}.html", page)
        write_key(folder / TRUTH / KEY, key)
        if plan.stand_in:
            answers = stand_in_answers(source, drawn, key, plan.seed)
            save_answers(folder / TRUTH / f"{STAND_IN}.csv", key, STAND_IN, answers)
    return out
