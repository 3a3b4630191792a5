"""A kit of drawn noise, without any model, and answers of simulated readers to it."""

from types import SimpleNamespace

import numpy as np
import torch

from segue.readers.answers import ANSWER_COLUMNS, QUESTIONS
from segue.readers.blinding import make_key
from segue.readers.design import Trial
from segue.readers.draw import DrawnKit, KitCase, KitPlan, KitSource
from segue.readers.key import REAL
from segue.readers.page import reader_page, requests_in_words

METHODS = ("pos_seg_cft", "segue")
VARIABLES = ("lumen@mid", "plaque@mid")
SHAPE = (12, 20)


def small_source(images: int) -> KitSource:
    """What a key needs to know of a run."""
    asked = SimpleNamespace(
        ids=[f"secret-image-{i}" for i in range(images)],
        subjects=[f"secret-subject-{i}" for i in range(images)],
        places=np.arange(images),
        pa=torch.rand(images, len(VARIABLES), generator=torch.Generator().manual_seed(0)) * 10 + 1,
        parents=SimpleNamespace(variables=SimpleNamespace(names=VARIABLES)),
        study=SimpleNamespace(name="secret-study"),
        store=SimpleNamespace(unit="mm2"),
        sd=dict.fromkeys(VARIABLES, 3.0),
    )
    return KitSource(asked, None, dict.fromkeys(METHODS))


def small_kit(plan: KitPlan):
    """A source, what was drawn, and the key."""
    rng = np.random.default_rng(plan.seed)
    source = small_source(plan.cases + plan.requests)
    kinds = [(REAL, *METHODS)[i % 3] for i in range(plan.cases)]
    cases = [KitCase(kind, i, i % 2, 5.0) for i, kind in enumerate(kinds)]
    trials = [Trial(i % 2, plan.cases + i, 0) for i in range(plan.requests)]
    noise = [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(plan.cases + 3 * plan.requests)]
    pictures, rest = noise[: plan.cases], noise[plan.cases :]
    before, after = rest[: plan.requests], rest[plan.requests :]
    pairs = [after[2 * i : 2 * i + 2] for i in range(plan.requests)]
    drawn = DrawnKit(cases, torch.zeros(0), pictures, trials, before, pairs)
    return source, drawn, make_key(source, drawn, plan)


def small_page(plan: KitPlan, reader: str = "reader-1"):
    """The page of a reader, and the key."""
    source, drawn, key = small_kit(plan)
    return reader_page(key, reader, drawn, requests_in_words(key, source.asked.sd), plan.contact), key


def answer_file(path, key, reader, first, second=lambda shown: (3, 3, 3)):
    """Write answers: `first` gives (choice, confidence) of a reading, `second` the ratings of an answer shown."""
    sheet, lines = key.sheets[reader], [",".join(ANSWER_COLUMNS)]
    for one in sheet.first:
        choice, confidence = first(one)
        lines.append(f"{key.kit},{reader},{one.id},{choice},{confidence},{',' * len(QUESTIONS)}2.5")
    for one in sheet.second:
        lines.append(f"{key.kit},{reader},{one.id},,,{','.join(map(str, second(one)))},4.0")
    path.write_text("\n".join(lines) + "\n")
    return path
