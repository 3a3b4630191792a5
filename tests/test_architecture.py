"""The shape of the package, as data: which layer may import which, one name for one thing, and who knows the HVAE."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "segue"
LAYERS = [
    {"bounds", "disk", "errors", "files", "hardware", "lean_imports", "locks", "processes", "progress", "quoting"}
    | {"sealed", "tensor_file", "text", "yaml_text"},
    {"cohort"},
    {"phantom", "anatomy", "straightening"},
    {"causal"},
    {"nets"},
    {"mechanisms"},
    {"training", "engine"},
    {"baselines"},
    {"evaluation"},
    {"report"},
    {"study"},
    {"pipeline"},
    {"hub"},
    {"bridges", "leaderboard", "readers"},
    {"generation"},
    {"explorer"},
    {"cli"},
]
"""From the bottom up. A module imports from its own layer and from those below it; `segue` is the public face."""
LINES = 300


def modules() -> dict[str, ast.Module]:
    """By dotted name below segue."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return found


def imported(tree: ast.Module) -> set[str]:
    """Packages and modules of segue that a module imports, also inside functions; not for type checking alone."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "segue":
            found |= {f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names if one.name.split(".")[0] == "segue"}
    return {name.removeprefix("segue").removeprefix(".") for name in found}


def layer(name: str) -> int | None:
    """The layer of a module; None for segue's own `__init__` and `__main__`, and what is no package of it."""
    return next((i for i, members in enumerate(LAYERS) if name.split(".")[0] in members), None)


def test_every_package_has_a_layer():
    packages = {name.split(".")[0] for name in modules()} - {"", "__main__"}
    assert packages == set().union(*LAYERS)


def test_imports_go_one_way():
    wrong = [
        f"{name} imports {other}"
        for name, tree in modules().items()
        for other in imported(tree)
        if (here := layer(name)) is not None and (there := layer(other)) is not None and there > here
    ]
    assert not wrong


def test_packages_of_one_layer_do_not_import_each_other_in_circles():
    edges = defaultdict(set)
    for name, tree in modules().items():
        for other in imported(tree):
            one, two = name.split(".")[0], other.split(".")[0]
            if layer(name) is not None and layer(name) == layer(other) and one != two:
                edges[one].add(two)
    assert not [(one, two) for one in edges for two in edges[one] if one in edges.get(two, ())]


def test_one_name_is_one_thing():
    places = defaultdict(set)
    for module, tree in modules().items():
        for node in tree.body:
            names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            names += [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.append(node.target.id)
            for name in names:
                if not name.startswith("_"):
                    places[name].add(module)
    assert {name: sorted(where) for name, where in places.items() if len(where) > 1} == {}


def test_files_fit_their_limit():
    lengths = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in SOURCE.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > LINES} == {}


@pytest.mark.parametrize("word", [r"\.loc\b", "log_scale", "log_sd", "kl_channels", "PixelGaussian", r"\bLatents\b"])
def test_only_the_hvae_knows_what_an_hvae_is(word):
    own = {"mechanisms/hvae.py", "nets/hvae.py", "nets/gaussian.py"}
    files = {str(p.relative_to(SOURCE)): p.read_text() for p in SOURCE.rglob("*.py")}
    assert {name for name, text in files.items() if re.search(word, text)} <= own


def test_every_picture_is_opened_in_a_named_format():
    """Pillow's other formats start programs (EPS), or are decoded by code that nobody here has read."""
    calls = [
        (name, node)
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open"
    ]
    assert len(calls) > 3
    assert [name for name, call in calls if "formats" not in {one.arg for one in call.keywords}] == []
