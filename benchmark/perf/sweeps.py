"""Measure what a sweep costs beside its runs: looking at finished ones, and starting them."""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from benchmark.data.datasets import load_dataset, recipe_for
from benchmark.engines.local import LocalEngine, cores
from benchmark.evaluation.evaluators import find_evaluators
from benchmark.files import write_json
from benchmark.model.graph import EAGER
from benchmark.perf.table import FEW, Goal, Row
from benchmark.records.rows import RecordFile
from benchmark.records.rows import Row as Record
from benchmark.records.run_folder import RunFolder, environment
from benchmark.runner.runner import Options, Today, run_study
from benchmark.studies.study import Study, resolve

FINISHED_RUNS = 10_000
FINISHED = Goal("at most", 5)
"""Seconds in which the command sees that so many finished runs leave nothing to do."""
START = Goal("at most", 50)
"""Milliseconds that a run costs beside itself."""
SHORT_RUNS = 30

PACKED = ("--runs-per-gpu", "auto")
ALONE = ("--runs-per-gpu", "1", "--workers", "1")
PACKED_CONFIGURATIONS, ALONE_CONFIGURATIONS = 16, 1
"""Of each model: one run after the other takes long, and each takes as long as the one before."""
GPU_ITERATIONS = 1_000
SAMPLE_SECONDS = 1.0
PACKING = Goal("at least", 20)
BUSY = Goal("at least", 90)


def rows(repeats: int) -> Iterator[Row | str]:
    """Measure what a sweep costs beside its runs."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _finished(Path(folder), min(repeats, FEW))
        yield from _starting(Path(folder), min(repeats, FEW))


def _finished(results: Path, repeats: int) -> Iterator[Row]:
    """Time the command on a study whose runs are all done."""
    dataset = load_dataset("colormnist-mini")
    study = resolve(dataset, models=["dcgan"], study="finished", budget=27, seeds=-(-FINISHED_RUNS // 27))
    study = study.with_evaluation(find_evaluators(study.settings.evaluation, dataset))
    _pretend(study, results / study.name)
    words = ["--models", "dcgan", "--study", study.name, "--budget", "27", "--seeds", str(study.settings.seeds)]
    seconds = []
    for _ in tqdm(range(repeats), desc="finished runs", disable=None, leave=False):
        spent, out = _command([*words, "--device", "cpu", "--results", str(results)])
        seconds.append(spent)
        if "Nothing to do" not in out:
            raise RuntimeError(f"the study was not seen to be finished: {out}")
    yield Row(f"the same command on {len(study.runs):,} finished runs", seconds, "s", FINISHED)


def _command(words: Sequence[str], **more: str) -> tuple[float, str]:
    """Run `python -m benchmark run` with these words and more of an environment; its seconds and what it says."""
    start = time.monotonic()
    command = [sys.executable, "-m", "benchmark", "run", *words]
    out = subprocess.run(  # noqa: S603 - our own command
        command, check=True, capture_output=True, text=True, env={**os.environ, **more}
    ).stdout
    return time.monotonic() - start, out


def _pretend(study: Study, folder: Path) -> None:
    """Write a finished study whose records are one row a run."""
    today = Today(load_dataset(study.dataset), "cpu")
    (folder / "runs").mkdir(parents=True)
    write_json(folder / "study.json", {**study.as_json(), "environment": environment()})
    for run in tqdm(study.runs, desc="pretending finished runs", disable=None, delay=1):
        run_folder = folder / "runs" / run.id
        run_folder.mkdir()
        (run_folder / "run.json").write_text("{}")
        RecordFile(run_folder / "records.jsonl").append([Record(run.settings.iterations, "critic", -1.0)])
        status = {"status": "done", "seconds": {}, "measured": today.protocols_id(run), "critic": -1.0}
        write_json(run_folder / "status.json", status)
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("newer than the runs")


def _starting(results: Path, repeats: int) -> Iterator[Row | str]:
    """Time very short runs: wall time by the number of workers, less the time that they say they took."""
    dataset = load_dataset("colormnist-mini")
    study = resolve(dataset, models=["dcgan"], study="short", budget=1, seeds=SHORT_RUNS, iterations=1, width=0.01)
    evaluation = replace(
        study.settings.evaluation, batch_norm_draws=2, critic_width=0.01, critic_steps=1, critic_images=2, mode_samples=2
    )
    evaluation = replace(evaluation, diversity_groups=1, inception_samples=0, cifar10_samples=0)
    study = study.with_evaluation(evaluation)
    warm_up = replace(study, name="warm-up", runs=study.runs[:1])
    _run(warm_up, results / "warm-up")  # the server imports everything once
    beside, took = list[float](), list[float]()
    for repeat in tqdm(range(repeats), desc="short runs", disable=None, leave=False):
        folder = results / str(repeat)  # elsewhere each time, so that no run is found to be done
        wall = _run(study, folder)
        statuses = [RunFolder(folder / study.name / "runs" / run.id).status() for run in study.runs]
        seconds = [status["last_attempt_seconds"] for status in statuses]
        beside.append((wall * cores() - sum(seconds)) / len(statuses) * 1000)
        took += seconds
    yield Row(f"{len(study.runs)} runs of {statistics.median(took):.2f} s, each beside itself", beside, "ms", START)


def _run(study: Study, results: Path) -> float:
    """Run a study in silence; its seconds."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        start = time.monotonic()
        run_study(study, results, LocalEngine(cores()), Options())
        return time.monotonic() - start


