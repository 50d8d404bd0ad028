"""Measure what starting costs: the command line before it does anything, and a run's process in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import torch
from tqdm import tqdm

from benchmark.cli.main import cli
from benchmark.perf import plain_lightning
from benchmark.perf.bursts import Train, TrainingProcess
from benchmark.perf.models import BATCH
from benchmark.perf.table import Goal, Row
from benchmark.perf.training import train_model

SECOND = Goal("at most", 1)
NONE = Goal("at most", 0)
ITERATIONS = 20
"""After which a training has all the memory that it will ever have."""
MODULES_OF_TORCH = """
import sys
from click.testing import CliRunner
from benchmark.cli.main import cli
for words in {words!r}:
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0, result.output
print(sum(name.split(".")[0] in ("torch", "pytorch_lightning") for name in sys.modules))
"""


def rows(repeats: int) -> Iterator[Row | str]:
    """Measure all rows of this section."""
    for title, words in (("python -m benchmark --help", ["-m", "benchmark", "--help"]), ("import benchmark", _import)):
        turns = tqdm(range(repeats + 1), desc=title, disable=None, leave=False)
        yield Row(title, [_python(words)[0] for _ in turns][1:], "s", SECOND)  # the first one fills the disk's cache
    _, output = _python(["-c", MODULES_OF_TORCH.format(words=[[], *([name] for name in sorted(cli.commands))])])
    yield Row(f"modules of torch that {len(cli.commands) + 1} pages of --help import", [float(output)], "", NONE)
    yield from memory_rows()


_import = ["-c", "import benchmark"]


def _python(words: list[str]) -> tuple[float, str]:
    """Run a Python of its own; its seconds and what it prints."""
    start = time.perf_counter()
    output = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    return time.perf_counter() - start, output


def memory_rows(width: float = 0.25) -> Iterator[Row]:
    """Measure what a run's process takes at most, its workers included."""
    run = _mebibytes(partial(train_model, "alphagan", 28, width))
    peer = _mebibytes(partial(plain_lightning.train, "alphagan", 28, width, BATCH))
    yield Row("memory of a run, alphagan, 28 px", [run], "MiB", Goal("at most", 1), "plain Lightning and workers", [peer])


def _mebibytes(train: Train) -> float:
    with TrainingProcess(torch.device("cpu")) as process, process.training(train, warm_up=1):
        process(ITERATIONS)
        return process.memory()
