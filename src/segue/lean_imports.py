"""Imports that take what is asked for, and leave the rest of a package until somebody asks for it.

MONAI and gradio import all their parts at once, and with each part every package that it could use: two seconds of
the processor for a few networks, half a second for a page. Here a package's `__init__` is read and not run. The first
use of a name imports the module that it comes from (`from .unet import UNet`).
"""

import ast
import importlib
import sys
import threading
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, resolve_name
from types import ModuleType
from typing import Any

__all__ = ["import_by_name", "import_late", "import_networks"]

OF_MONAI = (
    "monai.networks.nets.basic_unet", "monai.networks.nets.diffusion_model_unet", "monai.networks.nets.regressor",
    "monai.networks.nets.segresnet", "monai.networks.layers.simplelayers", "monai.networks.schedulers.ddim",
)  # fmt: skip
"""What segue's own networks are made of."""
IMPORTING = threading.RLock()
Homes = dict[str, tuple[str, str]]
"""By name in a package: the module that it comes from, and its name there."""


def import_networks() -> None:
    """Import MONAI's networks alone. All of MONAI is imported, as ever, when anything else of it is asked for.

    Nothing is done where MONAI is imported already. A MONAI that cannot be taken apart is left to be imported whole.
    """
    if "monai" in sys.modules:
        return
    import_late("requests")  # with which a part of MONAI downloads
    sys.meta_path.insert(0, finder := Apart("monai"))
    try:
        for name in OF_MONAI:
            importlib.import_module(name)
    except (ImportError, AttributeError):
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if finder.finds(name)]:
            del sys.modules[name]
    finder.by_name = False


def import_by_name(root: str) -> None:
    """From now on, a package, and those inside it, give their names one by one."""
    if root not in sys.modules:
        sys.meta_path.insert(0, Apart(root))


def import_late(root: str) -> None:
    """From now on, import a package when something of it is used, and not when somebody imports it."""
    if root not in sys.modules:
        sys.meta_path.insert(0, Apart(root, by_name=False))


class Apart(MetaPathFinder):
    """Finds a package that is not run.

    Args:
        root: its name.
        by_name: whether it, and those inside it, give their names one by one; else the first use of anything of it that
            was not imported runs all of them. One that does more than import, assign and define is run, but the root.
    """

    def __init__(self, root: str, *, by_name: bool = True) -> None:
        self.root, self.by_name, self.begun = root, by_name, dict[str, NamesLater]()
        self.running = False

    def finds(self, name: str) -> bool:
        """Whether it is the package, or inside it."""
        return name.partition(".")[0] == self.root

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own place, with another way to begin if it is a package."""
        if not self.finds(name):
            return None
        if self.running:
            return self.begun[name].again() if name in self.begun else None
        if name != self.root and not self.by_name:
            self.run()
            return found(sys.modules[name]) if name in sys.modules else None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.submodule_search_locations is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        homes = homes_of(name, spec.loader.get_source(name) or "")
        if name == self.root or homes is not None:
            self.begun[name] = NamesLater(self, spec, homes or {})
        return spec

    def run(self) -> None:
        """Run all of it in its own order, in place: what was not run is imported again, by whoever imports it first."""
        with IMPORTING:
            if self.running or self not in sys.meta_path:
                return
            self.running = True
            inside = [name for name in self.begun if name != self.root and name in sys.modules]
            for name in inside:
                del sys.modules[name]
            self.begun[self.root].run()
            for name in inside:
                importlib.import_module(name)
            sys.meta_path.remove(self)


def found(module: ModuleType, execute: Callable[[ModuleType], None] | None = None) -> ModuleSpec:
    """Where a module is that is there already, and how it is run in place; by default it was run."""
    spec = module.__spec__
    assert spec is not None

    class There(Loader):
        def create_module(self, _: ModuleSpec) -> ModuleType:
            return module

        def exec_module(self, _: ModuleType) -> None:
            module.__spec__ = spec
            if execute is not None:
                execute(module)

    return ModuleSpec(spec.name, There(), origin=spec.origin, is_package=spec.submodule_search_locations is not None)


class NamesLater:
    """The names of a package, which is run only when it is asked for one that does not come from elsewhere."""

    def __init__(self, owner: Apart, spec: ModuleSpec, homes: Homes) -> None:
        assert spec.loader is not None
        self.owner, self.package, self.homes, self.ran = owner, spec.name, homes, False
        self.execute, self.module = spec.loader.exec_module, ModuleType(spec.name)
        spec.loader.exec_module = self.begin  # type: ignore[method-assign]

    def begin(self, module: ModuleType) -> None:
        """In place of running it."""
        self.module = module
        module.__getattr__, module.__dir__ = self.find, self.all  # type: ignore[method-assign]

    def again(self) -> ModuleSpec:
        """The package, to be run now."""
        return found(self.module, lambda _: self.run())

    def find(self, name: str) -> Any:
        """A name that the package does not have yet.

        Raises:
            AttributeError: it has no such name.
        """
        with IMPORTING:
            if name in vars(self.module):  # another thread was faster
                return vars(self.module)[name]
            if name in self.homes:
                setattr(self.module, name, got := self.take(*self.homes[name]))
                return got
            if self.ran or (name.startswith("__") and name not in ("__all__", "__version__")):
                raise AttributeError(f"module {self.package!r} has no attribute {name!r}")
            if find_spec(inner := f"{self.package}.{name}") is not None:
                return importlib.import_module(inner)
            self.all()
        return getattr(self.module, name)

    def take(self, home: str, name: str) -> Any:
        """A name of another module, or a module inside this package."""
        if home == self.package:
            return importlib.import_module(f"{home}.{name}")
        return getattr(__import__(home, fromlist=[name]), name)

    def all(self) -> list[str]:
        """All names."""
        (self if self.owner.by_name else self.owner).run()
        return sorted(vars(self.module))

    def run(self) -> None:
        """Run the package in place, once; what is asked of it meanwhile is found as before."""
        with IMPORTING:
            if self.ran:
                return
            self.ran = True
            self.execute(self.module)
            for name, own in (("__getattr__", self.find), ("__dir__", self.all)):
                if vars(self.module).get(name) == own:
                    delattr(self.module, name)


def homes_of(package: str, source: str) -> Homes | None:
    """Where the names of a package come from, by the text of its `__init__`; None: it has to be run.

    >>> homes_of("a.b", "from .unet import UNet, small as Small")
    {'UNet': ('a.b.unet', 'UNet'), 'Small': ('a.b.unet', 'small')}
    >>> homes_of("a.b", "register()") is None
    True
    """
    homes: Homes = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            home = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            homes |= {one.asname or one.name: (str(home), one.name) for one in node.names}
        elif not isinstance(node, ast.Import | ast.Assign | ast.FunctionDef) and not says_only(node):
            return None
    hidden = any(home == f"{package}.{name}" for name, (home, _) in homes.items())  # a name that hides its module
    return None if hidden or "*" in homes else homes


def says_only(node: ast.stmt) -> bool:
    """Whether a statement says something and does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
