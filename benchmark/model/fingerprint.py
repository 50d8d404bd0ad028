"""Name the code that decides how a model trains: a user's own by its content, the shared one by its version.

What counts is content. Files may move and be renamed, imports be sorted, docstrings and comments be written: that renames no run.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from benchmark.errors import UserError
from benchmark.model.syntax import Code, Imported, Place, digest, find, read

SHARED_CODE = {
    "build": "benchmark.model.build",
    "gan_module": "benchmark.model.gan_module",
    "phase": "benchmark.model.phase",
    "training": "benchmark.model.training",
    "losses": "benchmark.losses",
    "networks": "benchmark.networks",
    "randomness": "benchmark.randomness",
    "images": "metrics.images",
    "optimizers": "metrics.optimizers",
    "rounding": "metrics.rounding",
    "wasserstein": "metrics.wasserstein",
}
"""What decides how every model trains, by a label that stays when its module moves.

The graph and the Lightning loop are left out on purpose: tests hold that they change no weights.
"""
LOCK = Path(__file__).with_name("shared_code.json")
"""The version of the shared code, and the syntax trees that it stands for."""

SHARED_PACKAGES = ("benchmark", "metrics")
MODEL_PACKAGES = ("alphagan", "baselines")
"""Ours, whose models count by their content like a user's, installed or not."""
INSTALLED = ("site-packages", "dist-packages")


def code_fingerprint(model: type) -> str:
    """Hash the code that decides how a model trains.

    That is all of the user's own code that its imports reach (see `Reach`), and the version of the shared code. In place of the
    modules' names stand hashes of what they hold.
    """
    reach = Reach(model)
    hashes, told_apart = dict.fromkeys(reach.modules, ""), 0
    # Imports may go in circles: in each round a module's hash takes in what its imports are bound to by the round before, until
    # that tells no more modules apart.
    while len(set(hashes.values())) > told_apart:
        told_apart = len(set(hashes.values()))
        hashes = {name: code.digest(partial(reach.origin, hashes=hashes)) for name, code in reach.modules.items()}
    return digest(shared_version(), hashes[model.__module__], *sorted(set(hashes.values())))[:16]


def source_roots(names: Iterable[str]) -> dict[Path, str]:
    """Find the code of packages and models: folders of top-level packages and files of modules, with what they are called.

    All of a user's own code that a model can reach is there, with the whole folders of its packages.

    Args:
        names: packages, and dotted paths of models.
    """
    roots: dict[Path, str] = {}
    for name in names:
        module, _, class_name = name.rpartition(".")
        loaded = importlib.import_module(module or name)
        reached = Reach(getattr(loaded, class_name), whole_packages=True).places() if module else {name: find(name)}
        for path, place in reached.items():
            top = path.partition(".")[0]
            home = find(top)
            if home and home.folders:  # several for a package without `__init__`: those that hold what is reached
                holding = [folder for folder in home.folders if place and place.file and folder in place.file.parents]
                roots |= dict.fromkeys(holding, top)
            elif home and home.file:
                roots[home.file] = home.file.name
    return roots


