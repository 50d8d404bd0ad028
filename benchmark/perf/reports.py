"""What a report of many runs costs: 10,000 runs with ten records each."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmark.datasets import load_dataset
from benchmark.evaluators import find_evaluators
from benchmark.records import Row, environment, write_json
from benchmark.study import Run, Study, resolve

MODELS = ("alphagan", "dcgan", "wgan_gp", "age", "alphagan_kl")
RUNS = 10_000
SECONDS_GOAL = 60.0
SIZE_GOAL = 20.0
"""Megabytes (10⁶ bytes) of the page."""
LOST = 50
"""One run in so many diverges."""


def measure(repeats: int) -> bool:
    """Measure the command on a pretended study; returns whether a goal was missed."""
    with tempfile.TemporaryDirectory() as folder:
        study = _study()
        records = _pretend(study, Path(folder) / study.name)
        command = [sys.executable, "-m", "benchmark", "report", study.name, "--results", folder]
        seconds = []
        for _ in range(repeats):
            start = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
            seconds.append(time.monotonic() - start)
        megabytes = (Path(folder) / study.name / "report" / "index.html").stat().st_size / 1e6
    median = statistics.median(seconds)
    click.echo(
        f"the report of {len(study.runs)} runs and {records} records: {median:.1f} s ({min(seconds):.1f} to {max(seconds):.1f}), "
        f"goal at most {SECONDS_GOAL:g}{': MISSED' if median > SECONDS_GOAL else ''}; the page {megabytes:.1f} MB, goal at most "
        f"{SIZE_GOAL:g}{': MISSED' if megabytes > SIZE_GOAL else ''}"
    )
    return median > SECONDS_GOAL or megabytes > SIZE_GOAL


def _study() -> Study:
    dataset = load_dataset("colormnist-mini")
    study = resolve(dataset, models=MODELS, study="many", budget=27, seeds=-(-RUNS // (27 * len(MODELS))))
    return study.measured_by(find_evaluators(study.settings.evaluation, dataset))


def _pretend(study: Study, folder: Path) -> int:
    """Write a finished study with ten rows a run, made up; returns how many rows."""
    (folder / "runs").mkdir(parents=True)
    write_json(folder / "study.json", {**study.as_json(), "environment": environment()})
    draws, records = np.random.default_rng(0), 0
    for number, run in enumerate(tqdm(study.runs, desc="pretending runs", disable=None, delay=1)):
        place = folder / "runs" / run.id
        place.mkdir()
        (place / "run.json").write_text("{}")
        lost = number % LOST == LOST - 1 and not run.is_reference
        rows = [] if lost else _rows(run, study.settings.iterations, draws)
        # Not as a run writes them, each safe on the disk when it returns: that would take minutes.
        (place / "records.jsonl").write_text("".join(f"{json.dumps(row.as_json())}\n" for row in rows))
        records += len(rows)
        (place / "status.json").write_text(json.dumps({"status": "diverged" if lost else "done", "seconds": {"training": 100.0}}))
    return records


def _rows(run: Run, iterations: int, draws: np.random.Generator) -> list[Row]:
    score = -float(len(run.model)) + draws.normal()
    metrics = {"critic": score, "critic_in_training": score - 1, "sample_diversity": 0.7 + 0.05 * draws.normal()}
    metrics |= {"mode_kl": -score, "modes_covered": 500 + 100 * score, "recognised_share": 0.5}
    rows = [Row(iterations, metric, value, value - 0.1, value + 0.1, 1000, {"by": metric}) for metric, value in metrics.items()]
    again = Row(iterations, "critic", score + 0.1 * draws.normal(), n=1000, protocol={"by": "critic", "evaluation": "second"})
    return [*rows, again, *(Row(iterations * part // 3, "loss/generator", 1 / part) for part in (1, 2, 3))]
