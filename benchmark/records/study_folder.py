"""Find studies' folders, and read what study.json says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, unknown
from benchmark.files import read_json
from metrics.catalogue import METRICS, MetricInfo

RUN_NAME = r"[^./\\\0][^/\\\0]*"


NUMBERS = ("iterations", "batch_size", "width")
"""Settings that a report cannot do without."""


def read_study(folder: Path) -> dict[str, Any]:
    """Read study.json.

    Raises:
        UserError: if it is missing, no JSON, or not a study's.
    """
    study = read_json(folder / "study.json")
    for problem in _problems(study):
        raise UserError(f"{folder / 'study.json'} is no study of this version of the benchmark: {problem}")
    return dict(study)


def study_metrics(study: Mapping[str, Any]) -> dict[str, MetricInfo]:
    """List how the metrics of a study are read, by name: those of the catalogue, then those that its user brought."""
    own = study.get("metrics", {}).items()
    return METRICS | {name: MetricInfo(name, **facts) for name, facts in own if name not in METRICS}


def _metric_problem(name: str, facts: Any) -> str:
    """What is wrong with the description of a user's metric, in words; empty if nothing is."""
    if name in METRICS:  # brought by a user before this version had one of that name
        return ""
    try:
        return MetricInfo(name, **facts).problem
    except TypeError as error:
        return f"its metric {name!r} is described otherwise: {error}"


def _problems(study: Any) -> Iterator[str]:
    """What is wrong with a study.json, in words; what comes first may be why the rest cannot be looked at."""
    if not isinstance(study, dict):
        yield "it is no table"
        return
    texts, tables = ("study", "dataset", "fingerprint", "preset"), ("settings", "runs", "environment")
    yield from (f"it lacks {key!r}" for key in (*texts, *tables, "benchmark") if key not in study)
    yield from (f"its {key!r} is no table" for key in tables if not isinstance(study[key], dict))
    yield from (f"its {key!r} is no text" for key in texts if not (isinstance(study[key], str) and study[key]))
    settings = study["settings"]
    yield from (f"its 'settings' lacks the number {key!r}" for key in NUMBERS if not isinstance(settings.get(key), int | float))
    code = study.get("code", {})
    if not (isinstance(code, dict) and all(isinstance(digest, str) for digest in code.values())):
        yield "its 'code' is no table of hashes"
    metrics = study.get("metrics", {})
    if not isinstance(metrics, dict):
        yield "its 'metrics' is no table"
    yield from (problem for name, facts in metrics.items() if (problem := _metric_problem(name, facts)))
    yield from (f"its run {run!r} {problem}" for run, planned in study["runs"].items() if (problem := _problem(run, planned)))
    try:
        json.dumps(study, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        yield f"it holds half a character: {error.reason}"


def _problem(run: str, planned: Any) -> str:
    """What is wrong with a planned run, in words; empty if nothing is."""
    if not isinstance(planned, dict) or not {"model", "seed", "hyperparameters"} <= set(planned):
        return "lacks its model, seed or hyperparameters"
    if not re.fullmatch(RUN_NAME, run):
        return "has a name that is no folder's"  # a borrowed study must not read what lies outside of it
    model, seed = planned["model"], planned["seed"]
    if not (isinstance(model, str) and model and model.isprintable()):
        return "has a model that is no name"
    if isinstance(seed, bool) or not isinstance(seed, int):
        return "has a seed that is no whole number"
    return "" if isinstance(planned["hyperparameters"], dict) else "has hyperparameters that are no table"


LONGEST = 200
"""Characters of a folder's name, at most."""


def report_folder(results: Path, folders: Sequence[Path]) -> Path:
    """Choose where the report of studies goes: into the study's folder, that of several into one that is named by them.

    Raises:
        UserError: if their names are too long for that, or it would be another study's.
    """
    if len(folders) == 1:
        return folders[0] / "report"
    names = [folder.resolve().name for folder in folders]
    name = "+".join(names)
    if len(name) > LONGEST or len(set(names)) < len(names) or (results / name / "study.json").exists():
        raise UserError(f"no folder can be named by these {len(folders)} studies: name one with --output")
    return results / name / "report"


def study_folders(results: Path, names: Sequence[str]) -> list[Path]:
    """Find the folders of studies given by name or by path; all of them if none is given.

    Raises:
        UserError: for a study that is not there.
    """
    existing = sorted(path.parent for path in results.glob("*/study.json"))
    if not names:
        if not existing:
            raise UserError(f"there is no study in {results} yet: `make bench` makes one")
        return existing
    folders = []
    for name in names:
        candidates = [path for path in (results / name, Path(name)) if (path / "study.json").exists()]
        if not candidates:
            raise unknown("study", name, [path.name for path in existing] or [f"none in {results} yet"])
        folders.append(candidates[0])
    return list({folder.resolve(): folder for folder in folders}.values())
