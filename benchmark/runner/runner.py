"""Find which runs of a study are missing, take over what other studies have, and let an engine do the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import filelock

from benchmark.data.datasets import Dataset, open_dataset
from benchmark.engines.engine import Engine, Job
from benchmark.errors import UserError, is_disk_full
from benchmark.evaluation.evaluate import lacking, protocols_id
from benchmark.evaluation.study_metrics import described
from benchmark.files import read_json, remove_unfinished, write_json
from benchmark.records.rows import RecordFile
from benchmark.records.run_folder import FINISHED, RunFolder, as_status, environment
from benchmark.runner.live import LiveView
from benchmark.runner.reuse import take_over
from benchmark.runner.scheduler import Limits, Scheduler
from benchmark.settings import EXTENT, Evaluation
from benchmark.studies.run import Run
from benchmark.studies.study import Study
from benchmark.trial.attempt import scope_of

SHOWN = 5
"""Reasons that are said at the end; `status` has all."""


@dataclass(frozen=True)
class Options:
    """How work is done, beside what is done."""

    device: str = "cpu"
    limits: Limits = field(default_factory=Limits)
    tensorboard: bool = False


@dataclass
class Outcome:
    """What became of a study's runs."""

    counts: Counter[str]
    """How many are `done`, `diverged`, `failed` and `missing` now."""
    finished_before: int
    """Of these, how many were finished and measured before."""
    copied: int
    """How many were taken over from other studies."""
    continued: int
    """How many go on from a shorter run of another study, or of this one."""
    unmeasured: int
    """How many finished runs still lack a measurement, because taking it failed."""
    left_over: int = 0
    """How many runs of earlier commands are in the folder and no part of the study as it is now."""
    complete: bool = True
    """Whether everything was done; False when it was stopped."""
    reasons: Sequence[str] = ()
    """Why runs failed, or could not be measured, each with the run's name."""
    slow: Mapping[str, int] = field(default_factory=dict)
    """How many runs were trained eagerly where a graph could have been had, by the reason."""

    @property
    def worked(self) -> bool:
        """Whether anything is new since the command before."""
        return self.finished_before < self.counts.total() or self.copied > 0

    def lines(self) -> Iterator[str]:
        """Say the same in lines for a person."""
        if not self.worked:
            yield "Nothing to do: all runs are finished, and have all that can be had of this data set by these protocols."
        if self.copied:
            yield f"{self.copied} runs were taken over from other studies, which had done them"
        if self.continued:
            yield f"{self.continued} runs went on from finished runs of fewer iterations"
        if self.left_over:
            yield f"{self.left_over} runs of earlier commands stay in the folder; they are no part of the study as it is now"
        yield ", ".join(f"{self.counts[status]} {status}" for status in ("done", "diverged", "failed"))
        if self.counts["missing"]:
            yield f"{self.counts['missing']} to do"
        yield from self.reasons[:SHOWN]
        for reason, runs in self.slow.items():
            yield f"{runs} runs were trained without a graph, which takes longer: {reason}"
        if self.unmeasured:
            yield f"{self.unmeasured} of the done runs lack a measurement that failed"


def run_study(study: Study, results: Path, engine: Engine, options: Options) -> Outcome:
    """Do what is missing of a study: train runs, and measure finished ones by the study's present protocols.

    Several processes may do so at once: they share the work.

    Raises:
        UserError: if the folder cannot be written, is full, or holds another study of this name.
    """
    folder = results / study.name
    with _saving(folder):
        left_over = _save(study, folder)
    dataset = open_dataset(study.dataset, study.fingerprint)
    states = _read_states(study.runs, folder)
    missing = [state.run for state in states if state.status not in FINISHED]
    taken = take_over(missing, study.name, results)
    outcome = _do(_read_states(study.runs, folder) if taken else states, study.name, dataset, engine, options)
    outcome.copied, outcome.continued, outcome.left_over = taken["copied"], taken["continued"], left_over
    return outcome


def unfinished(runs: Iterable[Run], folder: Path) -> Iterator[Run]:
    """Find those of a study's runs that are not finished in its folder, one by one as they are asked for."""
    return (run for run in runs if RunFolder(folder / "runs" / run.id).status().get("status") not in FINISHED)


def untrained(study: Study, folder: Path) -> Iterator[Run]:
    """Find the runs of a study's models that are not finished."""
    return unfinished((run for run in study.runs if not run.is_reference), folder)


def evaluate_study(folder: Path, evaluation: Evaluation, engine: Engine, options: Options) -> Outcome:
    """Take the measurements that finished runs lack, from their kept weights; nothing is trained.

    Args:
        folder: results/<study>.
        evaluation: how the study is measured from now on.
        engine: where.
        options: how.

    Raises:
        UserError: if there is no such study.
    """
    content = read_json(folder / "study.json")
    paths = [folder / "runs" / name / "run.json" for name in content["runs"]]
    runs = [Run.from_json(read_json(path), path) for path in paths if path.exists()]
    runs = [replace(run, settings=replace(run.settings, evaluation=evaluation)) for run in runs]
    done = [state for state in _read_states(runs, folder) if state.status == "done"]
    dataset = open_dataset(content["dataset"], content["fingerprint"])
    with _saving(folder):
        content["settings"]["evaluation"] = asdict(evaluation)
        content = _with_metrics(content, evaluation)
        if content != read_json(folder / "study.json"):
            write_json(folder / "study.json", content)
    return _do(done, content["study"], dataset, engine, options)


