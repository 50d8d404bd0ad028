"""Models by name: a dotted path to a class, or one of a few short names. This package imports no model itself."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
from types import ModuleType

from benchmark.errors import UserError, unknown

ALIASES = {
    "alphagan": "alphagan.AlphaGAN",
    "dcgan": "baselines.DCGAN",
    "wgan_gp": "baselines.WGANGP",
    "age": "baselines.AGE",
    "alphagan_kl": "alphagan.EmpiricalKLAlphaGAN",
}
DEFAULT_MODELS = ("alphagan", "dcgan", "wgan_gp", "age")

# What decides how a model trains beside its own module.
SHARED_CODE = (
    "benchmark.gan_module",
    "benchmark.images",
    "benchmark.losses",
    "benchmark.networks",
    "benchmark.randomness",
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
    except Exception as error:
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


def code_fingerprint(model: type) -> str:
    """A hash of the code that decides how a model trains, docstrings and comments aside.

    Its own module, those of its bases down to `GANModule`, and the shared networks, losses and loop.
    """
    names = [
        base.__module__ for base in model.__mro__ if not base.__module__.startswith(("pytorch_lightning", "torch", "builtins"))
    ]
    modules = [sys.modules[name] for name in names if name in sys.modules]
    modules += [importlib.import_module(name) for name in SHARED_CODE]
    by_name = {module.__name__: _bare_source(module) for module in modules if getattr(module, "__file__", None)}
    content = "\n".join(f"# {name}\n{by_name[name]}" for name in sorted(by_name))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _bare_source(module: ModuleType) -> str:
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
