"""Where studies lie, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, unknown
from benchmark.records import read_json


def read_study(folder: Path) -> dict[str, Any]:
    """The content of study.json.

    Raises:
        UserError: if it is missing, no JSON, or not a study's.
    """
    study = read_json(folder / "study.json")
    needed = ("study", "dataset", "fingerprint", "preset", "settings", "runs", "benchmark", "environment")
    damaged = f"{folder / 'study.json'} is no study of this version of the benchmark"
    if not isinstance(study, dict):
        raise UserError(f"{damaged}: it is no table")
    missing = [key for key in needed if key not in study]
    if missing:
        raise UserError(f"{damaged}: it lacks {missing[0]!r}")
    for key, words in (("settings", ("iterations", "batch_size", "width")), ("runs", ()), ("environment", ())):
        if not isinstance(study[key], dict):
            raise UserError(f"{damaged}: its {key!r} is no table")
        if lacking := [word for word in words if not isinstance(study[key].get(word), int | float)]:
            raise UserError(f"{damaged}: its {key!r} lacks the number {lacking[0]!r}")
    for run, planned in study["runs"].items():
        if not isinstance(planned, dict) or not {"model", "seed", "hyperparameters"} <= set(planned):
            raise UserError(f"{damaged}: its run {run!r} lacks its model, seed or hyperparameters")
    return study


LONGEST = 200
"""Characters of a folder's name, at most."""


def report_folder(results: Path, folders: Sequence[Path]) -> Path:
    """Where the report of studies goes: into the study's folder, that of several into one that is named by them.

    Raises:
        UserError: if their names are too long for that.
    """
    if len(folders) == 1:
        return folders[0] / "report"
    name = "+".join(folder.resolve().name for folder in folders)
    if len(name) > LONGEST:
        raise UserError(f"the names of {len(folders)} studies are too long for a folder's name: name one with --output")
    return results / name / "report"


def study_folders(results: Path, names: Sequence[str]) -> list[Path]:
    """The folders of studies given by name or by path; all of them if none is given.

    Raises:
        UserError: for a study that is not there.
    """
    found = sorted(path.parent for path in results.glob("*/study.json"))
    if not names:
        if not found:
            raise UserError(f"there is no study in {results} yet: `make bench` makes one")
        return found
    folders = []
    for name in names:
        candidates = [path for path in (results / name, Path(name)) if (path / "study.json").exists()]
        if not candidates:
            raise unknown("study", name, [path.name for path in found] or [f"none in {results} yet"])
        folders.append(candidates[0])
    return list(dict.fromkeys(folders))