class Reach:
    """All of a user's own code that a model's imports can reach, however deep, inside of functions and conditions too.

    A user's own is what lies in no site-packages and belongs neither to Python nor to `benchmark` and `metrics`. The packages of
    the model, of those of its bases that are models, and `alphagan` and `baselines` are so wherever they lie. Python sources
    count, as far as import statements name them: no module that is named at run time, no data file.

    What an `__init__` imports counts like what any module imports: it may register or patch something. Of our own packages,
    `alphagan` and `baselines`, an `__init__` that does nothing but import is a table of contents, and one model does not hang on
    the others in it: a name that is taken from it is followed to where it is defined, and its other lines
    `from module import name` are left out. What it imports as a whole (`from . import patches`, `*`) counts there too.

    Args:
        model: the class.
        whole_packages: whether to follow all that each `__init__` imports, as Python does when it imports the model.
    """

    def __init__(self, model: type, whole_packages: bool = False) -> None:
        models = {base.__module__ for base in model.__mro__ if any(_is_shared(above.__module__) for above in base.__mro__)}
        self.modules: dict[str, Code] = {}
        """The code that counts, by the names of its modules."""
        self.whole_packages = whole_packages
        self._model = model.__module__
        self._homes = {_top(name) for name in models} | set(MODEL_PACKAGES)
        self._known: dict[str, Code | None] = {}
        self._passed: set[str] = set()
        self._defined: dict[tuple[str, str], tuple[str, str]] = {}
        self._waiting: list[Code] = []
        """Modules whose imports are still to be followed: in a row, as a chain of them may be longer than Python's stack."""
        if self._code(self._model) is None:
            raise UserError(f"{model.__qualname__} has no source file that a run could be named for: put its class into one")
        for base in model.__mro__:
            self._take(base.__module__)
        while self._waiting:
            for imported in self._waiting.pop().imports:
                self._take(imported.module, imported.name)

    def places(self) -> Mapping[str, Place | None]:
        """Find the files of the modules."""
        return {name: find(name) for name in self.modules}

    def origin(self, imported: Imported, hashes: Mapping[str, str]) -> str:
        """Say what an import is bound to: by the hash of the module where that is the user's own, by its name in a library."""
        module, name = self._defined[imported.module, imported.name]
        return f"{hashes[module]}:{name}" if module in hashes else library_origin(imported)

    def _take(self, module: str, name: str = "") -> tuple[str, str]:
        """Follow an import to where the name is defined, and count that module; a module itself has no name."""
        key = (module, name)
        if key not in self._defined:
            self._defined[key] = key  # also for whoever comes by again while this goes on
            parents = module.split(".")[:-1]
            for depth in range(len(parents)):
                self._pass_through(".".join(parents[: depth + 1]))
            self._defined[key] = self._follow(module, name)
        return self._defined[key]

    def _follow(self, module: str, name: str) -> tuple[str, str]:
        code = self._code(module)
        if code is None:
            return module, name
        if code.package != module or name in ("", "*"):
            self._count(module)
            return module, name
        self._pass_through(module)
        for imported in code.imports if code.only_imports else ():
            if imported.bound == name and (imported.module, imported.name) != (module, name):
                return self._take(imported.module, imported.name)
        return self._take(f"{module}.{name}") if self._code(f"{module}.{name}") else (module, name)

    def _pass_through(self, package: str) -> None:
        """Count what runs when a package's `__init__` does."""
        code = self._code(package)
        if code is None or package in self._passed:
            return
        self._passed.add(package)
        contents = code.only_imports and (_top(package) in MODEL_PACKAGES or not code.imports)
        if self.whole_packages or not contents:
            self._count(package)
            return
        for imported in code.imports:
            if imported.name in ("", "*") or self._code(imported.path):
                self._take(imported.module, imported.name)

    def _count(self, module: str) -> None:
        code = self._code(module)
        if code is not None and module not in self.modules:
            self.modules[module] = code
            self._waiting.append(code)

    def _code(self, name: str) -> Code | None:
        """Read a module of the user's own; None for every other."""
        if name not in self._known:
            place = find(name) if name == self._model or self._is_own(_top(name)) else None
            self._known[name] = read(name, place) if place and (place.file or place.folders) else None
        return self._known[name]

    def _is_own(self, top: str) -> bool:
        if top in SHARED_PACKAGES or top in sys.stdlib_module_names:
            return False
        place = find(top)
        return place is not None and (top in self._homes or not _is_installed(place))


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_installed(place: Place) -> bool:
    paths = (place.file, *place.folders)
    return any(part in INSTALLED for path in paths if path for part in path.parts)


def _is_shared(name: str) -> bool:
    return _top(name) in SHARED_PACKAGES


def library_origin(imported: Imported) -> str:
    """Say where what is imported from a library comes from; of the shared packages not where in them, which may change."""
    return imported.path.rpartition(".")[2] if _is_shared(imported.module) else imported.path


def shared_trees() -> dict[str, str]:
    """Hash the syntax trees of the shared code, by their labels."""
    trees = {}
    for label, name in SHARED_CODE.items():
        place = find(name)
        if place is None or place.file is None:
            raise UserError(f"{name}, which decides how models train, has no source file here")
        trees[label] = read(name, place).digest(library_origin)[:16]
    return trees


@dataclass(frozen=True)
class Lock:
    """The version of the shared code, and its syntax trees' hashes by their labels."""

    version: int
    trees: Mapping[str, str]


def read_lock() -> Lock:
    """Read the lock that is committed beside this file."""
    return Lock(**json.loads(LOCK.read_text()))


@cache
def shared_version() -> str:
    """Name the shared code of this process: its version, and a hash too where its trees are not those that are locked."""
    locked, trees = read_lock(), shared_trees()
    version = str(locked.version)
    return version if trees == locked.trees else f"{version}+{digest(*map(str, sorted(trees.items())))[:8]}"
