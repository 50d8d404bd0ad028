"""Show how far a study is, from its folder alone, whoever works on it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.records.run_folder import RunFolder
from benchmark.records.study_folder import read_study
from benchmark.runner.live import printable

FILE_WIDTH = 140
"""Columns where there is no terminal that says how many it has."""
STATES = ("done", "running", "diverged", "failed", "missing")


@dataclass
class _Model:
    states: Counter[str] = field(default_factory=Counter)
    best: float | None = None
    best_run: str = ""


def show_status(folder: Path, console: Console | None = None) -> None:
    """Print a study's runs by model and status, the best of each model, which run now and how far they are, and why some failed.

    Raises:
        UserError: if there is no such study.
    """
    console = console or Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    study = read_study(folder)
    models: dict[str, _Model] = {}
    lines = []
    for name, planned in study["runs"].items():
        place = RunFolder(folder / "runs" / name)
        status = place.status()
        state = status.get("status") or ("running" if place.is_claimed() else "missing")
        model = models.setdefault(planned["model"], _Model())
        model.states[state] += 1
        score = status.get("critic")
        if score is not None and (model.best is None or score > model.best):
            model.best, model.best_run = score, name
        if state == "running":
            attempts = len(place.attempts())
            again = f", attempt {attempts}" if attempts > 1 else ""
            lines.append(f"{name}: iteration {place.iteration()} of {study['settings']['iterations']}{again}")
        elif "reason" in status:
            lines.append(f"{name}: {state}: {status['reason']}")
    console.print(Text(str(folder)), soft_wrap=True)
    console.print(_table(models))
    for line in lines:
        console.print(Text(f"  {printable(line)}"), soft_wrap=True)


def _table(models: dict[str, _Model]) -> Table:
    table = Table("model", *STATES, "best critic (high)", box=None, pad_edge=False)
    for name, model in models.items():
        best = "" if model.best is None else f"{model.best:.4g}  {model.best_run}"
        table.add_row(Text(printable(name)), *(str(model.states[state]) for state in STATES), Text(best))
    return table
