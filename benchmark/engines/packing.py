"""Find how many runs should share a GPU, by a short probe in processes like those in which runs are done."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from tqdm import tqdm

from benchmark.data.datasets import open_dataset
from benchmark.engines import mps
from benchmark.engines.local import SIGNALS, redirect, start_process
from benchmark.model.gan_module import GANModule
from benchmark.model.train import train
from benchmark.studies.run import Run
from benchmark.trial.load import build_model

ENOUGH = 0.95
"""A number of runs that does this share of the best one's iterations is preferred where it is smaller."""
GROWTH = 1.1
"""By what factor more runs must be faster, for still more to be tried."""
WARM_UP = 3
"""Chunks of iterations before the clock starts."""
SECONDS = 4.0
"""How long it runs then."""
WARM_UP_SECONDS = 300.0
"""How long processes may take until all have warmed up."""
END_SECONDS = 30.0
"""How long they may take to answer, or to end, after that."""
ENDLESS = 2**62
REASON_LENGTH = 120


class Failed(Exception):
    """So many runs could not be done at once, for this reason."""


@dataclass(frozen=True)
class Packing:
    """What a probe found."""

    rates: Mapping[int, float]
    """Iterations a second of all runs together, by how many there were."""
    failed: str = ""
    """What went wrong when there were more."""

    @property
    def runs(self) -> int:
        """The number of runs that are to share a GPU."""
        return runs_that_pay(self.rates) if self.rates else 1

    def __str__(self) -> str:
        if not self.rates:
            return f"how many runs pay on a GPU could not be probed ({self.failed}): 1 at once; --runs-per-gpu sets a number"
        digits = 0 if self.rates[1] >= 10 else 2
        alone, *shared_rates = (f"{rate:,.{digits}f}" for rate in self.rates.values())
        shared = [f"{rate} with {count}" for rate, count in zip(shared_rates, list(self.rates)[1:], strict=True)]
        failed = f" ({2 * max(self.rates)} failed: {self.failed})" if self.failed else ""
        return ", ".join([f"one GPU does {alone} iterations a second with 1 run", *shared]) + f"{failed}: {self.runs} at once"


def runs_that_pay(rates: Mapping[int, float], share: float = ENOUGH) -> int:
    """Choose the smallest number of runs at once that together are nearly as fast as the fastest.

    Args:
        rates: of all runs together, by how many there were.
        share: of the best rate that is enough.
    """
    best = max(rates.values())
    return min(count for count, rate in rates.items() if rate >= share * best)


