"""Imports go one way: metrics <- benchmark <- baselines, alphagan. Read off the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "metrics": set(),
    "benchmark": {"metrics"},
    "baselines": {"metrics", "benchmark"},
    "alphagan": {"metrics", "benchmark"},
}
# Models know the contract, the shared networks and the shared losses; not the data, the runner, the records or the report.
FOR_MODELS = {"benchmark", "benchmark.gan_module", "benchmark.losses", "benchmark.networks"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module in MAY_IMPORT:  # from benchmark import losses
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", [p for package in MAY_IMPORT for p in sorted((ROOT / package).rglob("*.py"))], ids=str)
def test_imports_go_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    ours = {name for name in imports(path) if name.split(".")[0] in MAY_IMPORT}
    others = {name.split(".")[0] for name in ours} - {package}
    assert others <= MAY_IMPORT[package]
    if package in ("baselines", "alphagan"):
        assert {name for name in ours if name.startswith("benchmark")} <= FOR_MODELS


def test_help_and_the_report_import_no_torch():
    """`--help` answers at once, and a report can be made where no torch is."""
    for line in (
        "import click.testing as c; from benchmark.cli import cli; assert not c.CliRunner().invoke(cli, ['run', '-h']).exit_code",
        "import benchmark.report.write",
    ):
        subprocess.run([sys.executable, "-c", f"{line}; import sys; assert 'torch' not in sys.modules"], check=True, cwd=ROOT)
