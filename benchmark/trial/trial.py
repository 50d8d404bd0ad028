"""One attempt at a run, from its run.json to its status.json: train, evaluate, write. Runs in a worker process."""

from __future__ import annotations

import os
import pickle
import resource
import socket
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmark.data.datasets import open_dataset
from benchmark.errors import Diverged, UserError, is_disk_full
from benchmark.evaluation import pictures
from benchmark.evaluation.critics import CompanionCritic
from benchmark.evaluation.evaluate import protocols_id, reference_subject, subject_of
from benchmark.evaluation.measurements import Subject
from benchmark.evaluation.study_metrics import measurements_of
from benchmark.files import read_json, write_atomically, write_json
from benchmark.model.build import build
from benchmark.model.train import CHUNK, CheckpointKeeper, Stopped, Watcher, train
from benchmark.records.rows import make_rows
from benchmark.records.run_folder import CHECKPOINT, RunFolder
from benchmark.records.tensorboard import open_records
from benchmark.studies.run import Run
from benchmark.trial.attempt import Attempt, _lacking, _timed
from benchmark.trial.callbacks import InTrainingCritic, Recorder, in_training_companion
from benchmark.trial.trained import restore
from metrics.critic import CriticNotReady
from metrics.values import Value


def run_trial(folder: Path, device: str, watcher: Watcher, tensorboard: bool = False) -> str:
    """Make an attempt at a run: from its beginning, or from where the last attempt saved it.

    An exception is a result: `failed`, with error.txt. A run that is done already gets the measurements that it lacks, and stays
    done. A disk without room is no result: the run is as it was, for when there is room.

    Args:
        folder: where its run.json is, and where everything about it goes.
        device: "cpu" or "cuda".
        watcher: who follows it.
        tensorboard: whether to write each row also for TensorBoard.

    Returns:
        Its status, which is also in status.json; or "stopped", with none.

    Raises:
        OSError: if the disk is full.
    """
    run = Run.from_json(read_json(folder / "run.json"))
    torch.set_num_threads(run.settings.threads)
    ledger = RunFolder(folder)
    before = ledger.status()
    seconds: dict[str, float] = dict(before.get("seconds", {}))
    status: dict[str, Any] = {"status": "done"}
    start = time.monotonic()
    try:
        iteration = run.settings.iterations if before else saved_iteration(folder)
        ledger.begin(iteration, at=_now(), device=device, host=socket.gethostname(), process=os.getpid())
        dataset = open_dataset(run.dataset, run.fingerprint)
        do = _more_measurements if before else _reference_trial if run.is_reference else _model_trial
        with open_records(folder, iteration, tensorboard) as records:
            attempt = Attempt(folder, run, dataset, torch.device(device), watcher, records, seconds)
            do(attempt)
            status["execution"] = attempt.execution or before.get("execution")
            status["measured"] = protocols_id(attempt.scope) if not _lacking(attempt) else None
            status["critic"] = _final_critic(attempt)
    except Stopped:
        return "stopped"
    except BrokenPipeError:
        raise  # whoever waits for the result is gone: the run is neither done nor failed
    except Diverged as reason:
        status = {"status": "diverged", "reason": str(reason)}
    except (Exception, SystemExit) as error:
        if is_disk_full(error):
            raise
        write_atomically(folder / "error.txt", traceback.format_exc())
        status = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    if before and status["status"] != "done":  # its training is as good as before
        status = {"status": "done", "reason": f"measuring it again: {status['reason']}"}
    facts = {
        "attempts": len(ledger.attempts()),
        "peak_memory_mib": peak_memory(),
        "last_attempt_seconds": round(time.monotonic() - start, 2),
    }
    write_json(ledger.path / "status.json", {**status, "seconds": {k: round(v, 2) for k, v in seconds.items()}, **facts})
    return str(status["status"])


