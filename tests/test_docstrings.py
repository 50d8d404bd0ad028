"""The examples in docstrings are true."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for package in ("metrics", "benchmark", "baselines", "alphagan") for path in sorted((ROOT / package).rglob("*.py"))]


def examples(path: Path) -> list[str]:
    """The docstrings of a file that have examples."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [docstring for docstring in docstrings if ">>>" in docstring]


@pytest.mark.parametrize("path", [path for path in FILES if examples(path)], ids=lambda path: path.stem)
def test_examples_are_true(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0
    assert results.attempted >= len(examples(path))
