"""Import the classes that users name by dotted path: their models, their metrics."""

from __future__ import annotations

import importlib
import inspect
from typing import TypeVar

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
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise UserError(f"unknown {noun} {path!r}: a dotted path was expected, such as mypackage.MyClass")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UserError(
                f"{noun} {path!r}: there is no module {error.name!r} in this folder or among the installed packages"
            ) from None
        raise UserError(f"{noun} {path!r}: importing {module_name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{noun} {path!r}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    classes = {key: value for key, value in vars(module).items() if inspect.isclass(value)}
    if class_name not in classes:
        fitting = [key for key, value in classes.items() if issubclass(value, base) and value is not base]
        raise unknown(f"class in {module_name}", class_name, fitting or classes or ["none"])
    named = classes[class_name]
    if not issubclass(named, base):
        raise UserError(f"{noun} {path!r} is no subclass of {base_path}")
    return named
