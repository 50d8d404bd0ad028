"""Say what a study would do, and how long it would take, before anything is trained."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmark.data.datasets import Dataset
from benchmark.runner.probe import Cost, probe
from benchmark.runner.runner import unfinished
from benchmark.studies.run import Run
from benchmark.studies.study import Study

ROWS = 20
"""Configurations of a model that are listed; of a larger draw the rest is counted."""


def preview(study: Study, dataset: Dataset, folder: Path, workers: int, device: str) -> list[str]:
    """Describe every configuration, how many runs are missing in the study's folder, and the time that they will take.

    Nothing is kept, and nothing is written to the folder.

    Args:
        study: the resolved study.
        dataset: its images.
        folder: results/<study>; it need not be there.
        workers: runs at once.
        device: "cpu" or "cuda".

    Raises:
        UserError: if a model cannot be built, trained or measured.
    """
    missing = list(unfinished(study.runs, folder))
    lines = [line for model in study.models for line in describe_configurations(study, model)]
    lines.append(f"{len(study.runs)} runs: {len(study.runs) - len(missing)} finished in {folder}, {len(missing)} missing")
    if not missing:
        return lines
    start = time.monotonic()
    costs = probe(missing, dataset, torch.device(device))
    seconds = time.monotonic() - start
    lines.append(f"An estimate, from a probe of {seconds:.0f} seconds: one configuration of each model, alone on the {device}")
    return [*lines, *describe_costs(costs, missing), time_of_all(costs, missing, workers, study.settings.threads, device)]


def describe_configurations(study: Study, model: str) -> list[str]:
    """Describe the configurations of a model: what is the same in all of them, and what varies, in their order.

    Of a whole grid the values of each hyperparameter are said, for their product is what is run.
    """
    runs = [run for run in study.runs if run.model == model]
    cells = list({json.dumps(dict(run.hyperparameters)): dict(run.hyperparameters) for run in runs}.values())
    values = {name: list(dict.fromkeys(_text(cell[name]) for cell in cells)) for name in cells[0]}
    varying = [name for name in values if len(values[name]) > 1]
    fixed = ", ".join(f"{name} {values[name][0]}" for name in values if name not in varying)
    shared = "" if len(cells) == 1 else " in all of them"
    lines = [f"{model}, {len(cells)} configuration{'s'[: len(cells) != 1]}: {fixed or 'nothing the same'}{shared}"]
    if study.models[model]["grid"] == len(cells):
        return lines + [f"  {name}: each of {', '.join(sorted(values[name], key=_rank))}" for name in varying]
    table = pd.DataFrame([{name: _text(cell[name]) for name in varying} for cell in cells[:ROWS]])
    lines += _indented(table) if varying else []
    return lines + ([f"  and {len(cells) - ROWS} more"] if len(cells) > ROWS else [])


def describe_costs(costs: Mapping[str, Cost], missing: Iterable[Run]) -> list[str]:
    """Make a table of what one run of each model takes, and how many of them are to be done."""
    left = Counter(run.model for run in missing)
    rows = [
        {
            "model": model,
            "an iteration": duration(cost.iteration) if cost.iteration else "",
            "training": duration(cost.training) if cost.training else "",
            "critic beside it": duration(cost.critic),
            "measuring": duration(cost.measuring),
            "one run": duration(cost.total),
            "missing": left[model],
        }
        for model, cost in costs.items()
    ]
    return _indented(pd.DataFrame(rows))


def time_of_all(costs: Mapping[str, Cost], missing: Sequence[Run], workers: int, threads: int, device: str) -> str:
    """Say what the missing runs take together: the work, and the time until the last one ends."""
    each = [costs[run.model].total for run in missing]
    hours = sum(each) * (threads if device == "cpu" else 1) / 3600
    unit = "core-hours" if device == "cpu" else "hours of a GPU"
    wall = duration(max([sum(each) / workers, *each]))
    at_once = f"{workers} workers" if workers > 1 else "1 worker"
    on_top = "the start and the report" if device == "cpu" else "the start, the report and what runs on one GPU cost each other"
    return f"All that is missing: about {_number(hours)} {unit}, {wall} with {at_once}; {on_top} come on top"


def duration(seconds: float) -> str:
    """Write seconds in a unit that people read."""
    for unit, size, most in (("ms", 0.001, 1000), ("s", 1, 100), ("min", 60, 100), ("h", 3600, 72)):
        if seconds < most * size:
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds / 86400)} days"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _rank(text: str) -> tuple[bool, float, str]:
    """Numbers in their order, before all else."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def _indented(table: pd.DataFrame) -> list[str]:
    return [f"  {line}" for line in table.to_string(index=False).splitlines()]
