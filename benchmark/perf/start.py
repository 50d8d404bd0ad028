"""What starting costs: the command line before it does anything, and a run's process in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import torch
from tqdm import tqdm

from benchmark.cli.main import cli
from benchmark.perf import plain
from benchmark.perf.bursts import Elsewhere, Train
from benchmark.perf.runs import BATCH
from benchmark.perf.table import Goal, Row
from benchmark.perf.training import train_ours

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
    """All rows of this section."""
    for title, words in (("python -m benchmark --help", ["-m", "benchmark", "--help"]), ("import benchmark", _import)):
        again = tqdm(range(repeats + 1), desc=title, disable=None, leave=False)
        yield Row(title, [_python(words)[0] for _ in again][1:], "s", SECOND)  # the first one fills the disk's cache
    _, said = _python(["-c", MODULES_OF_TORCH.format(words=[[], *([name] for name in sorted(cli.commands))])])
    yield Row(f"modules of torch that {len(cli.commands) + 1} pages of --help import", [float(said)], "", NONE)
    yield from memory_rows()


_import = ["-c", "import benchmark"]


def _python(words: list[str]) -> tuple[float, str]:
    """Seconds of a Python of its own, and what it prints."""
    start = time.perf_counter()
    said = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    return time.perf_counter() - start, said


def memory_rows(width: float = 0.25) -> Iterator[Row]:
    """What a run's process takes at most, its workers included."""
    ours = _mebibytes(partial(train_ours, "alphagan", 28, width))
    theirs = _mebibytes(partial(plain.train, "alphagan", 28, width, BATCH))
    yield Row("memory of a run, alphagan, 28 px", [ours], "MiB", Goal("at most", 1), "plain Lightning and workers", [theirs])


def _mebibytes(train: Train) -> float:
    with Elsewhere(torch.device("cpu")) as elsewhere, elsewhere.training(train, warm_up=1):
        elsewhere(ITERATIONS)
        return elsewhere.memory()
