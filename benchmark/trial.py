"""One attempt at a run, from its run.json to its status.json: train, evaluate, write. Runs in a worker process."""

from __future__ import annotations

import io
import logging
import os
import pickle
import resource
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from benchmark import pictures
from benchmark.building import build
from benchmark.captured import graphs_of
from benchmark.critics import CompanionCritic
from benchmark.datasets import Dataset, open_dataset
from benchmark.errors import Diverged, UserError, is_disk_full
from benchmark.evaluation import evaluate, lacking, measured_by, reference_subject, subject_of
from benchmark.gan_module import Chunk, GANModule
from benchmark.generators import TrainingGenerator, generator_of
from benchmark.ledger import CHECKPOINT, RunFolder
from benchmark.measurements import MEASUREMENTS, Measurement, Scope, Subject
from benchmark.models import import_model
from benchmark.records import RecordFile, Row, read_json, write_atomically, write_json
from benchmark.study import Run
from benchmark.tensorboard import open_records
from benchmark.trained import restore
from metrics.rounding import full_precision

CHUNK = 10
"""Iterations of one call of `training_step`: what Lightning costs a step is paid once for so many."""
CURVE_POINTS = 10
"""How often losses and learning curves are recorded in a run."""
CHECKPOINTS = 5
"""How often a run saves itself at least."""
CHECKPOINT_SECONDS = 300
"""After how long it does so in any case. Where it saves does not change what it computes."""


class Watcher:
    """Follows an attempt from outside: hears how far it is, and may ask it to stop."""

    def advanced(self, iteration: int) -> None:
        """The training has come so far."""

    def saved(self) -> None:
        """A checkpoint is on the disk, with the records that belong to it."""

    def stopping(self) -> bool:
        """Whether the attempt is to stop in order: at the next chunk of iterations, or after the present measurement."""
        return False


class Stopped(Exception):
    """An attempt was asked to stop; what it did is saved, and another one goes on."""


@dataclass
class Attempt:
    """What the parts of an attempt share."""

    folder: Path
    run: Run
    dataset: Dataset
    device: torch.device
    watcher: Watcher
    records: RecordFile
    seconds: dict[str, float]
    execution: str = ""
    """How iterations were executed, where it trained: captured, or eagerly and why."""

    @property
    def scope(self) -> Scope:
        return scope_of(self.run, self.dataset, self.device.type)

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def record(self, subject: Subject, iteration: int, measurements: Iterable[Measurement] = MEASUREMENTS) -> None:
        """Take measurements and write each down at once; those that an earlier attempt took are not taken again."""
        missing = lacking(self.records.read(), self.scope, iteration)
        for rows in evaluate(subject, iteration, [some for some in measurements if some in missing]):
            self.append_missing(rows)
            if self.watcher.stopping():
                raise Stopped

    def append_missing(self, rows: Iterable[Row]) -> None:
        """Write rows down but for those that are there."""
        there = {(row.iteration, row.metric, row.protocol_id): row.value for row in self.records.read()}

        def is_there(row: Row) -> bool:  # a value may come where there was only a reason for having none
            key = (row.iteration, row.metric, row.protocol_id)
            return key in there and (there[key] is not None or row.value is None)

        self.records.append(row for row in rows if not is_there(row))


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
            status["measured"] = measured_by(attempt.scope) if not _lacking(attempt) else None
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


def _lacking(attempt: Attempt) -> list[Measurement]:
    return lacking(attempt.records.read(), attempt.scope, attempt.run.settings.iterations)


def scope_of(run: Run, dataset: Dataset, device: str) -> Scope:
    """What is known of a run before anything of it is computed."""
    autoencoding = not run.is_reference and all(hasattr(import_model(run.path), name) for name in ("encode", "reconstruct"))
    return Scope(dataset, run.settings, run.model if run.is_reference else "", autoencoding, device)