def probe_by_doubling(rate: Callable[[int], float], most: int) -> Packing:
    """Try 1, 2, 4, … runs at once, until more are hardly faster, fail, or are more than there may be.

    Args:
        rate: measures so many runs, or raises `Failed`.
        most: how many there may be.
    """
    rates: dict[int, float] = {}
    count = 1
    with tqdm(total=most.bit_length(), desc="probing the GPU", disable=None, leave=False, delay=1) as bar:
        while count <= most:
            try:
                rates[count] = rate(count)
            except Failed as reason:
                return Packing(rates, str(reason))
            bar.update()
            if count > 1 and rates[count] < GROWTH * rates[count // 2]:
                break
            count *= 2
    return Packing(rates)


def probe_gpu(run: Run, gpu: str, most: int) -> Packing:
    """Measure how fast runs are that share a GPU in the way in which an engine lets them share it.

    Args:
        run: a model's, one of those that are to be trained.
        gpu: as `visible_gpus` names it.
        most: how many the rest of the machine bears.
    """
    with mps.shared([gpu], say=str) as sharing:  # the engine says it
        environment = sharing.environment_on(gpu)
        return probe_by_doubling(lambda count: sum(train_together(run, count, "cuda", environment)), most)


def train_together(
    run: Run, count: int, device: str, environment: Mapping[str, str], seconds: float = SECONDS
) -> Sequence[float]:
    """Train a run in several processes at once and return the iterations a second of each. Nothing is kept.

    All wait for each other when they have warmed up.

    Args:
        run: a model's.
        count: how many processes.
        device: "cpu" or "cuda".
        environment: what each of them needs in its environment.
        seconds: how long to train.

    Raises:
        Failed: if one of them does.
    """
    team: list[tuple[BaseProcess, Connection]] = []
    try:
        for _ in range(count):
            pipe, far_end = multiprocessing.Pipe()
            try:
                process = start_process(_train, (run, device, environment, seconds, far_end), run.settings.threads)
            except (EOFError, OSError) as error:
                pipe.close()
                raise Failed(f"no process could be started: {error or type(error).__name__}") from None
            finally:
                far_end.close()
            team.append((process, pipe))
        pipes = [pipe for _, pipe in team]
        _hear(pipes, WARM_UP_SECONDS)
        for pipe in pipes:
            pipe.send("go")
        return _hear(pipes, seconds + END_SECONDS)
    except ConnectionError:
        raise Failed("a process ended early") from None
    finally:
        _end(team, seconds + END_SECONDS)


def _hear(pipes: Sequence[Connection], seconds: float) -> list[float]:
    """The number that each process tells.

    Raises:
        Failed: if one tells what went wrong, or nothing.
    """
    end, numbers = time.monotonic() + seconds, list[float]()
    for pipe in pipes:
        if not pipe.poll(max(end - time.monotonic(), 0)):
            raise Failed(f"no answer for {seconds:.0f} seconds")
        try:
            answer: float | str = pipe.recv()
        except (EOFError, OSError):
            raise Failed("a process ended early") from None
        if isinstance(answer, str):
            raise Failed(answer)
        numbers.append(answer)
    return numbers


def _end(team: Sequence[tuple[BaseProcess, Connection]], seconds: float) -> None:
    """Let processes end, which they do when nobody hears them; one that is killed may harm others with which it shares MPS."""
    end = time.monotonic() + seconds
    for _, pipe in team:
        pipe.close()
    for process, _ in team:
        process.join(max(end - time.monotonic(), 0))
        if process.is_alive():
            process.kill()
            process.join()


class _Enough(Exception):
    """The time is up; so many iterations a second were done."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self.rate = rate


class _Pace(pl.Callback):
    """Counts iterations from when all processes have warmed up to when the time is up."""

    def __init__(self, pipe: Connection, seconds: float) -> None:
        self.pipe, self.seconds, self.chunks = pipe, seconds, 0
        self.begin, self.began = 0, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        module = cast(GANModule, pl_module)
        module.take_mean_terms()  # as it is in a run, which waits here until the GPU has done the chunk
        self.chunks += 1
        if self.chunks == WARM_UP:
            self.pipe.send(0.0)
            self.pipe.recv()
            self.begin, self.began = module.iteration, time.perf_counter()
        elif self.chunks > WARM_UP and (passed := time.perf_counter() - self.began) >= self.seconds:
            raise _Enough((module.iteration - self.begin) / passed)


def _train(run: Run, device: str, environment: Mapping[str, str], seconds: float, pipe: Connection) -> None:
    """What a process of the probe does: tells that it has warmed up, waits, trains, tells how fast it was."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    redirect(Path(os.devnull))
    os.environ.update(environment)  # before anything here has asked CUDA
    torch.set_num_threads(run.settings.threads)
    answer: float | str
    try:
        pixels = open_dataset(run.dataset, run.fingerprint)["train"]
        train(build_model(run).to(device), pixels, ENDLESS, run.settings.batch_size, [_Pace(pipe, seconds)])
        answer = "its training ended"
    except _Enough as enough:
        answer = enough.rate
    except (Exception, SystemExit) as error:
        answer = " ".join(f"{type(error).__name__}: {error}".split())[:REASON_LENGTH]
    try:
        pipe.send(answer)
    finally:
        os._exit(0)  # a model's threads may not want to end
