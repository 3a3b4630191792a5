"""Run code as if only what a wheel asks for were installed: `python bare.py WHEEL_FOLDER EXTRAS CODE`.

All other packages of this environment are hidden. Whether an installer finds what is asked for, slow tests say.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from typing import Any

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


class Hidden:
    """A finder that does not find packages that none of the allowed distributions brings."""

    def __init__(self, finder: Any, names: set[str]) -> None:
        self.finder, self.names = finder, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        return None if fullname.split(".")[0] in self.names else self.finder.find_spec(fullname, path, target)


def hidden(allowed: set[str]) -> set[str]:
    """The names that no allowed distribution brings."""
    return {name for name, by in packages_distributions().items() if not {canonical(one) for one in by} & allowed}


if __name__ == "__main__":
    folder, extras, code = sys.argv[1:]
    sys.path.insert(0, folder)
    allowed = closure("segue-counterfactual", frozenset(filter(None, extras.split(",")))) | ALWAYS
    names = hidden(allowed)
    sys.meta_path = [Hidden(finder, names) for finder in sys.meta_path]
    exec(code, {"__name__": "bare"})