def saved_iteration(folder: Path) -> int:
    """The iteration at which a run was saved last; 0 if it never was.

    Raises:
        UserError: if what was saved cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["gan_module"]["iteration"])
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}): remove it, and the run starts anew") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def peak_memory() -> int:
    """Of this process, in MiB; what is mapped of the data set's cache counts."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def _final_critic(attempt: Attempt) -> float | None:
    """The latest score, for views that show the best run so far without reading all records."""
    rows = [row for row in attempt.records.read() if row.metric == "critic" and row.iteration == attempt.run.settings.iterations]
    return rows[-1].value if rows else None


def _model_trial(attempt: Attempt) -> None:
    run, records, scope, folder = attempt.run, attempt.records, attempt.scope, attempt.folder
    module = build(run).to(attempt.device)
    with _timed(attempt.seconds, "evaluation"):
        if not attempt.checkpoint.exists():
            records.rewind(0)
            subject = replace(subject_of(module, scope, attempt.device), folder=folder)
            attempt.record(subject, 0, [measurement for measurement in measurements_of(scope.how) if measurement.at_start])
    critic = InTrainingCritic(attempt)
    keeper = CheckpointKeeper(attempt.checkpoint, run.settings.iterations, attempt.watcher)
    try:
        with _timed(attempt.seconds, "training"):
            start = attempt.checkpoint if attempt.checkpoint.exists() else None
            train(module, attempt.dataset["train"], run, [Recorder(attempt), critic, keeper], attempt.device, start)
    finally:
        attempt.seconds["training"] -= attempt.seconds["critic_in_training"]
    attempt.execution = module.execution
    with _timed(attempt.seconds, "evaluation"):
        subject = replace(subject_of(module, scope, attempt.device), folder=folder)
        _record_in_training(attempt, critic.companion, subject)
        attempt.record(subject, module.iteration, measurements_of(scope.how))
        pictures.save_samples(subject.sampler, folder / "samples.png", attempt.device)
        if subject.autoencoder is not None:
            pictures.save_reconstructions(
                subject.autoencoder, attempt.dataset["test"], folder / "reconstructions.png", attempt.device
            )


def _reference_trial(attempt: Attempt) -> None:
    """Measure a sanity row as a model is measured, with the same budgets."""
    iterations = attempt.run.settings.iterations
    attempt.records.rewind(0)
    subject = replace(reference_subject(attempt.run.model, attempt.scope, attempt.device), folder=attempt.folder)
    with _timed(attempt.seconds, "evaluation"):
        companion = in_training_companion(attempt)
        for step in range(0, companion.critic.budget, CHUNK):
            companion.advance(subject.sampler, min(CHUNK, companion.critic.budget - step))
            attempt.watcher.advanced(step)
            if attempt.watcher.stopping():
                raise Stopped
        _record_in_training(attempt, companion, subject)
        attempt.record(subject, iterations, measurements_of(attempt.scope.how))
        pictures.save_samples(subject.sampler, attempt.folder / "samples.png", attempt.device)


def _more_measurements(attempt: Attempt) -> None:
    """Take the measurements that a finished run lacks, from its kept weights."""
    run, scope = attempt.run, attempt.scope
    if run.is_reference:
        subject = reference_subject(run.model, scope, attempt.device)
    else:
        subject = subject_of(restore(attempt.folder)[1].to(attempt.device), scope, attempt.device)
    with _timed(attempt.seconds, "evaluation"):
        attempt.record(replace(subject, folder=attempt.folder), run.settings.iterations, _lacking(attempt))
    attempt.watcher.advanced(run.settings.iterations)


def _record_in_training(attempt: Attempt, companion: CompanionCritic, subject: Subject) -> None:
    """What the critic beside a training says at its end."""
    metrics, values, reason = ("critic_in_training", "critic_in_training_gap"), list[Value](), ""
    try:
        values = companion.values(subject.sampler, metrics[0])
    except CriticNotReady as error:
        reason = str(error)
    iteration = attempt.run.settings.iterations
    attempt.append_missing(make_rows(iteration, values, companion.protocol, metrics, "unavailable", reason))