def _model_trial(attempt: Attempt) -> None:
    run, records, scope, folder = attempt.run, attempt.records, attempt.scope, attempt.folder
    module = build(run).to(attempt.device)
    with _timed(attempt.seconds, "evaluation"):
        if not attempt.checkpoint.exists():
            records.rewind(0)
            subject = replace(subject_of(module, scope, attempt.device), folder=folder)
            attempt.record(subject, 0, [some for some in MEASUREMENTS if some.at_start])
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
        attempt.record(subject, module.iteration)
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
        attempt.record(subject, iterations)
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
    iteration = attempt.run.settings.iterations
    score = companion.score(subject.sampler, iteration, "critic_in_training")
    attempt.append_missing([score, companion.gap(iteration, "critic_in_training_gap")])


def train(
    module: GANModule,
    pixels: Tensor,
    run: Run,
    callbacks: list[pl.Callback],
    device: torch.device,
    checkpoint: Path | None = None,
) -> None:
    """Train to the run's number of iterations, from the start or from a checkpoint, bit for bit the same."""
    module.new_graph = module.new_graph or graphs_of(device)
    with _quiet_lightning(), full_precision():
        _fit(module, pixels, run, callbacks, device, checkpoint)


def _fit(
    module: GANModule, pixels: Tensor, run: Run, callbacks: list[pl.Callback], device: torch.device, checkpoint: Path | None
) -> None:
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=1,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[AtomicCheckpoints()],
    )
    chunks = Chunks(
        module, pixels.to(device) if _fits(pixels, device) else pixels, run.settings.batch_size, run.settings.iterations
    )
    trainer.fit(module, chunks, ckpt_path=checkpoint, weights_only=True)
    module.to(device)  # Lightning moves it to the CPU when it is done


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Whether a device has room for all images, and as much again three times over for the rest."""
    return device.type == "cpu" or 4 * pixels.numel() < torch.cuda.mem_get_info(device)[0]


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning announces devices and files at every run; a study has hundreds."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", ".*constructed with capturable=True.*")  # the first iterations are no graph's
            yield
    finally:
        logger.setLevel(level)


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or not there; Lightning's own pass through the folder for temporary files, on another disk."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())


class Chunks:
    """What is left to train, for Lightning's loop: chunks of iterations that end at multiples of CHUNK."""

    def __init__(self, module: GANModule, pixels: Tensor, batch_size: int, iterations: int) -> None:
        self.module, self.pixels, self.batch_size, self.iterations = module, pixels, batch_size, iterations

    def __iter__(self) -> Iterator[Chunk]:
        start = self.module.iteration
        while start < self.iterations:
            stop = min(start - start % CHUNK + CHUNK, self.iterations)
            yield Chunk(self.pixels, self.batch_size, stop - start)
            start = stop


