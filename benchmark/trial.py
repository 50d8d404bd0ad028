"""One run from its run.json to its status.json: train, evaluate, write. Runs in a worker process."""

from __future__ import annotations

import logging
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from benchmark import pictures
from benchmark.building import build
from benchmark.critics import CompanionCritic
from benchmark.datasets import Dataset, open_dataset
from benchmark.errors import Diverged
from benchmark.evaluation import evaluate, lacking, reference_subject, subject_of
from benchmark.gan_module import Chunk, GANModule
from benchmark.generators import generator_of, training_generator
from benchmark.measurements import MEASUREMENTS, Measurement, Scope, Subject
from benchmark.models import import_model
from benchmark.records import RecordFile, Row, read_json, write_atomically, write_json
from benchmark.study import Run
from benchmark.trained import restore

CHUNK = 10
"""Iterations of one call of `training_step`: what Lightning costs a step is paid once for so many."""
CURVE_POINTS = 10
"""How often losses and learning curves are recorded in a run."""
CHECKPOINTS = 5
"""How often a run saves itself at least."""
CHECKPOINT_SECONDS = 300
"""After how long it does so in any case. Where it saves does not change what it computes."""

Progress = Callable[[int], None]


def run_trial(folder: Path, device: str, progress: Progress) -> str:
    """Do one run; returns its status, which is also in its status.json. An exception is a result: `failed`, with error.txt.

    A run that is done already gets the measurements that it lacks, and stays done.
    """
    run = Run.from_json(read_json(folder / "run.json"))
    torch.set_num_threads(run.settings.threads)
    status_file = folder / "status.json"
    before: dict[str, Any] = read_json(status_file) if status_file.exists() else {}
    seconds: dict[str, float] = dict(before.get("seconds", {}))
    status: dict[str, Any] = {"status": "done"}
    try:
        dataset = open_dataset(run.dataset, run.fingerprint)
        do = _more_measurements if before else _reference_trial if run.is_reference else _model_trial
        do(folder, run, dataset, torch.device(device), progress, seconds)
    except BrokenPipeError:
        raise  # whoever waits for the result is gone: the run is neither done nor failed
    except Diverged as reason:
        status = {"status": "diverged", "reason": str(reason)}
    except Exception as error:
        write_atomically(folder / "error.txt", traceback.format_exc())
        status = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    if before and status["status"] != "done":  # its training is as good as before
        status = {"status": "done", "reason": f"measuring it again: {status['reason']}"}
    write_json(status_file, {**status, "seconds": {key: round(value, 2) for key, value in seconds.items()}})
    return status["status"]


def scope_of(run: Run, dataset: Dataset, device: str) -> Scope:
    """What is known of a run before anything of it is computed."""
    autoencoding = not run.is_reference and all(hasattr(import_model(run.path), name) for name in ("encode", "reconstruct"))
    return Scope(dataset, run.settings, run.model if run.is_reference else "", autoencoding, device)


def _model_trial(
    folder: Path, run: Run, dataset: Dataset, device: torch.device, progress: Progress, seconds: dict[str, float]
) -> None:
    settings, records, scope = run.settings, RecordFile(folder / "records.jsonl"), scope_of(run, dataset, device.type)
    checkpoint = folder / "checkpoint.ckpt"
    module = build(run).to(device)
    with _timed(seconds, "evaluation"):
        if not checkpoint.exists():
            records.path.unlink(missing_ok=True)
            subject = replace(subject_of(module, scope, device), folder=folder)
            _record(records, subject, 0, [some for some in MEASUREMENTS if some.at_start])
    critic = InTrainingCritic(dataset, run, records, device, seconds)
    recorder = Recorder(records, settings.iterations, progress)
    keeper = CheckpointKeeper(checkpoint, settings.iterations)
    try:
        with _timed(seconds, "training"):
            start = checkpoint if checkpoint.exists() else None
            train(module, dataset["train"], run, [recorder, critic, keeper], device, start)
    finally:
        seconds["training"] -= seconds["critic_in_training"]
    with _timed(seconds, "evaluation"):
        subject = replace(subject_of(module, scope, device), folder=folder)
        records.append(_in_training(critic.companion, subject, module.iteration))
        _record(records, subject, module.iteration)
        pictures.save_samples(subject.sampler, folder / "samples.png", device)
        if subject.autoencoder is not None:
            pictures.save_reconstructions(subject.autoencoder, dataset["test"], folder / "reconstructions.png", device)


