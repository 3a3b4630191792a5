"""Run an ablation, value by value, and keep what came out up to date."""

import dataclasses
from collections.abc import Callable

from segue import pipeline, processes
from segue.pipeline.ablation.ablation_file import Ablation
from segue.pipeline.ablation.outcome import write_outcome


def ablate(ablation: Ablation, say: Callable[[str], None] = lambda line: None) -> None:
    """Do what is missing of every value; after each, the ablation's folder shows those that are done.

    It holds ablation.json, table.md and figure.png. Killed at any moment, the same call goes on from there.
    """
    count = len(ablation.studies)
    for i, (value, study) in enumerate(ablation.studies.items(), start=1):
        say(f"{ablation.factor}: {value} ({i} of {count})")
        pipeline.run(study, say=lambda line, name=study.name: say(f"{name}: {line}"))  # type: ignore[misc]
        done = dataclasses.replace(ablation, studies=dict(list(ablation.studies.items())[:i]))
        processes.alone(lambda done=done: write_outcome(done))  # type: ignore[misc]
