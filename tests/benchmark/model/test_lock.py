"""The shared training code counts by a version, which stays for as long as all models train the same bits."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.model.fingerprint import SHARED_CODE
from benchmark.model.lock import check, compare

ROOT = Path(__file__).parents[3]
LOCK, LOSSES, REGISTRY = "benchmark/model/shared_code.json", "benchmark/losses.py", "benchmark/model/registry.py"
ONE_MODEL = 'ALIASES = {"dcgan": "baselines.DCGAN"}'


def test_the_shared_code_is_as_locked():
    """If not: `python -m benchmark.model.lock prove HEAD` where it trains the same bits as before, else `… lock raise`."""
    check.callback()


MODEL_FILES = [path for package in ("alphagan", "baselines") for path in sorted((ROOT / package).glob("*.py"))]
TOOLS = ("train_comparators.py",)
"""Files beside the models that no model imports."""
NO_WEIGHTS = {"benchmark.errors", "metrics.evaluators.weights"}
"""They raise errors, and read files that a model names by their hash: they decide no weights."""


@pytest.mark.parametrize("path", [path for path in MODEL_FILES if path.name not in TOOLS], ids=lambda path: path.name)
def test_all_shared_code_that_our_models_import_is_locked(path):
    """What a model of ours takes from `metrics` decides how it trains: give it a row in SHARED_CODE."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and not node.level]
    paths = {f"{node.module}.{alias.name}" for node in imports for alias in node.names if node.module in ("benchmark", "metrics")}
    modules = {node.module for node in imports if node.module and node.module.startswith(("benchmark.", "metrics."))}
    modules |= {name for name in paths if ROOT.joinpath(*name.split(".")).with_suffix(".py").exists()}
    assert modules <= set(SHARED_CODE.values()) | NO_WEIGHTS


class Clone:
    """A checkout of its own, whose only model is quick to train."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("alphagan", "baselines", "benchmark", "metrics"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.pt"))
        self.edit(REGISTRY, "DEFAULT_MODELS = (", f"{ONE_MODEL}\nDEFAULT_MODELS = (")
        self.git("init", "--quiet")
        self.commit()

    def git(self, *words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a")

    def edit(self, path: str, before: str, after: str) -> None:
        text = (self.folder / path).read_text()
        assert before in text
        (self.folder / path).write_text(text.replace(before, after))

    def lock(self, *words: str) -> tuple[int, str]:
        """The command's exit code and what it says."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-m", "benchmark.model.lock", *words]
        ran = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        return ran.returncode, ran.stdout + ran.stderr

    @property
    def version(self) -> int:
        return json.loads((self.folder / LOCK).read_text())["version"]


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path / "clone")


@pytest.mark.processes
def test_a_changed_loss_is_refused_until_the_version_is_raised(clone):
    clone.edit(LOSSES, "from __future__", "# a comment\nfrom __future__")
    clone.edit(LOSSES, "(Rosca et al. 2017, equation 1)", "(Rosca et al., equation 1)")
    assert clone.lock("check") == (0, "The shared training code is version 1, as locked.\n")
    clone.edit(LOSSES, "return F.softplus(-logits).mean()", "return 2 * F.softplus(-logits).mean()")
    code, said = clone.lock("check")
    assert code == 2
    assert said.startswith("error: losses: not as locked in shared_code.json (version 1); ")
    assert said.count("\n") == 1
    assert "lock prove COMMIT` shows it" in said
    assert "lock raise`" in said
    assert clone.lock("raise")[0] == 0
    assert clone.version == 2
    assert clone.lock("check")[0] == 0
    code, said = clone.lock("prove", "HEAD")
    assert (code, said) == (2, "error: HEAD is version 1, and here is 2: name a commit of version 2\n")


@pytest.mark.processes
def test_the_same_bits_are_shown_and_the_version_stays(clone):
    before = (clone.folder / LOCK).read_text()
    clone.edit(REGISTRY, ONE_MODEL, 'ALIASES = {"dcgan": "baselines.DCGAN", "age": "baselines.AGE"}')
    clone.edit(LOSSES, "mean = codes.mean(0)", "center = codes.mean(0)")
    clone.edit(LOSSES, "variance + mean.square()", "variance + center.square()")
    assert clone.lock("check")[0] == 2
    code, said = clone.lock("prove", "HEAD")
    assert code == 0, said
    assert "3 trainings give the same bits as at HEAD: today's trees are locked as version 1." in said
    assert "age at 28 pixels: skipped, it is here only" in said
    assert clone.version == 1
    assert (clone.folder / LOCK).read_text() != before
    assert clone.lock("check")[0] == 0
    trees = subprocess.run(["git", "worktree", "list"], cwd=clone.folder, check=True, capture_output=True, text=True).stdout
    assert len(trees.splitlines()) == 1


@pytest.mark.processes
def test_other_bits_are_refused(clone):
    before = (clone.folder / LOCK).read_text()
    clone.edit(LOSSES, "return F.softplus(-logits).mean()", "return 1.001 * F.softplus(-logits).mean()")
    code, said = clone.lock("prove", "HEAD")
    assert code == 2
    assert "error: dcgan at 28 pixels differs in generator." in said
    assert (clone.folder / LOCK).read_text() == before
    clone.commit()
    code, said = clone.lock("prove", "HEAD")  # it trains as itself, which shows nothing
    assert (code, said) == (2, "error: HEAD itself is not as its lock says: name the commit before its change\n")


@pytest.mark.processes
def test_a_commit_that_is_not_there_is_one_line(clone):
    code, said = clone.lock("prove", "nosuchcommit")
    assert code == 2
    assert said.startswith("error: git worktree: ")
    assert said.count("\n") == 1


def test_what_cannot_be_compared_shows_nothing(capsys):
    assert compare({"a": {"w": "1"}, "b": "no room"}, {"a": {"w": "1"}, "b": "no room", "c": {}}, "HEAD") == 1
    assert capsys.readouterr().out == "b: skipped, it cannot be trained: no room\nc: skipped, it is here only\n"
    for before, after, message in (
        ({"a": "no room"}, {"a": "no room", "b": {"w": "1"}}, "nothing is shown"),
        ({"a": {"w": "1"}}, {"a": "no room"}, "a can be trained on one side only"),
        ({"a": {"w": "1"}}, {"a": {"w": "1", "v": "1"}}, "a differs in v and 0 more tensors"),
    ):
        with pytest.raises(UserError, match=message):
            compare(before, after, "HEAD")
