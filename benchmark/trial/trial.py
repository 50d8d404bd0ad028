"""Make an attempt at a run, from its run.json to its status.json: train, evaluate, write. Runs in a worker process."""

from __future__ import annotations

import os
import pickle
import resource
import socket
import sys
import time
import traceback
from collections.abc import Mapping
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
from benchmark.model.gan_module import GANModule
from benchmark.model.train import CHUNK, CheckpointKeeper, Stopped, Watcher, train
from benchmark.records.rows import make_rows
from benchmark.records.run_folder import CHECKPOINT, RunFolder
from benchmark.records.tensorboard import open_records
from benchmark.studies.run import Run
from benchmark.trial.attempt import Attempt
from benchmark.trial.callbacks import InTrainingCritic, Recorder, in_training_companion
from benchmark.trial.load import build_model, restore
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
        Its status, which is also in status.json: "done", "diverged" or "failed"; or "stopped", with none.

    Raises:
        OSError: if the disk is full.
    """
    start = time.monotonic()
    run, run_folder = Run.from_json(read_json(folder / "run.json")), RunFolder(folder)
    torch.set_num_threads(run.settings.threads)
    before = run_folder.status()
    seconds: dict[str, float] = dict(before.get("seconds", {}))
    try:
        status = _attempt(run, run_folder, before, seconds, device, watcher, tensorboard)
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
    cost = {
        "seconds": {activity: round(value, 2) for activity, value in seconds.items()},
        "attempts": len(run_folder.attempts()),
        "peak_memory_mib": peak_memory(),
        "last_attempt_seconds": round(time.monotonic() - start, 2),
    }
    write_json(folder / "status.json", {**status, **cost})
    return str(status["status"])


def _attempt(
    run: Run,
    run_folder: RunFolder,
    before: Mapping[str, Any],
    seconds: dict[str, float],
    device: str,
    watcher: Watcher,
    tensorboard: bool,
) -> dict[str, Any]:
    """Do what a run lacks, and add up the seconds; what its status.json is to say."""
    iteration = run.settings.iterations if before else saved_iteration(run_folder.path)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run_folder.begin(iteration, at=now, device=device, host=socket.gethostname(), process=os.getpid())
    dataset = open_dataset(run.dataset, run.fingerprint)
    do = _more_measurements if before else _reference_trial if run.is_reference else _model_trial
    with open_records(run_folder.path, iteration, tensorboard) as records:
        attempt = Attempt(run_folder.path, run, dataset, torch.device(device), watcher, records, seconds)
        do(attempt)
        return {
            "status": "done",
            "execution": attempt.execution or before.get("execution"),
            "measured": None if attempt.lacking(run.settings.iterations) else protocols_id(attempt.scope),
            "critic": _final_critic(attempt),
        }


def saved_iteration(folder: Path) -> int:
    """Read the iteration at which a run was saved last; 0 if it never was.

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


def peak_memory() -> int:
    """Ask for the most memory that this process has had, in MiB; what is mapped of the data set's cache counts."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def _final_critic(attempt: Attempt) -> float | None:
    """Find the latest score, for views that show the best run so far without reading all records."""
    rows = [row for row in attempt.records.read() if row.metric == "critic" and row.iteration == attempt.run.settings.iterations]
    return rows[-1].value if rows else None


def _model_trial(attempt: Attempt) -> None:
    """Train a model and measure it, before its first iteration and after its last."""
    module = build_model(attempt.run).to(attempt.device)
    with attempt.timed("evaluation"):
        if not attempt.checkpoint.exists():
            attempt.records.rewind(0)
            measurements = measurements_of(attempt.scope.evaluation)
            attempt.record(_subject(attempt, module), 0, [measurement for measurement in measurements if measurement.at_start])
    companion = _train(attempt, module)
    with attempt.timed("evaluation"):
        subject = _subject(attempt, module)
        _record_in_training(attempt, companion, subject)
        attempt.record(subject, module.iteration)
        pictures.save_samples(subject.sampler, attempt.folder / "samples.png", attempt.device)
        if subject.autoencoder is not None:
            pictures.save_reconstructions(
                subject.autoencoder, attempt.dataset["test"], attempt.folder / "reconstructions.png", attempt.device
            )


def _train(attempt: Attempt, module: GANModule) -> CompanionCritic:
    """Train a model to the run's number of iterations, from its checkpoint if it has one; the critic that trained beside it."""
    settings, critic = attempt.run.settings, InTrainingCritic(attempt)
    keeper = CheckpointKeeper(attempt.checkpoint, settings.iterations, attempt.watcher)
    checkpoint = attempt.checkpoint if attempt.checkpoint.exists() else None
    callbacks = [Recorder(attempt), critic, keeper]
    try:
        with attempt.timed("training"):
            train(module, attempt.dataset["train"], settings.iterations, settings.batch_size, callbacks, checkpoint)
    finally:
        attempt.seconds["training"] -= attempt.seconds["critic_in_training"]
    attempt.execution = module.execution
    return critic.companion


def _subject(attempt: Attempt, module: GANModule) -> Subject:
    return replace(subject_of(module, attempt.scope, attempt.device), folder=attempt.folder)


def _reference_trial(attempt: Attempt) -> None:
    """Measure a sanity row as a model is measured, with the same budgets."""
    iterations = attempt.run.settings.iterations
    attempt.records.rewind(0)
    subject = replace(reference_subject(attempt.run.model, attempt.scope, attempt.device), folder=attempt.folder)
    with attempt.timed("evaluation"):
        companion = in_training_companion(attempt)
        for step in range(0, companion.critic.budget, CHUNK):
            companion.advance(subject.sampler, min(CHUNK, companion.critic.budget - step))
            attempt.watcher.advanced(step)
            if attempt.watcher.stopping():
                raise Stopped
        _record_in_training(attempt, companion, subject)
        attempt.record(subject, iterations)
        pictures.save_samples(subject.sampler, attempt.folder / "samples.png", attempt.device)


def _more_measurements(attempt: Attempt) -> None:
    """Take the measurements that a finished run lacks, from its kept weights."""
    run, iterations = attempt.run, attempt.run.settings.iterations
    if run.is_reference:
        subject = replace(reference_subject(run.model, attempt.scope, attempt.device), folder=attempt.folder)
    else:
        subject = _subject(attempt, restore(attempt.folder)[1].to(attempt.device))
    with attempt.timed("evaluation"):
        attempt.record(subject, iterations)
    attempt.watcher.advanced(iterations)


def _record_in_training(attempt: Attempt, companion: CompanionCritic, subject: Subject) -> None:
    """Record what the critic beside a training says at its end."""
    metrics, values, reason = ("critic_in_training", "critic_in_training_gap"), list[Value](), ""
    try:
        values = companion.values(subject.sampler, metrics[0])
    except CriticNotReady as error:
        reason = str(error)
    iteration = attempt.run.settings.iterations
    attempt.append_missing(make_rows(iteration, values, companion.protocol, metrics, "unavailable", reason))
