"""Train a model for a number of iterations, resumable from a checkpoint."""

from __future__ import annotations

import io
import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from benchmark.files import write_atomically
from benchmark.model.gan_module import Chunk, GANModule
from benchmark.model.graph import graphs_of
from benchmark.studies.run import Run
from metrics.rounding import full_precision

CHUNK = 10
"""Iterations of one call of `training_step`: what Lightning costs a step is paid once for so many."""
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
