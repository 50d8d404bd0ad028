"""The contract of a model: it says what its players are, the base class writes the loop.

A `GANModule` lists its `Phase`s; everything else (optimizers, minibatches, random draws, which parameters move, capturing an
iteration as one graph, exact resumption) is done here once, for every model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from benchmark.model.graph import CannotCapture, Graph, Repeated, Work
from benchmark.randomness import derive_seed, stream
from metrics.images import as_images
from metrics.optimizers import adam, fit_to_device, fitted_state

KNOWN = ("_modules", "_parameters")
"""What of a module is looked at elsewhere, where it is asked what an iteration changes."""
Loss = Callable[[Tensor], Mapping[str, Tensor]]
MakeOptimizer = Callable[[list[nn.Parameter], float], torch.optim.Optimizer]


@dataclass(eq=False)
class Phase:
    """One kind of update: these networks move down this loss.

    One object that stands several times in the list of phases keeps one optimizer.

    Args:
        name: for the logs; unique in a model.
        networks: those whose parameters change, and no others'.
        loss: from a minibatch of real images (n, c, h, w) to named, weighted scalar terms. They are summed to train.
        learning_rate: of the optimizer.
        updates: repeats in place, each with a fresh minibatch and fresh latents.
        optimizer: from (parameters, learning rate) to an optimizer; Adam with betas (0.5, 0.9) unless given. The flag
            `capturable` of torch's optimizers is set for you: on a GPU, and nowhere else.
        after: runs without gradients after each step: weight clipping, moving averages.
    """

    name: str
    networks: Sequence[nn.Module]
    loss: Loss
    learning_rate: float
    updates: int = 1
    optimizer: MakeOptimizer | None = None
    after: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        if self.updates < 1:
            raise ValueError(f"phase {self.name!r} must be updated at least once an iteration, not {self.updates} times")

    def parameters(self) -> list[nn.Parameter]:
        """The parameters of the phase's networks, each once, in order."""
        return list(dict.fromkeys(parameter for network in self.networks for parameter in network.parameters()))


@runtime_checkable
class Autoencoder(Protocol):
    """What an autoencoding model offers beside `GANModule`'s methods."""

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) in [-1, 1] to codes (n, latent_dim)."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images to their reconstructions, both (n, c, h, w) in [-1, 1]."""


@dataclass(frozen=True)
class Chunk:
    """The work of one call of `training_step`."""

    pixels: Tensor
    """All training images, (n, c, h, w) uint8: on the model's device, or on the CPU where they do not fit there."""
    batch_size: int
    iterations: int


@dataclass(frozen=True)
class Schedule:
    """The phases of one iteration, worked out once: which optimizer and which parameters each update uses."""

    phases: tuple[Phase, ...]
    """Each phase once, in order of appearance; the optimizers stand in the same order."""
    updates: tuple[Phase, ...]
    """One entry an update of one iteration."""
    parameters: Mapping[Phase, tuple[nn.Parameter, ...]]
    others: Mapping[Phase, tuple[nn.Parameter, ...]]
    """Of each phase: what moves in other phases only."""


