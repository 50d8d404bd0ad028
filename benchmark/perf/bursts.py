"""Time trainings in bursts of iterations between which they stand still, so that several take turns: here, or in processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import psutil
import pytorch_lightning as pl
import torch

from benchmark.model.gan_module import GANModule
from benchmark.model.train import Stopped
from benchmark.runner.probe import now
from benchmark.trial.trial import peak_memory

PATIENCE_SECONDS = 600.0
"""How long a burst in another process may take."""
END_SECONDS = 10.0
"""How long such a process may take to end."""


class Bursts(pl.Callback):
    """Hold a training after each burst of iterations, and tell how long the burst took.

    Args:
        device: that it trains on.
        iterations: of the first burst, with which everything warms up.
        between: is told the seconds of each burst, and says how many iterations the next one has; 0 ends the training.
    """

    def __init__(self, device: torch.device, iterations: int, between: Callable[[float], int]) -> None:
        self.device, self.left, self.between = device, iterations, between
        self.start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = now(self.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.left -= getattr(batch, "iterations", 1)  # a chunk of ours has several
        if isinstance(pl_module, GANModule):
            pl_module.take_mean_terms()  # as a run's recorder does after each chunk
        if self.left <= 0:
            self.left = self.between(now(self.device) - self.start)
            if self.left <= 0:
                raise Stopped
            self.start = now(self.device)


Train = Callable[[Bursts], None]
"""Train until the callback ends it."""


class TrainingProcess:
    """Train in a process of its own, one training after the other, as many iterations as it is told to.

    Like a run's process it is a fork of one that has imported torch.

    Args:
        device: that it trains on.
        threads: of the process.
    """

    def __init__(self, device: torch.device, threads: int = 1) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["benchmark.engines.local"])  # as runs do: there is one such server for both
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(device, threads, other_end))
        self.process.start()
        other_end.close()

    @contextmanager
    def training(self, train: Train, warm_up: int) -> Iterator[TrainingProcess]:
        """Begin a training; it ends with the block.

        Args:
            train: trains with the callback that it is given until that ends it. Has to be picklable.
            warm_up: iterations that it does at once.
        """
        self.pipe.send(train)
        self(warm_up)
        yield self
        self.pipe.send(0)

    def start(self, iterations: int) -> None:
        """Let it begin a burst."""
        self.pipe.send(iterations)

    def wait(self) -> float:
        """Wait for the burst that it was told to do, and return its seconds."""
        return self._answer()

    def memory(self) -> float:
        """Measure, in MiB, the most that the process had so far and what its children (a DataLoader's workers) hold alone."""
        self.pipe.send("memory")
        return self._answer()

    def _answer(self) -> float:
        if not self.pipe.poll(PATIENCE_SECONDS):
            raise TimeoutError(f"a training in another process says nothing for {PATIENCE_SECONDS:g} seconds")
        try:
            return float(self.pipe.recv())
        except EOFError:
            raise RuntimeError("a training in another process ended by itself") from None

    def __call__(self, iterations: int) -> float:
        """Do so many iterations, and return their seconds."""
        self.start(iterations)
        return self.wait()

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.pipe.close()  # the process ends when nobody is at the other end
        self.process.join(END_SECONDS)
        if self.process.is_alive():
            self.process.kill()


def _serve(device: torch.device, threads: int, pipe: Connection) -> None:
    """Train as the pipe says: what the process does."""
    torch.set_num_threads(threads)
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - a trainer's progress bar is not for between the table's lines

    def between(seconds: float) -> int:
        pipe.send(seconds)
        while (order := pipe.recv()) == "memory":
            pipe.send(_memory())
        return int(order)

    with suppress(EOFError):
        while True:
            train: Train = pipe.recv()
            train(Bursts(device, int(pipe.recv()), between))


def _memory() -> float:
    children = psutil.Process().children(recursive=True)
    return peak_memory() + float(sum(child.memory_full_info().uss for child in children)) / 2**20
