"""Measure what a report of many runs costs: 10,000 runs with ten records each, and a tenth of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmark.data.datasets import load_dataset
from benchmark.evaluation.evaluators import find_evaluators
from benchmark.files import write_json
from benchmark.perf.table import FEW, Goal, Row
from benchmark.records.rows import Row as Record
from benchmark.records.run_folder import environment
from benchmark.studies.run import Run
from benchmark.studies.study import Study, resolve

MODELS = ("alphagan", "dcgan", "wgan_gp", "age", "alphagan_kl")
RUNS, FEWER_RUNS = 10_000, 1_000
SECONDS = Goal("at most", 60)
MEGABYTES = Goal("at most", 20)
"""Of 10⁶ bytes."""
GROWTH = Goal("at most", 1.2)
DIVERGED = 50
"""One run in so many diverges."""


def rows(repeats: int) -> Iterator[Row | str]:
    """Time the command on two pretended studies, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        studies = {runs: _study(runs) for runs in (FEWER_RUNS, RUNS)}
        records = {runs: _pretend(study, Path(folder) / study.name) for runs, study in studies.items()}
        seconds: dict[int, list[float]] = {runs: [] for runs in studies}
        for _ in tqdm(range(min(repeats, FEW)), desc="reports", disable=None, leave=False):
            for runs, study in studies.items():
                command = [sys.executable, "-m", "benchmark", "report", study.name, "--results", folder]
                start = time.monotonic()
                subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
                seconds[runs].append(time.monotonic() - start)
        page = Path(folder) / studies[RUNS].name / "report" / "index.html"
        megabytes = page.stat().st_size / 1e6
    each = {runs: [1000 * value / len(studies[runs].runs) for value in seconds[runs]] for runs in studies}
    yield Row(f"the report of {len(studies[RUNS].runs):,} runs, {records[RUNS]:,} records", seconds[RUNS], "s", SECONDS)
    yield Row("its page", [megabytes], "MB", MEGABYTES)
    fewer = f"{len(studies[FEWER_RUNS].runs):,} runs"
    yield Row(f"the report of {len(studies[RUNS].runs):,} runs", each[RUNS], "ms/run", GROWTH, fewer, each[FEWER_RUNS])


def _study(runs: int) -> Study:
    dataset = load_dataset("colormnist-mini")
    study = resolve(dataset, models=MODELS, study=f"many-{runs}", budget=27, seeds=-(-runs // (27 * len(MODELS))))
    return study.with_evaluation(find_evaluators(study.settings.evaluation, dataset))


def _pretend(study: Study, folder: Path) -> int:
    """Write a finished study with ten rows a run, made up; returns how many rows."""
    (folder / "runs").mkdir(parents=True)
    write_json(folder / "study.json", {**study.as_json(), "environment": environment()})
    draws, records = np.random.default_rng(0), 0
    for number, run in enumerate(tqdm(study.runs, desc="pretending runs", disable=None, delay=1)):
        run_folder = folder / "runs" / run.id
        run_folder.mkdir()
        (run_folder / "run.json").write_text("{}")
        diverged = number % DIVERGED == DIVERGED - 1 and not run.is_reference
        rows = [] if diverged else _rows(run, study.settings.iterations, draws)
        # Not as a run writes them, each safe on the disk when it returns: that would take minutes.
        (run_folder / "records.jsonl").write_text("".join(f"{json.dumps(row.as_json())}\n" for row in rows))
        records += len(rows)
        (run_folder / "status.json").write_text(
            json.dumps({"status": "diverged" if diverged else "done", "seconds": {"training": 100.0}})
        )
    return records


def _rows(run: Run, iterations: int, draws: np.random.Generator) -> list[Record]:
    score = -float(len(run.model)) + draws.normal()
    metrics = {"critic": score, "critic_in_training": score - 1, "sample_diversity": 0.7 + 0.05 * draws.normal()}
    metrics |= {"mode_kl": -score, "modes_covered": 500 + 100 * score, "recognised_share": 0.5}
    rows = [Record(iterations, name, value, value - 0.1, value + 0.1, 1000, {"by": name}) for name, value in metrics.items()]
    second = Record(iterations, "critic", score + 0.1 * draws.normal(), n=1000, protocol={"by": "critic", "evaluation": "second"})
    return [*rows, second, *(Record(iterations * part // 3, "loss/generator", 1 / part) for part in (1, 2, 3))]
