"""The examples in docstrings: all of them run, and every public name has one."""

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import segue

MODULES = ["segue", *(found.name for found in pkgutil.walk_packages(segue.__path__, "segue."))]
PUBLIC = [
    "segue",
    "segue.anatomy",
    "segue.baselines",
    "segue.bridges.augment",
    "segue.bridges.torchio",
    "segue.causal",
    "segue.causal.facts",
    "segue.causal.parents",
    "segue.causal.request",
    "segue.causal.support",
    "segue.cohort",
    "segue.cohort.grid",
    "segue.cohort.intensity",
    "segue.cohort.window",
    "segue.cohort.io",
    "segue.engine.answer",
    "segue.engine.asked",
    "segue.engine.inputs",
    "segue.engine.answer_files",
    "segue.engine.counterfactual",
    "segue.engine.effects",
    "segue.engine.input_check",
    "segue.engine.method",
    "segue.engine.model",
    "segue.engine.population",
    "segue.engine.predict",
    "segue.engine.verdict",
    "segue.evaluation.asked",
    "segue.evaluation.comparison",
    "segue.evaluation.judge",
    "segue.evaluation.metric",
    "segue.evaluation.metrics",
    "segue.files",
    "segue.hub.load",
    "segue.hub.runs",
    "segue.leaderboard",
    "segue.mechanisms",
    "segue.mechanisms.base",
    "segue.mechanisms.deformation",
    "segue.mechanisms.diffeomorphism",
    "segue.mechanisms.diffusion",
    "segue.mechanisms.hvae",
    "segue.mechanisms.refined",
    "segue.nets.diffusion",
    "segue.nets.hvae",
    "segue.nets.segmentor",
    "segue.nets.traced",
    "segue.nets.velocity",
    "segue.phantom",
    "segue.readers.mrmc",
    "segue.readers.roc",
    "segue.report.study_verdict",
    "segue.study.derived",
    "segue.study.networks",
    "segue.study.schema",
    "segue.text",
    "segue.training.finetune",
    "segue.training.guides",
    "segue.training.objectives",
    "segue.training.prices",
]
"""Modules whose public names all have an example. One that has no `__all__` counts its own functions and classes."""


def imported(name: str) -> ModuleType:
    """A module; the test is skipped where an optional dependency of it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").split(".")[0] == "segue":
            raise
        pytest.skip(f"{name} needs {error.name}")


def own(module: ModuleType) -> dict[str, Any]:
    """The functions and classes that are defined in a module, by name."""
    found = {name: item for name, item in vars(module).items() if inspect.isroutine(item) or inspect.isclass(item)}
    return {name: item for name, item in found.items() if getattr(item, "__module__", None) == module.__name__}


def public(module: ModuleType) -> dict[str, Any]:
    """The functions and classes that a module offers, by name."""
    if hasattr(module, "__all__"):
        offered = {name: getattr(module, name) for name in module.__all__}
        return {name: item for name, item in offered.items() if inspect.isroutine(item) or inspect.isclass(item)}
    return {name: item for name, item in own(module).items() if not name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = imported(name)
    # `module=False`: the wrapper that checks types hides from doctest in which module a function was defined.
    finder, runner = doctest.DocTestFinder(recurse=True), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    examples = doctest.DocTestParser().get_doctest(module.__doc__ or "", dict(vars(module)), name, module.__file__, 0)
    tests = [examples]
    for key, item in own(module).items():
        tests += finder.find(item, f"{name}.{key}", module=False, globs=dict(vars(module)))
    for test in tests:
        if test.examples:
            said: list[str] = []
            runner.run(test, out=said.append)
            assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example(name):
    without = [key for key, item in public(imported(name)).items() if ">>>" not in (item.__doc__ or "")]
    assert not without, f"{name}: no example in the docstring of {', '.join(without)}"


def test_examples_are_found():
    found = doctest.DocTestFinder().find(segue.files.write_text, "write_text", module=False)
    assert len(found) == 1 and len(found[0].examples) == 4
