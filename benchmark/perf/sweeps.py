"""What a sweep costs beside its runs: looking at finished ones, and starting them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
from tqdm import tqdm

from benchmark.datasets import load_dataset
from benchmark.engines.local import LocalEngine, cores
from benchmark.evaluators import find_evaluators
from benchmark.ledger import RunFolder
from benchmark.records import RecordFile, Row, environment, write_json
from benchmark.runner import Options, Today, run_study
from benchmark.study import Study, resolve

FINISHED_RUNS = 10_000
FINISHED_GOAL = 5.0
"""Seconds in which the command sees that so many finished runs leave nothing to do."""
START_GOAL = 50.0
"""Milliseconds that a run costs beside itself."""
SHORT_RUNS = 30


def measure(repeats: int) -> bool:
    """Measure what a sweep costs beside its runs; returns whether a goal was missed."""
    with tempfile.TemporaryDirectory() as folder:
        return _finished(Path(folder), repeats) | _starting(Path(folder))


def _finished(results: Path, repeats: int) -> bool:
    """The same command on a study of which all is done."""
    dataset = load_dataset("colormnist-mini")
    study = resolve(dataset, models=["dcgan"], study="finished", budget=27, seeds=-(-FINISHED_RUNS // 27))
    study = study.measured_by(find_evaluators(study.settings.evaluation, dataset))
    _pretend(study, results / study.name)
    words = [
        "--models",
        "dcgan",
        "--study",
        study.name,
        "--budget",
        "27",
        "--seeds",
        str(study.settings.seeds),
        "--device",
        "cpu",
    ]
    command = [sys.executable, "-m", "benchmark", "run", *words, "--results", str(results)]
    seconds = []
    for _ in range(repeats):
        start = time.monotonic()
        out = subprocess.run(  # noqa: S603 - our own command
            command, check=True, capture_output=True, text=True
        ).stdout
        seconds.append(time.monotonic() - start)
        if "Nothing to do" not in out:
            raise RuntimeError(f"the study was not seen to be finished: {out}")
    return _tell(f"the same command on {len(study.runs)} finished runs", seconds, FINISHED_GOAL, "s")


def _pretend(study: Study, folder: Path) -> None:
    """Write a finished study whose records are one row a run."""
    today = Today(load_dataset(study.dataset), "cpu")
    (folder / "runs").mkdir(parents=True)
    write_json(folder / "study.json", {**study.as_json(), "environment": environment()})
    for run in tqdm(study.runs, desc="pretending finished runs", disable=None, delay=1):
        place = folder / "runs" / run.id
        place.mkdir()
        (place / "run.json").write_text("{}")
        RecordFile(place / "records.jsonl").append([Row(run.settings.iterations, "critic", -1.0)])
        status = {"status": "done", "seconds": {}, "measured": today.measured_by(run), "critic": -1.0}
        write_json(place / "status.json", status)
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("newer than the runs")


def _starting(results: Path) -> bool:
    """Very short runs: their wall time by the number of workers, less the time that they say they took."""
    dataset = load_dataset("colormnist-mini")
    study = resolve(dataset, models=["dcgan"], study="short", budget=1, seeds=SHORT_RUNS, iterations=1, width=0.01)
    how = replace(study.settings.evaluation, calibration=2, critic_width=0.01, critic_steps=1, critic_images=2, mode_samples=2)
    how = replace(how, diversity_groups=1, inception_samples=0, cifar10_samples=0)
    study = study.measured_by(how)
    workers, seconds = cores(), list[float]()
    warm_up = replace(study, name="warm-up", runs=study.runs[:1])
    run_study(warm_up, results, LocalEngine(workers), Options())  # the server imports everything once
    start = time.monotonic()
    outcome = run_study(study, results, LocalEngine(workers), Options())
    wall = time.monotonic() - start
    took = [RunFolder(results / study.name / "runs" / run.id).status()["last_attempt_seconds"] for run in study.runs]
    seconds.append((wall * workers - sum(took)) / (len(took) - outcome.copied) * 1000)
    return _tell(f"{len(took)} runs of {statistics.median(took):.2f} s: each beside itself", seconds, START_GOAL, "ms")


def _tell(what: str, values: list[float], goal: float, unit: str) -> bool:
    median = statistics.median(values)
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    click.echo(f"{what}: {median:.2f} {unit}{spread}; goal at most {goal:g} {unit}{': MISSED' if median > goal else ''}")
    return median > goal
