"""Train a model by Lightning's loop for a number of iterations, from its initial weights or from a checkpoint."""

from __future__ import annotations

import io
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from benchmark.files import write_atomically
from benchmark.model.gan_module import GANModule
from benchmark.model.graph import Graph, graphs_of
from benchmark.model.training import Chunk
from metrics.rounding import full_precision

CHUNK = 10
"""Iterations of one call of `training_step`: what Lightning costs a step is paid once for so many."""
CHECKPOINTS = 5
"""How often a run saves itself at least."""
CHECKPOINT_SECONDS = 300
"""After how long it does so in any case. Where it saves does not change what it computes."""


class Watcher:
    """Follow an attempt at a run from outside: hear how far it is, and ask it to stop. This one does neither."""

    def advanced(self, iteration: int) -> None:
        """Hear that the training has come so far."""

    def saved(self) -> None:
        """Hear that a checkpoint is on the disk, with the records that belong to it."""

    def stopping(self) -> bool:
        """Say whether the attempt is to stop in order: at the next chunk of iterations, or after the present measurement."""
        return False


class Stopped(Exception):
    """An attempt was asked to stop; what it did is saved, and another one goes on."""


def train(
    module: GANModule,
    pixels: Tensor,
    iterations: int,
    batch_size: int,
    callbacks: Sequence[pl.Callback] = (),
    checkpoint: Path | None = None,
    chunk: int = CHUNK,
    new_graph: Callable[[], Graph] | None = None,
) -> None:
    """Train a model on its device until it has done so many iterations: begun or resumed, bit for bit the same.

    Args:
        module: as it is built, or as an earlier training left it.
        pixels: all training images, (n, c, h, w) uint8. They are copied to the module's device where they fit there.
        iterations: after which training ends, those that the module or the checkpoint has behind it included.
        batch_size: images of a minibatch.
        callbacks: of Lightning's; `on_train_batch_end` comes after each chunk of iterations.
        checkpoint: where to continue from; None goes on from the module as it is.
        chunk: iterations from one `on_train_batch_end` to the next. It changes no weights.
        new_graph: makes an empty graph to capture an iteration in; the device's own kind unless given.
    """
    device = module.device
    images = pixels.to(device) if _fits(pixels, device) else pixels
    chunks = Chunks(module, images, batch_size, iterations, chunk, new_graph or graphs_of(device))
    with _quiet_lightning(), full_precision():
        _trainer(device, callbacks).fit(module, chunks, ckpt_path=checkpoint, weights_only=True)
    module.to(device)  # Lightning moves it to the CPU when it is done


def _trainer(device: torch.device, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[AtomicCheckpoints()],
    )


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Say whether a device has room for all images, and as much again three times over for the rest."""
    return device.type == "cpu" or 4 * pixels.numel() < torch.cuda.mem_get_info(device)[0]


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence what Lightning announces at every run, devices and files: a study has hundreds of runs."""
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
    """Write checkpoints that are whole or not there; Lightning's own pass through a temporary folder, on another disk."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())


@dataclass(eq=False)
class Chunks:
    """Divide what is left to train into chunks that end at multiples of `chunk`, for Lightning's loop."""

    module: GANModule
    pixels: Tensor
    batch_size: int
    iterations: int
    chunk: int
    new_graph: Callable[[], Graph] | None

    def __iter__(self) -> Iterator[Chunk]:
        start = self.module.iteration
        while start < self.iterations:
            stop = min(start - start % self.chunk + self.chunk, self.iterations)
            yield Chunk(self.pixels, self.batch_size, stop - start, self.new_graph)
            start = stop


def is_due(iteration: int, iterations: int, times: int) -> bool:
    """Say whether the chunk that ended here is one of `times` evenly spaced ones; the last one always is."""
    spacing = max(CHUNK, iterations // times // CHUNK * CHUNK)
    return iteration % spacing == 0 or iteration == iterations


class AfterChunk(pl.Callback):
    """Do something after each chunk of iterations."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.after_chunk(trainer, cast(GANModule, pl_module))

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        raise NotImplementedError


class CheckpointKeeper(AfterChunk):
    """Save the training by its iteration; Lightning's own callback counts optimizer steps, of which it sees none here."""

    def __init__(self, path: Path, iterations: int, watcher: Watcher) -> None:
        self.path, self.iterations, self.watcher = path, iterations, watcher
        self.saved_at = time.monotonic()

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        late = time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
        stopping = self.watcher.stopping()
        if late or stopping or is_due(pl_module.iteration, self.iterations, CHECKPOINTS):
            self.saved_at = time.monotonic()
            trainer.save_checkpoint(self.path)
            self.watcher.saved()
        if stopping:
            raise Stopped
