"""The rule between rooms is `lint-imports`' (setup.cfg); here it is shown that it catches a break, and what stays light."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
PACKAGES = ("metrics", "benchmark", "baselines", "alphagan")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run([sys.executable, "-c", program, "--no-cache"], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def test_rooms_use_lower_rooms_only():
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("metrics/images.py", "import benchmark.errors", "Packages use those below them"),
        ("baselines/dcgan.py", "import alphagan", "Packages use those below them"),
        ("baselines/dcgan.py", "from benchmark.records import rows", "Models know the contract"),
        ("benchmark/records/rows.py", "from benchmark.studies import run", "Rooms of benchmark"),
        ("benchmark/files.py", "if TYPE_CHECKING:\n    from benchmark.data import datasets", "Rooms of benchmark"),
        ("benchmark/losses.py", "def late():\n    from benchmark import networks", "Rooms of benchmark"),
        ("benchmark/data/source.py", "from benchmark.data import datasets", "No circles"),
        ("benchmark/newcomer.py", "", "Rooms of benchmark"),
    ],
)
def test_a_break_is_caught(copy, file, line, contract):
    path = copy / file
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\nfrom typing import TYPE_CHECKING\n{line}\n")
    linted = lint_imports(copy)
    assert linted.returncode != 0
    broken = linted.stdout.replace("\n", " ").split("BROKEN")[:-1] or [linted.stdout + linted.stderr]
    assert any(contract in row for row in broken), linted.stdout + linted.stderr


def test_help_and_the_report_import_no_torch():
    """`--help` answers at once, and a report can be made where no torch is."""
    for line in (
        "import click.testing; from benchmark.cli.main import cli; "
        "assert not click.testing.CliRunner().invoke(cli, ['run', '-h']).exit_code",
        "import benchmark.report.write",
    ):
        subprocess.run([sys.executable, "-c", f"{line}; import sys; assert 'torch' not in sys.modules"], check=True, cwd=ROOT)
