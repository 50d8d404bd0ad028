"""Name the code that decides how a model trains."""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

LIBRARIES = ("builtins", "lightning_fabric", "lightning_utilities", "pytorch_lightning", "torch", "typing")

# What decides how a model trains beside its own module.
SHARED_CODE = (
    "benchmark.model.build",
    "benchmark.model.gan_module",
    "benchmark.losses",
    "benchmark.networks",
    "benchmark.randomness",
    "metrics.images",
    "metrics.optimizers",
    "metrics.wasserstein",
)


def code_fingerprint(model: type) -> str:
    """A hash of the code that decides how a model trains, docstrings and comments aside.

    Its own module and those of its bases, what these import from their own folders, and the shared networks, losses and loop.
    """
    own = [base.__module__ for base in model.__mro__ if base.__module__.partition(".")[0] not in LIBRARIES]
    names = {name for module in own for name in (module, *_neighbours(sys.modules[module]))}
    modules = [importlib.import_module(name) for name in sorted({*names, *SHARED_CODE})]
    content = "\n".join(f"# {module.__name__}\n{_bare_source(module)}" for module in modules)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def source_roots(names: Iterable[str]) -> dict[str, Path]:
    """Where the code of packages and models lies: by the name of each top-level package its folder, or the file of a module.

    What a user's single file imports from its own folder is there too.

    Args:
        names: dotted paths that can be imported.
    """
    roots: dict[str, Path] = {}
    for name in names:
        top = importlib.import_module(name.partition(".")[0])
        beside = [] if hasattr(top, "__path__") else [sys.modules[other.partition(".")[0]] for other in _neighbours(top)]
        for module in (top, *beside):
            roots[module.__name__] = Path(module.__path__[0] if hasattr(module, "__path__") else str(module.__file__))
    return roots


def _neighbours(module: ModuleType) -> list[str]:
    """Loaded modules from the folder of a user's module (or below it) that it imports: the rest of the user's own code."""
    if module.__name__ in SHARED_CODE:
        return []
    folder = Path(str(module.__file__)).resolve().parent
    found = []
    for node in ast.walk(ast.parse(_source(module))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            package = module.__name__.rsplit(".", node.level)[0] + "." if node.level else ""
            names = [f"{package}{node.module or ''}".strip(".")]
        for name in names:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file and folder in Path(file).resolve().parents and "site-packages" not in file:
                found.append(name)
    return found


def _bare_source(module: ModuleType) -> str:
    tree = ast.parse(_source(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text()
