"""Take over what other studies have done: a finished run is copied, a shorter one is continued. Nothing is computed twice."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import move_into_place, read_json, write_atomically, write_json
from benchmark.records.run_folder import CHECKPOINT, FINISHED, RunFolder
from benchmark.studies.run import Run

LEFT_BEHIND = (".lock", "run.json", "status.json", "progress", "attempts.jsonl", "output.txt")
"""What is not copied: written anew, or about attempts that were made there."""


def take_over(runs: Sequence[Run], study: str, results: Path) -> Counter[str]:
    """Copy those of missing runs that some study has finished, and prepare those to go on that one has of fewer iterations.

    Args:
        runs: of `study`, without a status that stays.
        study: the name of the study that they are for.
        results: folder of all studies, which are read.

    Returns:
        How many were `copied` whole, and how many are `continued` from a run of fewer iterations.
    """
    missing = [run for run in runs if not (results / study / "runs" / run.id / "run.json").exists()]
    finished = _finished(results) if missing else {}
    shorter = _by_lineage([place for run_id, place in finished.items() if run_id not in {run.id for run in missing}])
    taken: Counter[str] = Counter()
    for run in missing:
        target = RunFolder(results / study / "runs" / run.id)
        source = finished.get(run.id) or _longest(shorter.get(run.lineage, {}), run)
        if source is None:
            continue
        with target.claimed() as is_claimed:
            if is_claimed and not (target.path / "run.json").exists():
                _copy(source, target, run, study)
                taken["copied" if source.path.name == run.id else "continued"] += 1
    return taken


def _finished(results: Path) -> dict[str, RunFolder]:
    """The runs of all studies that need no more training, by their ids."""
    folders: dict[str, RunFolder] = {}
    for path in sorted(results.glob("*/runs/*/status.json")):
        with suppress(UserError, OSError):  # a folder that cannot be read is no source
            if path.parent.name not in folders and RunFolder(path.parent).status().get("status") in FINISHED:
                folders[path.parent.name] = RunFolder(path.parent)
    return folders


def _by_lineage(places: Iterable[RunFolder]) -> dict[str, dict[int, RunFolder]]:
    """Runs that have weights to go on with, by lineage and number of iterations."""
    lineages: dict[str, dict[int, RunFolder]] = {}
    for place in places:
        if (place.path / CHECKPOINT).exists() and place.status()["status"] == "done":
            with suppress(UserError):  # a run of another version of the benchmark
                run = Run.from_json(read_json(place.path / "run.json"))
                lineages.setdefault(run.lineage, {})[run.settings.iterations] = place
    return lineages


def _longest(places: Mapping[int, RunFolder], run: Run) -> RunFolder | None:
    """The one that leaves least to do; its weights are those that the run itself would have had on its way."""
    return max(((n, place) for n, place in places.items() if n < run.settings.iterations), key=itemgetter(0), default=(0, None))[
        1
    ]


def _copy(source: RunFolder, target: RunFolder, run: Run, study: str) -> None:
    """Fill a run's folder from that of another study; run.json, and at last status.json, say that it is there."""
    whole = source.path.name == run.id
    status = source.status_text()  # what it says was measured is in the records that are read after it
    names = sorted(path.name for path in source.path.iterdir() if path.is_file() and path.name not in LEFT_BEHIND)
    names = sorted(names if whole else [CHECKPOINT, "records.jsonl"], key=lambda name: name == CHECKPOINT)
    for name in names:  # the checkpoint at last: with more rows than it knows a run can go on, with fewer it cannot
        shutil.copyfile(source.path / name, target.path / f"{name}.part")
        move_into_place(target.path / f"{name}.part", target.path / name)
    before = read_json(source.path / "run.json")
    origin = {"study": source.path.parent.parent.name, "run": source.path.name, "iterations": before["settings"]["iterations"]}
    write_json(target.path / "run.json", {**before, "run": run.id, "study": study, **asdict(run), "from": origin})
    if whole:
        write_atomically(target.path / "status.json", status)
