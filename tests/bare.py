"""Run code as if only what a wheel asks for were installed: `python bare.py WHEEL_FOLDER EXTRAS CODE`.

All other packages of this environment are hidden. That an installer finds what the wheel asks for is for the slow tests.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

from packaging.requirements import Requirement

ALWAYS = {"pip", "setuptools", "segue-counterfactual"}


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def closure(name: str, extras: frozenset[str]) -> set[str]:
    """A distribution with what it needs, and what that needs."""
    found, frontier = set(), [(name, extras)]
    while frontier:
        one, wanted = frontier.pop()
        if (one, wanted) in found:
            continue
        found.add((one, wanted))
        try:
            requirements = distribution(one).requires or []
        except PackageNotFoundError:  # for another system
            continue
        for requirement in map(Requirement, requirements):
            markers = [{"extra": extra} for extra in ("", *wanted)]
            if requirement.marker is None or any(map(requirement.marker.evaluate, markers)):
                frontier.append((canonical(requirement.name), frozenset(requirement.extras)))
    return {one for one, _ in found}


class Hidden(MetaPathFinder):
    """Packages that none of the allowed distributions brings."""

    def __init__(self, allowed: set[str]) -> None:
        brought = packages_distributions()
        self.names = {name for name, by in brought.items() if not {canonical(one) for one in by} & allowed}

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


if __name__ == "__main__":
    folder, extras, code = sys.argv[1:]
    sys.path.insert(0, folder)
    allowed = closure("segue-counterfactual", frozenset(filter(None, extras.split(",")))) | ALWAYS
    sys.meta_path.insert(0, Hidden(allowed))
    for name in [name for name in sys.modules if name.split(".")[0] == "packaging"]:
        del sys.modules[name]
    exec(code, {"__name__": "bare"})
