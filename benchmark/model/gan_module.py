"""State the contract of a model: it says what its networks are and how they are updated, the base class trains it.

What the base class does with the phases (minibatches, random draws, gradients, graphs) is in `benchmark.model.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from benchmark.model.graph import CannotCapture, Graph
from benchmark.model.phase import Phase, Schedule
from benchmark.model.training import Chunk, Training, fit_checkpoint
from benchmark.randomness import stream

NOT_COPIED = ("_schedule", "_ongoing", "_stream")
"""Attributes of a module that refer to it, or to its device. A copy begins without them."""


@runtime_checkable
class Autoencoder(Protocol):
    """What an autoencoding model offers beside `GANModule`'s methods."""

    def encode(self, images: Tensor) -> Tensor:
        """Encode images, (n, c, h, w) in [-1, 1], as codes (n, latent_dim)."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encode and decode images; both (n, c, h, w) in [-1, 1]."""


class GANModule(pl.LightningModule):
    """Base class of every model. A subclass writes `__init__` and `phases`, and `prior` or `sample` where it differs.

    The constructor's arguments are the hyperparameters (`self.hparams`); the first is `image_shape`, (channels, height,
    width). Call `super().__init__()` first. `width`, if there, scales every hidden number of feature maps.
    """

    sweep: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """The grid of the model's study: constructor argument to values."""

    generator: nn.Module
    """Latents (n, latent_dim) to images, unless a subclass writes `sample` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_hyperparameters()  # Lightning walks up the frames to the subclass's arguments
        self.seed = 0
        self.execution = "eager"
        """How the last training executed its iterations: see `Training.end`."""
        self._iteration = 0
        self._schedule: Schedule | None = None
        self._ongoing: Training | None = None
        self._stream: torch.Generator | None = None

    # What a model says.

    def phases(self) -> list[Phase]:
        """List the updates of one iteration, in order. Called once."""
        raise NotImplementedError(f"{type(self).__name__} does not define phases()")

    def prior(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n latents, (n, latent_dim): standard normal."""
        source = generator or self.randomness
        return torch.randn(n, self.hparams["latent_dim"], generator=source, device=self.device)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n images, (n, c, h, w) in [-1, 1]. Differentiable, and in whichever mode the networks are."""
        return self.generator(self.prior(n, generator))

    # What a model may use.

    @property
    def hparams(self) -> Any:
        """The constructor's arguments, by name and as attributes."""
        return super().hparams

    @property
    def iteration(self) -> int:
        """How many iterations the model has been trained for.

        A loss that reads it is trained without a graph, in which the number of one iteration would stand for all.
        """
        if self._ongoing is not None and self._ongoing.is_recording:
            raise CannotCapture("a loss reads self.iteration, of which a graph would keep the first value")
        return self._iteration

    @iteration.setter
    def iteration(self, value: int) -> None:
        self._iteration = value

    @property
    def randomness(self) -> torch.Generator:
        """The present random stream: inside an update a function of (seed, iteration, update), else one of the module's own."""
        if self._stream is None:
            self._stream = stream(self.seed, "outside training", device=self.device)
        return self._stream

    def optimizer_of(self, phase: str) -> torch.optim.Optimizer:
        """Return the optimizer of a phase by its name, for a loss that follows another network's steps; not to be stepped.

        Its state is empty until that phase has made an update: list the phase before the one whose loss asks.

        Raises:
            ValueError: outside of training, and for a name that no phase has.
        """
        optimizers = {updated.name: optimizer for updated, optimizer in self._ongoing.optimizers.items()} if self._ongoing else {}
        if phase not in optimizers:
            raise ValueError(f"no phase {phase!r} is being trained; those that are: {', '.join(optimizers) or 'none'}")
        return optimizers[phase]

    # What trains and evaluates a model.

    @contextmanager
    def drawing_from(self, source: torch.Generator) -> Iterator[None]:
        """Let `randomness` be this stream inside a block."""
        before, self._stream = self._stream, source
        try:
            yield
        finally:
            self._stream = before

    def restart_draws(self) -> None:
        """Let the module's own random stream, outside of training, start from its seed."""
        self._stream = None

    def schedule(self) -> Schedule:
        """Work out from the phases, which are asked for once, what each update moves."""
        if self._schedule is None:
            self._schedule = Schedule.of(self.phases())
        return self._schedule

    def begin_training(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        pixels: Tensor,
        batch_size: int,
        new_graph: Callable[[], Graph] | None = None,
    ) -> Training:
        """Make the `Training` that is the module's from now on; for its arguments see there."""
        self._ongoing = Training(self, optimizers, pixels, batch_size, new_graph)
        return self._ongoing

    def take_mean_terms(self) -> dict[str, float]:
        """Compute the mean of every loss term since the last call: see `Training.take_mean_terms`; empty outside of training."""
        return self._ongoing.take_mean_terms() if self._ongoing else {}

    # What Lightning calls.

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Make one optimizer a phase, in the order in which the phases first appear."""
        return self.schedule().new_optimizers()

    def on_train_start(self) -> None:
        """Forget a training that was broken off: its graph has other optimizers' tensors."""
        self._ongoing = None

    def training_step(self, chunk: Chunk) -> None:
        """Train for a chunk of iterations."""
        training = self._ongoing
        if training is None:
            optimizers = self.optimizers(use_pl_optimizer=False)
            listed = optimizers if isinstance(optimizers, list) else [optimizers]
            training = self.begin_training(listed, chunk.pixels, chunk.batch_size, chunk.new_graph)
        training.advance(chunk.iterations)

    def on_train_end(self) -> None:
        """Note how iterations were executed, and free what only training needs."""
        if self._ongoing is not None:
            self.execution, self._ongoing = self._ongoing.end(), None

    def transfer_batch_to_device(self, batch: Chunk, device: torch.device, dataloader_idx: int) -> Chunk:
        """Leave a chunk as it is: its images are where they are to be."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save what determines every later draw."""
        checkpoint["gan_module"] = {"seed": self.seed, "iteration": self.iteration}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue at the saved iteration, on whatever device this is."""
        self.seed, self.iteration = checkpoint["gan_module"]["seed"], checkpoint["gan_module"]["iteration"]
        self.restart_draws()
        fit_checkpoint(checkpoint, self.configure_optimizers())

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of copies what belongs to the original: a copy is outside of training, with a random stream of its own."""
        return {**super().__getstate__(), **dict.fromkeys(NOT_COPIED)}
