"""Models by name: a dotted path to a class, or one of a few short names. This package imports no model itself."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.errors import UserError, unknown

ALIASES = {
    "alphagan": "alphagan.AlphaGAN",
    "dcgan": "baselines.DCGAN",
    "wgan_gp": "baselines.WGANGP",
    "age": "baselines.AGE",
    "alphagan_kl": "alphagan.EmpiricalKLAlphaGAN",
}
DEFAULT_MODELS = ("alphagan", "dcgan", "wgan_gp", "age")

LIBRARIES = ("builtins", "lightning_fabric", "lightning_utilities", "pytorch_lightning", "torch", "typing")

# What decides how a model trains beside its own module.
SHARED_CODE = (
    "benchmark.building",
    "benchmark.gan_module",
    "benchmark.losses",
    "benchmark.networks",
    "benchmark.randomness",
    "metrics.images",
    "metrics.optimizers",
    "metrics.wasserstein",
)


def dotted_path(name: str) -> str:
    """The dotted path of a model given by its short name or by its path.

    Raises:
        UserError: for a word that is neither.
    """
    if name in ALIASES:
        return ALIASES[name]
    if "." not in name:
        raise UserError(f"{unknown('model', name, ALIASES)}, or a dotted path such as mypackage.MyGAN")
    return name


def short_name(path: str) -> str:
    """The alias of a dotted path where there is one, else the path."""
    return {target: alias for alias, target in ALIASES.items()}.get(path, path)


def import_model(name: str) -> type:
    """The class of a model.

    Raises:
        UserError: if it cannot be found, fails to import, or is no GANModule.
    """
    from benchmark.gan_module import GANModule

    path = dotted_path(name)
    module_name, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UserError(
                f"model {path!r}: there is no module {error.name!r} in this folder or among the installed packages"
            ) from None
        raise UserError(f"model {path!r}: importing {module_name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"model {path!r}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    classes = {key: value for key, value in vars(module).items() if inspect.isclass(value)}
    if class_name not in classes:
        ours = [key for key, value in classes.items() if issubclass(value, GANModule) and value is not GANModule]
        raise unknown(f"class in {module_name}", class_name, ours or classes or ["none"])
    if not issubclass(classes[class_name], GANModule):
        raise UserError(f"model {path!r} is no subclass of benchmark.GANModule")
    return classes[class_name]


def constructor_arguments(model: type) -> dict[str, inspect.Parameter]:
    """The hyperparameters of a model: its constructor's arguments but `image_shape`."""
    arguments = dict(inspect.signature(model.__init__).parameters)  # type: ignore[misc]
    for fixed in ("self", "image_shape"):
        arguments.pop(fixed, None)
    return arguments


def hyperparameter_grid(model: type, own: Mapping[str, Iterable[Any]] | None = None) -> dict[str, list[Any]]:
    """The model's sweep, checked: constructor argument to a list of different values that JSON can hold.

    Args:
        model: the class.
        own: a user's values, in place of the class's or beside them.

    Raises:
        UserError: for a sweep that is something else, and for values of a hyperparameter that the model does not have.
    """
    name, arguments = model.__qualname__, constructor_arguments(model)
    sweep = model.sweep  # type: ignore[attr-defined]
    if not isinstance(sweep, Mapping):
        raise UserError(f"the sweep of {name} must map hyperparameters to their values, not be {type(sweep).__name__}")
    for key in own or {}:
        if key not in arguments:
            raise unknown("hyperparameter", key, arguments)
    grid = {}
    for key, values in {**sweep, **(own or {})}.items():
        if key not in arguments:
            raise UserError(
                f"sweep key {key!r} is no constructor argument of {name}: {unknown('hyperparameter', str(key), arguments)}"
            )
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise UserError(f"the sweep of {name} gives {key!r} as {values!r}; a list of values was expected")
        grid[key] = [plain_value(value, f"in the sweep of {name}, {key!r}") for value in values]
        if not grid[key] or len({json.dumps(value) for value in grid[key]}) < len(grid[key]):
            raise UserError(f"the sweep of {name} gives {key!r} as {grid[key]}; different values were expected")
    return grid


def plain_value(value: Any, where: str) -> Any:
    """A hyperparameter's value as JSON holds it: numbers of numpy and torch become Python's, tuples lists.

    Raises:
        UserError: for a value that JSON cannot hold.
    """
    value = value.item() if hasattr(value, "item") else value
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise UserError(f"{where} is {value!r}; numbers, strings, booleans, None and lists of them can be written down") from None


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