class GANModule(pl.LightningModule):
    """Base class of every model. A subclass writes `__init__` and `phases`, and `prior` or `sample` where it differs.

    The constructor's arguments are the hyperparameters (`self.hparams`); the first is `image_shape`, (channels, height,
    width). Call `super().__init__()` first. `width`, if there, scales every hidden number of feature maps.
    """

    sweep: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """The grid of the model's study: constructor argument to values."""

    generator: nn.Module
    """Latents to images, unless a subclass writes `sample` itself."""

    _schedule: Schedule | None
    _streams: tuple[torch.Generator, ...]
    """One for each update of an iteration."""
    _inside: torch.Generator | None
    _outside: torch.Generator | None
    _sums: dict[str, Tensor]
    _summed_iterations: int
    _loop: Repeated | None
    _recording: bool

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_hyperparameters()  # Lightning walks up the frames to the subclass's arguments
        self.seed = 0
        self.new_graph: Callable[[], Graph] | None = None
        self.execution = "eager"
        self._iteration = 0
        vars(self).update(_outside_training())

    @property
    def hparams(self) -> Any:
        """The constructor's arguments, by name and as attributes."""
        return super().hparams

    @property
    def iteration(self) -> int:
        """How many iterations the model has been trained for.

        A loss that reads it is trained without a graph, in which the number of one iteration would stand for all.
        """
        if self._recording:
            raise CannotCapture("a loss reads self.iteration, of which a graph would keep the first value")
        return self._iteration

    @iteration.setter
    def iteration(self, value: int) -> None:
        self._iteration = value

    # What a model says.

    def phases(self) -> list[Phase]:
        """One iteration, update by update, in order. Called once."""
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
    def randomness(self) -> torch.Generator:
        """The random stream of the moment: inside a phase a function of (seed, iteration, update), else one of its own."""
        if self._inside is not None:
            return self._inside
        if self._outside is None:
            self._outside = stream(self.seed, "outside training", device=self.device)
        return self._outside

    # What the base class does.

    def schedule(self) -> Schedule:
        """The phases, asked for once."""
        if self._schedule is None:
            self._schedule = self._make_schedule()
        return self._schedule

    def _make_schedule(self) -> Schedule:
        listed = self.phases()
        phases = tuple(dict.fromkeys(listed))
        parameters = {phase: tuple(p for p in phase.parameters() if p.requires_grad) for phase in phases}
        trainable = dict.fromkeys(p for phase in phases for p in parameters[phase])
        mine = {phase: set(parameters[phase]) for phase in phases}
        return Schedule(
            phases=phases,
            updates=tuple(phase for phase in listed for _ in range(phase.updates)),
            parameters=parameters,
            others={phase: tuple(p for p in trainable if p not in mine[phase]) for phase in phases},
        )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One optimizer a phase, in the order in which the phases first appear."""
        plan = self.schedule()
        made = [(phase.optimizer or adam)(list(plan.parameters[phase]), phase.learning_rate) for phase in plan.phases]
        return [fit_to_device(optimizer) for optimizer in made]

    def on_train_start(self) -> None:
        """A graph that was captured on other optimizers, or before the weights were moved, is of no use."""
        self._loop, self._streams, self._sums, self._summed_iterations = None, (), {}, 0

    def on_train_end(self) -> None:
        """Note how it was done, and give the graph's memory back."""
        if self._loop is not None:
            self.execution, self._loop = self._loop.execution, None

    def training_step(self, chunk: Chunk) -> None:
        """Run a chunk of iterations; all chunks of a training hold the same images.

        Lightning's own optimizer wrappers and step counters are not used. On a GPU an iteration is captured as a graph and
        replayed: see `Repeated`.
        """
        if self._loop is None:
            optimizers = self.optimizers(use_pl_optimizer=False)
            self._loop = self._make_loop(chunk, optimizers if isinstance(optimizers, list) else [optimizers])
        self._repeat(self._loop, chunk.iterations)

    def _repeat(self, loop: Repeated, iterations: int) -> None:
        with self._global_draws_forked():
            for _ in range(iterations):
                loop()
                self._iteration += 1
                self._summed_iterations += 1

    def _make_loop(self, chunk: Chunk, optimizers: Sequence[torch.optim.Optimizer]) -> Repeated:
        by_phase = dict(zip(self.schedule().phases, optimizers, strict=True))

        def iteration() -> None:
            for update, phase in enumerate(self.schedule().updates):
                self._count(phase, self.update(update, chunk, by_phase[phase]))

        def holds() -> dict[str, object]:
            parts = self.named_modules(prefix="self")
            found = {f"{name}.{key}": value for name, part in parts for key, value in vars(part).items() if key not in KNOWN}
            for phase, optimizer in by_phase.items():
                groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
                found[f"the optimizer of phase {phase.name!r}"] = [list(optimizer.state.values()), groups]
            return found

        self._make_streams()
        weights = list(self.parameters())
        work = Work(self.begin_iteration, iteration, weights, self._streams, holds, self._while_recording)
        loop = Repeated(work, self.new_graph)
        if chunk.pixels.device != self.device:
            loop.stay_eager("the images do not fit on the device")
        return loop

    @contextmanager
    def _while_recording(self) -> Iterator[None]:
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def begin_iteration(self) -> None:
        """Make every draw of this iteration a function of (seed, iteration, update).

        Each update has a stream of its own. Torch's global ones, of layers like dropout, begin anew with each iteration, because
        a graph cannot seed them between its updates.
        """
        self._make_streams()
        for update, source in enumerate(self._streams):
            source.manual_seed(derive_seed(self.seed, "train", self._iteration, update))
        shared = derive_seed(self.seed, "train", self._iteration, "global")
        torch.default_generator.manual_seed(shared)  # torch.manual_seed takes a hundred times as long: it asks for every backend
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index or 0].manual_seed(shared)

    def _make_streams(self) -> None:
        if not self._streams:
            self._streams = tuple(torch.Generator(self.device) for _ in self.schedule().updates)

    def update(self, update: int, chunk: Chunk, optimizer: torch.optim.Optimizer) -> Mapping[str, Tensor]:
        """Make one update of the iteration that was begun: its number in the schedule, the data, its phase's optimizer.

        Returns:
            The terms of its loss.
        """
        phase = self.schedule().updates[update]
        parameters = self.schedule().parameters[phase]
        with self._draws_from(self._streams[update]), self._only_moves(phase):
            terms = phase.loss(self._minibatch(chunk))
            gradients = torch.autograd.grad(_total(phase, terms), parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if phase.after is not None:
                with torch.no_grad():
                    phase.after()
        return terms

    def _minibatch(self, chunk: Chunk) -> Tensor:
        n = len(chunk.pixels)
        chosen = torch.randint(n, (chunk.batch_size,), generator=self.randomness, device=self.device)
        pixels = chunk.pixels.index_select(0, chosen.to(chunk.pixels.device)).to(self.device)
        return as_images(pixels.contiguous(memory_format=torch.channels_last))  # as the networks' convolutions read them

    @contextmanager
    def _draws_from(self, source: torch.Generator) -> Iterator[None]:
        self._inside = source
        try:
            yield
        finally:
            self._inside = None

    def _global_draws_forked(self) -> AbstractContextManager[None]:
        """What training draws from torch's global streams, others do not feel."""
        return torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else [])

    @contextmanager
    def _only_moves(self, phase: Phase) -> Iterator[None]:
        """No gradient is computed for other players' parameters, and nothing is recorded where none can flow."""
        others = self.schedule().others[phase]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    @torch.no_grad()
    def _count(self, phase: Phase, terms: Mapping[str, Tensor]) -> None:
        """Add the terms to sums that stay where they are on the device: nobody waits for them."""
        share = 1 / self.schedule().updates.count(phase)
        for name, value in terms.items():
            key = f"{phase.name}/{name}"
            if key not in self._sums:
                self._sums[key] = torch.zeros_like(value)
            self._sums[key].add_(value, alpha=share)

    def take_mean_terms(self) -> dict[str, float]:
        """The mean of every loss term since the last call, by "phase/term"; one transfer from the device.

        A term that stopped being finite in between is not finite in the mean.
        """
        if not self._summed_iterations:
            return {}
        sums = list(self._sums.values())
        means = (torch.stack(sums).double() / self._summed_iterations).tolist()
        torch._foreach_zero_(sums)
        self._summed_iterations = 0
        return dict(zip(self._sums, means, strict=True))

    def transfer_batch_to_device(self, batch: Chunk, device: torch.device, dataloader_idx: int) -> Chunk:
        """A chunk's images are on the device already."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save what determines every later draw."""
        checkpoint["gan_module"] = {"seed": self.seed, "iteration": self.iteration}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue at the saved iteration, on whatever device this is."""
        self.seed = checkpoint["gan_module"]["seed"]
        self.iteration = checkpoint["gan_module"]["iteration"]
        self._outside = None
        # Lightning counts epochs and batches; we count iterations, so its loops start anew on what is left to do.
        checkpoint.pop("loops", None)
        states = checkpoint.get("optimizer_states", [])
        for index, (saved, fresh) in enumerate(zip(states, self.configure_optimizers(), strict=False)):
            states[index] = fitted_state(fresh, saved)

    def __getstate__(self) -> dict[str, Any]:
        """A copy shares no random stream and no graph with the original, and is outside of training."""
        return {**super().__getstate__(), **_outside_training()}


def _outside_training() -> dict[str, Any]:
    """What a model holds of one training on one device, at its begin: it does not outlive that, nor go into copies."""
    return {
        "_schedule": None,
        "_streams": (),
        "_inside": None,
        "_outside": None,
        "_sums": {},
        "_summed_iterations": 0,
        "_loop": None,
        "_recording": False,
    }


def _total(phase: Phase, terms: Mapping[str, Tensor]) -> Tensor:
    if not isinstance(terms, Mapping) or not terms:
        raise TypeError(
            f"the loss of phase {phase.name!r} must return named terms, such as {{'adversarial': tensor}}, "
            f"not {type(terms).__name__}"
        )
    for name, value in terms.items():
        if not isinstance(value, Tensor) or value.ndim != 0:
            raise TypeError(f"phase {phase.name!r}: loss term {name!r} must be a scalar tensor")
    return reduce(add, terms.values())
