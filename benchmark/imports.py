"""Import what users name by dotted path: their models, their metrics, their data sets."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
from types import ModuleType
from typing import Any, TypeVar

from benchmark.errors import UserError, unknown

Base = TypeVar("Base")


def import_class(path: str, base: type[Base], noun: str, base_path: str) -> type[Base]:
    """Import a user's class.

    Args:
        path: mypackage.MyClass, importable from the working folder or an installed package.
        base: the class that it must be a subclass of.
        noun: what the class is, for errors: "model", "metric".
        base_path: where users import the base from, for errors.

    Raises:
        UserError: if it cannot be found, fails to import, or is no such subclass.
    """
    module, class_name = _import_module(path, noun)
    classes = {key: value for key, value in vars(module).items() if inspect.isclass(value)}
    if class_name not in classes:
        fitting = [key for key, value in classes.items() if issubclass(value, base) and value is not base]
        raise unknown(f"class in {module.__name__}", class_name, fitting or classes or ["none"])
    named = classes[class_name]
    if not issubclass(named, base):
        raise UserError(f"{noun} {path!r} is no subclass of {base_path}")
    return named


def import_instance(path: str, kind: type[Base], noun: str, kind_path: str) -> tuple[Base, ModuleType]:
    """Import an object of a user's.

    Args:
        path: mypackage.NAME, importable from the working folder or an installed package.
        kind: the class that it must be an instance of.
        noun: what the object is, for errors: "data set".
        kind_path: where users import the class from, for errors.

    Returns:
        The object, and the module that it was found in.

    Raises:
        UserError: if it cannot be found, fails to import, or is no such object.
    """
    module, name = _import_module(path, noun)
    fitting = [key for key, value in vars(module).items() if isinstance(value, kind)]
    if not hasattr(module, name):
        raise unknown(f"{noun} in {module.__name__}", name, fitting or ["none"])
    named: Any = getattr(module, name)
    if not isinstance(named, kind):
        there = f"; {module.__name__} has {', '.join(sorted(fitting))}" if fitting else ""
        raise UserError(f"{noun} {path!r} is no instance of {kind_path}{there}")
    return named, module


def _import_module(path: str, noun: str) -> tuple[ModuleType, str]:
    """The module of a dotted path, and the name of what is to be found in it."""
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise UserError(f"unknown {noun} {path!r}: a dotted path was expected, such as mypackage.{name or 'NAME'}")
    try:
        return importlib.import_module(module_name), name
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UserError(
                f"{noun} {path!r}: there is no module {error.name!r} in this folder or among the installed packages"
                f"{_nearest_module(error.name)}"
            ) from None
        raise UserError(f"{noun} {path!r}: importing {module_name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{noun} {path!r}: importing {module_name} failed: {type(error).__name__}: {error}") from error


def _nearest_module(name: str) -> str:
    """A hint at the module that lies where this one was looked for and is called nearly so."""
    package, _, last = name.rpartition(".")
    places = getattr(sys.modules.get(package), "__path__", None)  # None is all of sys.path
    near = difflib.get_close_matches(last, [module.name for module in pkgutil.iter_modules(places)], n=1)
    return f": did you mean {'.'.join(filter(None, [package, near[0]]))!r}?" if near else ""
