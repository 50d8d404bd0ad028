"""Studies that nobody trained: folders as the runner leaves them, with the numbers that a test wants."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.files import write_json
from benchmark.records.rows import Missing, RecordFile, Row
from benchmark.report.contents import CONTENTS
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.tables import read_tables
from benchmark.report.page.content import Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection
from benchmark.report.write import make_report

PROTOCOL = {"steps": 100}
AGAIN = {**PROTOCOL, "evaluation": "second"}
REFERENCES = ("real", "noise")


@dataclass(frozen=True)
class PretendedRun:
    """A run of a study; one that is missing has no rows, one that is running no status."""

    model: str
    status: str = "done"
    rows: Sequence[Row] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    reason: str = "because"
    name: str = ""
    """Of its folder; by default "run-" and its number."""


def at_end(
    metric: str, value: float | None, protocol: Mapping[str, Any] = PROTOCOL, iteration: int = 10, half: float = 0.0
) -> Row:
    """A row at the end of a training, with an interval of this half width if there is one."""
    ends = (None, None) if value is None or not half else (value - half, value + half)
    return Row(iteration, metric, value, *ends, 5, dict(protocol))


def without_value(metric: str, missing: Missing, reason: str, protocol: Mapping[str, Any] = PROTOCOL) -> Row:
    """A row at the end of a training that says why it has no value."""
    return replace(at_end(metric, None, protocol), missing=missing, reason=reason)


def write_runs(folder: Path, runs: Iterable[PretendedRun], iterations: int = 10, **facts: Any) -> Path:
    """A study's folder; facts replace those of study.json, and settings those of its settings."""
    folder.mkdir(parents=True)
    settings = {"iterations": iterations, "batch_size": 64, "width": 0.25, **facts.pop("settings", {})}
    study = {
        "study": folder.name,
        "dataset": "colormnist-mini",
        "fingerprint": "f" * 64,
        "preset": "quick",
        "settings": settings,
        "benchmark": "0",
        "environment": {"torch": "2", "machine": "x", "instruction_set": "y"},
        "runs": {},
        **facts,
    }
    for number, run in enumerate(runs):
        name = run.name or f"run-{number}"
        study["runs"][name] = {"model": run.model, "seed": run.seed, "hyperparameters": dict(run.hyperparameters)}
        if run.status == "missing":
            continue
        place = folder / "runs" / name
        place.mkdir(parents=True)
        if run.status != "running":
            reason = {} if run.status == "done" else {"reason": run.reason}
            write_json(place / "status.json", {"status": run.status, **reason, "seconds": {"training": 1.0}})
        RecordFile(place / "records.jsonl").append(run.rows)
    write_json(folder / "study.json", study)
    return folder


def write_study(
    folder: Path,
    runs: Iterable[tuple[str, str, float | None]],
    iterations: int = 10,
    further: Callable[[int], list[Row]] | None = None,
    **facts: Any,
) -> Path:
    """A study's folder; runs: (model, status, value at the end of `critic`); further rows of every run that is done."""
    made = []
    for number, (model, status, value) in enumerate(runs):
        rows = [Row(0, "critic", -9.0, n=5, protocol=PROTOCOL)] if model not in REFERENCES else []
        if value is not None:
            rows.append(at_end("critic", value, iteration=iterations, half=0.1))
        if status == "done" and further:
            rows += further(number)
        made.append(PretendedRun(model, status, rows, {"learning_rate": 1e-3, "note": "<b>"}))
    return write_runs(folder, made, iterations, **facts)


def report_of(*folders: Path) -> Path:
    """The folder of a report of studies, beside the runs of the first."""
    return make_report(list(folders), folders[0] / "report").parent


def results_of(*folders: Path) -> Results:
    """What a report of studies is made from."""
    return Results.of(read_tables(folders))


def summary_of(*folders: Path) -> pd.DataFrame:
    """The summary of studies, by model, as it is read from summary.csv; without the rest of a report, which takes seconds."""
    return pd.read_csv(io.StringIO(results_of(*folders).summary.to_csv(index=False))).set_index("model")


def tables_of(results: Results) -> dict[str, pd.DataFrame]:
    """The tables of all sections that have a CSV file, by its name."""
    return {section.file: section().table(results) for section in CONTENTS if section.file}


def shown(section: type[ReportSection], results: Results, folder: Path) -> list[Section]:
    """What a section says on the page; its figures go to a folder."""
    maker = section()
    return list(maker.show(results, maker.table(results), FigureFolder(folder)))


def write_grid(path: Path, seed: int, rows: int = 2, size: int = 4) -> None:
    """Images of random colours, as runs lay them out: ten in a row, white between them."""
    colours = np.random.default_rng(seed).integers(0, 256, (rows, 10, 1, 1, 3), dtype=np.uint8)
    picture = np.full((rows, 10, size + 2, size + 2, 3), 255, np.uint8)
    picture[:, :, 2:, 2:] = colours
    picture = picture.swapaxes(1, 2).reshape(rows * (size + 2), 10 * (size + 2), 3)
    buffer = io.BytesIO()
    Image.fromarray(np.pad(picture, ((0, 2), (0, 2), (0, 0)), constant_values=255)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())


def write_codes(path: Path, mean: Sequence[float], variances: Sequence[float]) -> None:
    """The moments of codes, as runs of autoencoding models leave them."""
    np.savez_compressed(path, mean=np.array(mean, float), covariance=np.diag(np.array(variances, float)))


def page_data(page: str) -> dict[str, Any]:
    """What the page's script shows."""
    return json.loads(page.split('<script type="application/json" id="report-data">')[1].split("</script>")[0])
