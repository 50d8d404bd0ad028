"""Find a module's source without importing it, and read from it what it computes, whatever its layout and its file's name."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path

from benchmark.errors import UserError

NOT_COMPUTED = ("ctx", "kind", "type_ignores", "type_comment")
"""Fields of syntax trees that change nothing, or that say twice what stands elsewhere."""


@dataclass(frozen=True)
class Place:
    """Where a module lies."""

    file: Path | None
    """None for packages without `__init__`, and for what is no Python source."""
    folders: tuple[Path, ...]
    """Where a package's submodules are; empty for a plain module."""


@dataclass(frozen=True)
class Imported:
    """One name that an import statement binds."""

    bound: str
    """As the code has it afterwards; "a.b" for `import a.b`, and "*"."""
    module: str
    name: str = ""
    """What is taken of the module; empty for the module itself."""

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass
class Code:
    """What a module computes."""

    package: str
    """Where its relative imports begin."""
    text: str = ""
    """Its syntax tree, which says what names imports bind, and not where they come from."""
    imports: list[Imported] = field(default_factory=list)
    """Where they come from, in the same order."""
    only_imports: bool = False
    """Whether it does nothing but import: assignments to names such as `__all__` and `__version__` aside."""

    def digest(self, origin: Callable[[Imported], str]) -> str:
        """Hash it, with what each import is bound to as `origin` says it."""
        return digest(self.text, *(origin(imported) for imported in self.imports))


def digest(*texts: str) -> str:
    """Hash texts in their order."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def find(name: str) -> Place | None:
    """Find a module by its dotted name without importing it or its packages; None if there is none."""
    loaded = sys.modules.get(name)
    file, folders = getattr(loaded, "__file__", None), getattr(loaded, "__path__", ())
    if file or folders:
        return Place(_source(file), tuple(map(Path, folders)))
    parent, _, leaf = name.rpartition(".")
    if not parent:
        return _find_at_the_top(name)
    above = find(parent)
    return _find_below(above.folders, leaf) if above else None


def _find_at_the_top(name: str) -> Place | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a module that was made by hand has no spec
        return None
    return Place(_source(spec.origin), tuple(map(Path, spec.submodule_search_locations or ()))) if spec else None


def _find_below(folders: tuple[Path, ...], leaf: str) -> Place | None:
    for folder in folders:
        if (folder / leaf / "__init__.py").is_file():
            return Place(folder / leaf / "__init__.py", (folder / leaf,))
        if (folder / f"{leaf}.py").is_file():
            return Place(folder / f"{leaf}.py", ())
    portions = tuple(folder / leaf for folder in folders if (folder / leaf).is_dir())
    return Place(None, portions) if portions else None


def _source(origin: str | None) -> Path | None:
    return Path(origin) if origin and origin.endswith(".py") else None


def read(name: str, place: Place) -> Code:
    """Read a module's code; that of a package without `__init__` is empty.

    Raises:
        UserError: if it is no Python.
    """
    code = Code(name if place.folders else name.rpartition(".")[0])
    try:
        tree = ast.parse(place.file.read_bytes() if place.file else "")
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{place.file} is reached by the model's imports and cannot be read: {error}") from None
    for node in ast.walk(tree):
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, part, None), list):
                setattr(node, part, _acting(statements))
    code.text = _written(tree, code)
    code.only_imports = all(_is_import(statement) or _is_about_the_module(statement) for statement in tree.body)
    return code


def _acting(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Leave out docstrings, `pass`, and what is imported for type checkers only."""
    acting = []
    for statement in statements:
        if isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            continue
        if isinstance(statement, ast.If) and _name(statement.test) == "TYPE_CHECKING":
            acting += _acting(statement.orelse)
        else:
            acting.append(statement)
    return acting


def _name(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _written(value: object, code: Code) -> str:
    """Write a tree down, the same in all versions of Python; imports that follow each other are sorted.

    `ast.dump` and `ast.unparse` write one tree in different ways from version to version.
    """
    if isinstance(value, ast.AST):
        fields = [(key, child) for key, child in ast.iter_fields(value) if key not in NOT_COMPUTED and child not in (None, [])]
        return f"{type(value).__name__}({', '.join(f'{key}={_written(child, code)}' for key, child in fields)})"
    if not isinstance(value, list):
        return repr(value)
    parts = []
    for are_imports, nodes in groupby(value, key=_is_import):
        if are_imports:
            # Not by their modules' names: that two files are called otherwise is to change nothing.
            imports = sorted(chain.from_iterable(_imports(node, code.package) for node in nodes), key=attrgetter("bound"))
            code.imports += imports
            parts += [f"import {imported.bound}" for imported in imports]
        else:
            parts += [_written(node, code) for node in nodes]
    return f"[{', '.join(parts)}]"


def _is_import(node: object) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> list[Imported]:
    if isinstance(node, ast.Import):
        return [Imported(alias.asname or alias.name, alias.name) for alias in node.names]
    module = node.module or ""
    if node.level:
        try:
            module = importlib.util.resolve_name("." * node.level + module, package)
        except ImportError:  # from above the topmost package: it fails for Python too
            return []
    return [Imported(alias.asname or alias.name, module, alias.name) for alias in node.names if module != "__future__"]


def _is_about_the_module(statement: ast.stmt) -> bool:
    """Whether it assigns to names like `__all__` only."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return all(isinstance(target, ast.Name) and target.id.startswith("__") and target.id.endswith("__") for target in targets)