def gpu_sweep(data_dir: Path, width: float, repeats: int) -> Iterator[Row | str]:
    """Measure a CIFAR-10 sweep whose runs share the GPU, against eager ones one by one, and how busy the GPU is meanwhile."""
    if recipe_for("cifar10").find(data_dir) is None:
        yield f"a sweep on a GPU: not measured, cifar10's files are not in {data_dir}"
        return
    words = ["--dataset", "cifar10", "--data-dir", str(data_dir), "--width", str(width), "--iterations", str(GPU_ITERATIONS)]
    words += ["--device", "cuda"]
    together, alone, busy = list[float](), list[float](), list[float]()
    for _ in tqdm(range(repeats), desc="sweeps on a GPU", disable=None, leave=False):
        with _sampling(busy):
            together.append(_runs_an_hour([*words, *PACKED], PACKED_CONFIGURATIONS))
        alone.append(_runs_an_hour([*words, *ALONE], ALONE_CONFIGURATIONS, **{EAGER: "1"}))
    yield Row("CIFAR-10, runs that share the GPU", together, "runs/h", PACKING, "one eager run after the other", alone)
    if busy:
        yield Row("the GPU is busy while they do", busy, "%", BUSY)
    else:
        yield "how busy the GPU is: nvidia-smi does not say"


def _runs_an_hour(words: Sequence[str], configurations: int, **environment: str) -> float:
    """Measure a sweep with so many configurations of each model, from the command's start to its end, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = _command([*words, "--budget", str(configurations), "--results", folder], **environment)
        runs = len(list(Path(folder).glob("*/runs/*/status.json")))
    return 3600 * runs / seconds


@contextmanager
def _sampling(busy: list[float]) -> Iterator[None]:
    """Collect how busy the GPU is, in per cent, while a block runs, from its first work to its last."""
    ended, samples = threading.Event(), list[float]()
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def sample() -> None:
        while shutil.which(command[0]) and not ended.wait(SAMPLE_SECONDS):
            out = subprocess.run(command, capture_output=True, text=True).stdout  # noqa: S603 - the driver's own tool
            samples.extend(float(line) for line in out.splitlines()[:1])

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        at_work = [index for index, value in enumerate(samples) if value > 0]
        busy.extend(samples[at_work[0] : at_work[-1] + 1] if at_work else [])
