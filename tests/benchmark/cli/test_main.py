"""The command line as a user meets it: one line and exit code 2 for a mistake, and nothing left behind."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli.main import main

ROOT = Path(__file__).parents[3]

# The README's own example is the user's model, so that it cannot rot.
MY_GAN = next(
    block for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "class MyGAN" in block
)

BROKEN = MY_GAN.replace('sweep = {"learning_rate"', 'sweep = {"learning_rte"').replace("MyGAN", "BadSweep") + MY_GAN.replace(
    'Phase("generator", [self.generator], self.generator_loss, rate),', ""
).replace("MyGAN", "NoGenerator")


def benchmark(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "benchmark", *words], cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mygan.py").write_text(MY_GAN)
    (tmp_path / "broken.py").write_text(BROKEN)
    yield tmp_path
    for name in ("mygan", "broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["rum"], ["'rum'", "'run'"]),
        (["run", "--itterations", "3"], ["--itterations", "--iterations"]),
        (["run", "--iterations", "-3"], ["--iterations", "-3", "x>=1"]),
        (["run", "--iterations", "many"], ["--iterations", "many", "integer"]),
        (["run", "--width", "0"], ["--width", "0<x<=4"]),
        (["run", "--dataset", "colormnist-mimi"], ["colormnist-mimi", "colormnist-mini"]),
        (["run", "--models", "alphagam"], ["alphagam", "'alphagan'"]),
        (["run", "--models", "dcgan,mygan.MyGAM"], ["MyGAM", "'MyGAN'"]),
        (["run", "--models", "nowhere.MyGAN"], ["no module 'nowhere'"]),
        (["run", "--models", "broken.BadSweep"], ["'learning_rte'", "'learning_rate'"]),
        (["run", "--models", "broken.NoGenerator"], ["broken.NoGenerator breaks", "generator.0.weight belongs to no phase"]),
        (["run", "--preset", "fast"], ["preset 'fast'", "paper, quick"]),
        (["run", "--device", "gpu"], ["--device", "'gpu'", "'cuda'"]),
        (["run", "--workers", "4096"], ["4096 workers", "at most"]),
        (["run", "--runs-per-gpu", "0"], ["--runs-per-gpu", "0", "x>=1"]),
        (["run", "--runs-per-gpu", "many"], ["--runs-per-gpu", "'many'", "number or auto"]),
        (["run", "--study", "../elsewhere"], ["STUDY", "../elsewhere"]),
        (["run", "--study", ".."], ["STUDY", "'..'"]),
        (["run", "--results", "mygan.py"], ["mygan.py"]),
        (["run", "--results", "/proc/nowhere"], ["cannot write to /proc/nowhere", "RESULTS"]),
        (["check", "broken.NoGenerator"], ["breaks the contract"]),
        (["report", "nothing"], ["nothing"]),
        (["report"], ["no study", "make bench"]),
        (["run", "--variables", "SEDES=3"], ["variable 'SEDES'", "'SEEDS'"]),
        (["sample", "no/such/run"], ["no/such/run"]),
        (["train-evaluator", "digit", "--data-dir", "."], ["'digit'", "'digits'"]),
        (["train-evaluator", "digits", "--data-dir", "."], ["no MNIST"]),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2_and_leaves_nothing(folder, words, parts, monkeypatch, capsys):
    before = sorted(folder.rglob("*"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["benchmark", *words])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2, said
    assert len(said.strip().splitlines()) == 1, said
    assert said.startswith("error: ")
    for part in parts:
        assert part in said
    assert sorted(folder.rglob("*")) == before


@pytest.mark.processes
def test_a_users_model_passes_the_check_and_joins_a_study_by_its_path(folder):
    assert len(MY_GAN.strip().splitlines()) < 40
    checked = benchmark("check", "mygan.MyGAN", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("ok ") == 8
    words = ["run", "--models", "dcgan,mygan.MyGAN", "--iterations", "2", "--budget", "1", "--width", "0.125", "--study", "ours"]
    first = benchmark(*words, cwd=folder)
    assert first.returncode == 0, first.stderr
    assert "4 done, 0 diverged, 0 failed" in first.stdout
    assert "mygan.MyGAN: configurations: 1 of 9" in first.stdout
    page = (folder / "results" / "ours" / "report" / "index.html").read_text()
    assert "mygan.MyGAN" in page
    again = benchmark(*words, cwd=folder)
    assert "Nothing to do" in again.stdout
    lines = benchmark("status", cwd=folder).stdout.splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [[name, "1", "0"] for name in ("real", "noise", "dcgan", "mygan.MyGAN")]
    run = next((folder / "results" / "ours" / "runs").glob("mygan-*"))
    assert benchmark("sample", str(run), "-n", "7", cwd=folder).returncode == 0
    assert (folder / "samples.png").stat().st_size > 1000


@pytest.mark.processes
def test_lists():
    models = benchmark("models", cwd=ROOT).stdout
    assert all(name in models for name in ("alphagan.AlphaGAN", "baselines.DCGAN", "baselines.WGANGP", "baselines.AGE"))
    assert "30000 train" in benchmark("datasets", cwd=ROOT).stdout


@pytest.mark.parametrize(
    "command",
    ["", "run", "report", "status", "evaluate", "calibrate", "sample", "check", "models", "datasets", "train-evaluator"],
)
@pytest.mark.processes
def test_help_teaches(command):
    result = benchmark(*command.split(), "--help", cwd=ROOT)
    assert result.returncode == 0
    assert "Usage:" in result.stdout
    assert len(result.stdout.splitlines()) > 5
    assert "\\b" not in result.stdout