def _is_due(iteration: int, iterations: int, times: int) -> bool:
    """Whether the chunk that ended here is one of `times` evenly spaced ones; the last one is."""
    spacing = max(CHUNK, iterations // times // CHUNK * CHUNK)
    return iteration % spacing == 0 or iteration == iterations


class _AfterChunk(pl.Callback):
    """Something that happens after each chunk of iterations."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.after_chunk(trainer, cast(GANModule, pl_module))

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        raise NotImplementedError


class Recorder(_AfterChunk):
    """Records the loss terms, tells the progress, and stops a run whose losses are not finite."""

    def __init__(self, attempt: Attempt) -> None:
        self.records, self.iterations, self.watcher = attempt.records, attempt.run.settings.iterations, attempt.watcher
        self.ledger, self.seconds, self.began = RunFolder(attempt.folder), attempt.seconds, time.monotonic()
        self.sums: dict[str, float] = {}
        self.chunks = 0
        self.rows: int | None = None

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        iteration = pl_module.iteration
        for name, value in pl_module.take_mean_terms().items():
            if not abs(value) < float("inf"):
                raise Diverged(f"loss {name} is {value} by iteration {iteration}")
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.chunks += 1
        self.ledger.advance(iteration)
        self.watcher.advanced(iteration)
        if _is_due(iteration, self.iterations, CURVE_POINTS):
            self.records.append(Row(iteration, f"loss/{name}", value / self.chunks) for name, value in self.sums.items())
            self.sums, self.chunks = {}, 0

    def state_dict(self) -> dict[str, Any]:
        training = self.seconds.get("training", 0.0) + time.monotonic() - self.began
        seconds = {**self.seconds, "training": training}
        return {"sums": self.sums, "chunks": self.chunks, "rows": len(self.records.read()), "seconds": seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums, self.chunks = state_dict["sums"], state_dict["chunks"]
        self.rows = state_dict["rows"]
        self.seconds.update(state_dict["seconds"])  # what earlier attempts took of them is part of the run's cost

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trained = cast(GANModule, pl_module).iteration == self.iterations  # then what came after is its evaluation, and is kept
        if self.rows is not None and len(self.records.read()) < self.rows:
            raise UserError(f"{self.records.path} lacks rows of its checkpoint: remove that, and the run starts anew")
        if self.rows is not None and not trained:
            self.records.rewind(self.rows)


def in_training_companion(attempt: Attempt) -> CompanionCritic:
    """The critic of a training: one step for each of the model's iterations in its second half."""
    settings = attempt.run.settings
    budget = settings.iterations - settings.iterations // 2
    return CompanionCritic(attempt.dataset, settings, budget, "in training", attempt.device, every=CHUNK)


class InTrainingCritic(_AfterChunk):
    """Trains the independent critic beside the model from half way on, and records its learning curves."""

    def __init__(self, attempt: Attempt) -> None:
        self.companion = in_training_companion(attempt)
        self.iterations = attempt.run.settings.iterations
        self.begin = self.iterations // 2
        self.calibration = attempt.run.settings.evaluation.calibration
        self.records, self.seconds = attempt.records, attempt.seconds
        self.generator: TrainingGenerator | None = None
        self.missed_its_begin = False
        attempt.seconds["critic_in_training"] = 0.0

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        due = pl_module.iteration - self.begin - self.companion.critic.steps
        if due <= 0 or self.missed_its_begin:
            return
        with _timed(self.seconds, "critic_in_training"):
            self.generator = self.generator or TrainingGenerator(pl_module)
            self.companion.advance(self.generator.follow(pl_module), due)
            if _is_due(pl_module.iteration, self.iterations, CURVE_POINTS):
                self.records.append(self.companion.curve(generator_of(pl_module, self.calibration), pl_module.iteration))

    def state_dict(self) -> dict[str, Any]:
        return {"begin": self.begin, "critic": self.companion.critic.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["begin"] == self.begin:
            self.companion.load_state_dict(state_dict["critic"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A shorter run that is continued past the middle of a longer one: the generators that it should have met are gone.
        self.missed_its_begin = cast(GANModule, pl_module).iteration > self.begin and not self.companion.critic.steps


class CheckpointKeeper(_AfterChunk):
    """Saves the run by its iteration; Lightning's own callback counts optimizer steps, of which it sees none here."""

    def __init__(self, path: Path, iterations: int, watcher: Watcher) -> None:
        self.path, self.iterations, self.watcher = path, iterations, watcher
        self.saved_at = time.monotonic()

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        late = time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
        stopping = self.watcher.stopping()
        if late or stopping or _is_due(pl_module.iteration, self.iterations, CHECKPOINTS):
            self.saved_at = time.monotonic()
            trainer.save_checkpoint(self.path)
            self.watcher.saved()
        if stopping:
            raise Stopped


@contextmanager
def _timed(seconds: dict[str, float], key: str) -> Iterator[None]:
    """Add the seconds of a block to a table."""
    start = time.monotonic()
    try:
        yield
    finally:
        seconds[key] = seconds.get(key, 0.0) + time.monotonic() - start