@dataclass(frozen=True)
class _State:
    """A run as its folder shows it; read once, for a study may have many thousands."""

    run: Run
    folder: RunFolder
    text: str
    """Of status.json."""
    facts: Mapping[str, Any]
    """The same, parsed."""

    @property
    def status(self) -> str:
        return str(self.facts.get("status", "missing"))


def _read_states(runs: Iterable[Run], study_folder: Path) -> list[_State]:
    folders = [(run, RunFolder(study_folder / "runs" / run.id)) for run in runs]
    return [_State(run, folder, text, as_status(text, folder.path)) for run, folder in folders for text in [folder.status_text()]]


def _do(states: Sequence[_State], study: str, dataset: Dataset, engine: Engine, options: Options) -> Outcome:
    """Let the engine do what runs lack: finished ones that are to be measured again first, then those to be trained."""
    today = Today(dataset, options.device)
    unmeasured = [state for state in states if today.lacks(state.run, state.facts, state.folder)]
    untrained = [state for state in states if state.status not in FINISHED]
    jobs = [
        Job(state.run, state.folder.path, state.text, options.device, options.tensorboard, study)
        for state in (*unmeasured, *untrained)
    ]
    planned = {job.run.id for job in jobs}
    finished = [state for state in states if state.run.id not in planned]
    complete = True
    if jobs:
        ended = {state.run.id: state.status for state in finished}
        with LiveView([state.run for state in states], ended, engine.places) as view, engine:
            for state in finished:
                view.ended(state.run, state.status, state.facts.get("critic"))
            complete = Scheduler(engine, view, options.limits).work(jobs)
    after = _read_states([job.run for job in jobs], jobs[0].folder.parent.parent) if jobs else []
    return _outcome(finished, after, today, complete)


def _outcome(before: Sequence[_State], after: Sequence[_State], today: Today, complete: bool) -> Outcome:
    """Count what became of runs.

    Args:
        before: runs that needed no work.
        after: those that were worked on, as they are now.
        today: tells which of these still lack a measurement.
        complete: whether all work was done; False when it was stopped.
    """
    return Outcome(
        counts=Counter(state.status for state in (*before, *after)),
        finished_before=len(before),
        copied=0,
        continued=0,
        unmeasured=sum(today.lacks(state.run, state.facts, state.folder) for state in after),
        complete=complete,
        reasons=[f"  {state.run.id}: {state.status}: {state.facts['reason']}" for state in after if "reason" in state.facts],
        slow=Counter(reason for state in after if (reason := str(state.facts.get("execution")).partition(": ")[2])),
    )


class Today:
    """By which protocols runs are measured today, and which finished ones lack something by them."""

    def __init__(self, dataset: Dataset, device: str) -> None:
        self.dataset, self.device = dataset, device
        self._hashes: dict[tuple[str, str], str] = {}

    def lacks(self, run: Run, status: Mapping[str, Any], folder: RunFolder) -> bool:
        """Tell whether a run that is done lacks a measurement."""
        if status.get("status") != "done":
            return False
        try:
            if status.get("measured") == self.protocols_id(run) and (folder.path / "records.jsonl").exists():
                return False
            scope = scope_of(run, self.dataset, self.device)
        except UserError:  # its model cannot be imported: its worker will say so, and the others are measured
            return True
        return bool(lacking(RecordFile(folder.path / "records.jsonl").read(), scope, run.settings.iterations))

    def protocols_id(self, run: Run) -> str:
        """Return the hash that a finished run notes that lacks nothing today."""
        key = (run.path, run.model)  # runs of one study differ in nothing else that protocols know
        if key not in self._hashes:
            self._hashes[key] = protocols_id(scope_of(run, self.dataset, self.device))
        return self._hashes[key]


@contextmanager
def _saving(folder: Path) -> Iterator[None]:
    """Hold study.json against other processes for a moment."""
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock"):
            remove_unfinished(folder)
            yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; RESULTS names a folder that can be written"
        ) from None


def _save(study: Study, folder: Path) -> int:
    """Write study.json; returns how many runs of an earlier study.json are no part of this study."""
    path = folder / "study.json"
    old = read_json(path) if path.exists() else {}
    content = _with_metrics({**study.as_json(), "metrics": old.get("metrics", {})}, study.settings.evaluation)
    difference = next(_differences(old, content), None) if old else None
    if difference:
        raise UserError(f"{folder} holds another study of this name ({difference}); name this one with STUDY=…")
    if {key: old.get(key) for key in content} != content:
        write_json(path, {**content, "environment": environment()})
    return len(set(old.get("runs", {})) - set(content["runs"]))


def _with_metrics(content: Mapping[str, Any], evaluation: Evaluation) -> dict[str, Any]:
    """Add to a study.json how its user's metrics are read, those of before too, whose values stay in the records.

    The content is as it will be read, where tuples are lists.
    """
    metrics = {**content.get("metrics", {}), **described(evaluation)}
    others = {key: value for key, value in content.items() if key != "metrics"}
    return dict(json.loads(json.dumps(others | ({"metrics": metrics} if metrics else {}))))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What makes two studies different ones, and not one with more runs or iterations, with newer code or measured otherwise."""
    for key in ("dataset", "fingerprint", "preset"):
        if old.get(key) != new[key]:
            yield f"{key} is {old.get(key)!r} there, {new[key]!r} here"
    before = old.get("settings", {})
    for key, value in new["settings"].items():
        longer = key == "iterations" and isinstance(before.get(key), int) and before[key] < value
        if key not in (*EXTENT, "evaluation") and before.get(key) != value and not longer:
            yield f"{key} is {before.get(key)!r} there, {value!r} here"
    if set(old.get("models", {})) != set(new["models"]):
        yield f"its models are {', '.join(old.get('models', {}))}"