def _reference_trial(
    folder: Path, run: Run, dataset: Dataset, device: torch.device, progress: Progress, seconds: dict[str, float]
) -> None:
    """Measure a sanity row as a model is measured, with the same budgets."""
    settings, records = run.settings, RecordFile(folder / "records.jsonl")
    records.path.unlink(missing_ok=True)
    subject = replace(reference_subject(run.model, scope_of(run, dataset, device.type), device), folder=folder)
    with _timed(seconds, "evaluation"):
        companion = in_training_companion(dataset, run, device)
        companion.advance(subject.sampler, companion.critic.budget)
        progress(settings.iterations // 2)
        records.append(_in_training(companion, subject, settings.iterations))
        _record(records, subject, settings.iterations)
        pictures.save_samples(subject.sampler, folder / "samples.png", device)


def _more_measurements(
    folder: Path, run: Run, dataset: Dataset, device: torch.device, progress: Progress, seconds: dict[str, float]
) -> None:
    """Take the measurements that a finished run lacks, from its kept weights."""
    records, scope = RecordFile(folder / "records.jsonl"), scope_of(run, dataset, device.type)
    if run.is_reference:
        subject = reference_subject(run.model, scope, device)
    else:
        subject = subject_of(restore(folder)[1].to(device), scope, device)
    with _timed(seconds, "evaluation"):
        missing = lacking(records.read(), scope, run.settings.iterations)
        _record(records, replace(subject, folder=folder), run.settings.iterations, missing)
    progress(run.settings.iterations)


def _record(records: RecordFile, subject: Subject, iteration: int, measurements: Iterable[Measurement] = MEASUREMENTS) -> None:
    """Write down each measurement when it is taken; what is there already is not written again."""
    there = {(row.iteration, row.metric, row.protocol_id) for row in records.read() if row.value is not None}
    for rows in evaluate(subject, iteration, measurements):
        records.append(row for row in rows if (row.iteration, row.metric, row.protocol_id) not in there)


def _in_training(companion: CompanionCritic, subject: Subject, iteration: int) -> list[Row]:
    """What the critic beside a training says at its end."""
    return [
        companion.score(subject.sampler, iteration, "critic_in_training"),
        companion.gap(iteration, "critic_in_training_gap"),
    ]


def train(
    module: GANModule,
    pixels: Tensor,
    run: Run,
    callbacks: list[pl.Callback],
    device: torch.device,
    checkpoint: Path | None = None,
) -> None:
    """Train to the run's number of iterations, from the start or from a checkpoint, bit for bit the same."""
    with _quiet_lightning():
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
            yield
    finally:
        logger.setLevel(level)


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

    def __init__(self, records: RecordFile, iterations: int, progress: Progress) -> None:
        self.records, self.iterations, self.progress = records, iterations, progress
        self.sums: dict[str, float] = {}
        self.chunks = 0

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        iteration = pl_module.iteration
        for name, value in pl_module.take_mean_terms().items():
            if not abs(value) < float("inf"):
                raise Diverged(f"loss {name} is {value} by iteration {iteration}")
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.chunks += 1
        self.progress(iteration)
        if _is_due(iteration, self.iterations, CURVE_POINTS):
            self.records.append(Row(iteration, f"loss/{name}", value / self.chunks) for name, value in self.sums.items())
            self.sums, self.chunks = {}, 0

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "chunks": self.chunks, "rows": len(self.records.read())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums, self.chunks = state_dict["sums"], state_dict["chunks"]
        self.records.rewind(state_dict["rows"])


def in_training_companion(dataset: Dataset, run: Run, device: torch.device) -> CompanionCritic:
    """The critic of a training: one step for each of the model's iterations in its second half."""
    iterations = run.settings.iterations
    return CompanionCritic(dataset, run.settings, iterations - iterations // 2, "in training", device, every=CHUNK)


class InTrainingCritic(_AfterChunk):
    """Trains the independent critic beside the model from half way on, and records its learning curves."""

    def __init__(self, dataset: Dataset, run: Run, records: RecordFile, device: torch.device, seconds: dict[str, float]) -> None:
        self.companion = in_training_companion(dataset, run, device)
        self.iterations = run.settings.iterations
        self.calibration = run.settings.evaluation.calibration
        self.records, self.seconds = records, seconds
        seconds["critic_in_training"] = 0.0

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        due = pl_module.iteration - self.iterations // 2 - self.companion.critic.steps
        if due <= 0:
            return
        with _timed(self.seconds, "critic_in_training"):
            self.companion.advance(training_generator(pl_module), due)
            if _is_due(pl_module.iteration, self.iterations, CURVE_POINTS):
                self.records.append(self.companion.curve(generator_of(pl_module, self.calibration), pl_module.iteration))

    def state_dict(self) -> dict[str, Any]:
        return self.companion.critic.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.companion.critic.load_state_dict(state_dict)


class CheckpointKeeper(_AfterChunk):
    """Saves the run by its iteration; Lightning's own callback counts optimizer steps, of which it sees none here."""

    def __init__(self, path: Path, iterations: int) -> None:
        self.path, self.iterations = path, iterations
        self.saved_at = time.monotonic()

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        late = time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
        if late or _is_due(pl_module.iteration, self.iterations, CHECKPOINTS):
            self.saved_at = time.monotonic()
            part = self.path.with_suffix(".part")
            trainer.save_checkpoint(part)
            part.replace(self.path)


@contextmanager
def _timed(seconds: dict[str, float], key: str) -> Iterator[None]:
    """Add the seconds of a block to a table."""
    start = time.monotonic()
    try:
        yield
    finally:
        seconds[key] = seconds.get(key, 0.0) + time.monotonic() - start
