"""Run iterations of a model's training: minibatches, random draws, gradients, steps, and sums of the loss terms.

A `Training` exists while a module trains. It makes every draw a function of (seed, iteration, update), so that equal seeds give
equal weights and a resumed training goes on exactly; and it captures an iteration as a graph where the device has graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchmark.model.graph import Graph, Repeated, Work
from benchmark.model.phase import Phase, Schedule
from benchmark.randomness import derive_seed
from metrics.images import as_images
from metrics.optimizers import fitted_state

REGISTERED = ("_modules", "_parameters")
"""Attributes of a module whose contents are visited one by one, where it is asked what an iteration changes."""


@dataclass(frozen=True)
class Chunk:
    """The work of one call of `GANModule.training_step`; all chunks of one training hold the same images."""

    pixels: Tensor
    """All training images, (n, c, h, w) uint8: on the model's device, or on the CPU where they do not fit there."""
    batch_size: int
    iterations: int
    new_graph: Callable[[], Graph] | None = None
    """Makes an empty graph on the model's device; None trains eagerly."""


class Trainable(Protocol):
    """What a `Training` asks of the module that it trains; a `GANModule` has all of it."""

    seed: int
    iteration: int

    @property
    def device(self) -> torch.device: ...

    def schedule(self) -> Schedule: ...

    def drawing_from(self, source: torch.Generator) -> AbstractContextManager[None]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def named_modules(self, *, prefix: str) -> Iterator[tuple[str, nn.Module]]: ...


class Training:
    """Train a module on its device, iteration by iteration.

    On a GPU an iteration is captured as a graph and replayed (see `Repeated`). Lightning's optimizer wrappers and step counters
    are not used: they would see nothing of that.

    Args:
        module: its networks are trained, its iteration is counted up.
        optimizers: one a phase, in the order of the module's schedule.
        pixels: all training images, (n, c, h, w) uint8: on the module's device, or on the CPU where they do not fit there.
        batch_size: images of a minibatch.
        new_graph: makes an empty graph on the device; None trains eagerly.
    """

    def __init__(
        self,
        module: Trainable,
        optimizers: Sequence[torch.optim.Optimizer],
        pixels: Tensor,
        batch_size: int,
        new_graph: Callable[[], Graph] | None = None,
    ) -> None:
        self.module, self.pixels, self.batch_size = module, pixels, batch_size
        self.schedule = module.schedule()
        self.optimizers = dict(zip(self.schedule.phases, optimizers, strict=True))
        self.is_recording = False
        """Whether what is done now will be repeated as it is by a graph."""
        self._streams = tuple(torch.Generator(module.device) for _ in self.schedule.updates)
        self._sums: dict[str, Tensor] = {}
        self._summed_iterations = 0
        weights = list(module.parameters())
        work = Work(self.begin_iteration, self._iterate, weights, self._streams, self._state, self._recording)
        self._loop = Repeated(work, new_graph)
        if pixels.device != module.device:
            self._loop.stay_eager("the images do not fit on the device")

    def advance(self, iterations: int) -> None:
        """Train for so many iterations. Torch's global random streams are afterwards where they were."""
        device = self.module.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for _ in range(iterations):
                self._loop()
                self.module.iteration += 1
                self._summed_iterations += 1

    def end(self) -> str:
        """Free the graph's memory; no iteration can follow.

        Returns:
            How iterations were executed: "captured", or "eager" with the reason where a graph could have been had.
        """
        execution = self._loop.execution
        del self._loop  # it refers to this object, which refers to it: neither would be freed when the last user lets go
        return execution

    def take_mean_terms(self) -> dict[str, float]:
        """Compute the mean of every loss term since the last call, by "phase/term"; one transfer from the device.

        A term that stopped being finite in between is not finite in the mean.
        """
        if not self._summed_iterations:
            return {}
        sums = list(self._sums.values())
        means = (torch.stack(sums).double() / self._summed_iterations).tolist()
        torch._foreach_zero_(sums)
        self._summed_iterations = 0
        return dict(zip(self._sums, means, strict=True))

    def begin_iteration(self) -> None:
        """Seed all streams for the module's iteration, one for each update.

        Torch's global ones, of layers like dropout, are seeded once an iteration, because a graph cannot seed them between its
        updates.
        """
        seed, iteration, device = self.module.seed, self.module.iteration, self.module.device
        for update, source in enumerate(self._streams):
            source.manual_seed(derive_seed(seed, "train", iteration, update))
        shared = derive_seed(seed, "train", iteration, "global")
        torch.default_generator.manual_seed(shared)  # torch.manual_seed takes a hundred times as long: it asks for every backend
        if device.type == "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(shared)

    def update(self, number: int) -> Mapping[str, Tensor]:
        """Make one update of the iteration that was begun, by its number in the schedule.

        Returns:
            The terms of its loss.

        Raises:
            TypeError: for a loss that is no mapping of names to scalar tensors.
        """
        phase = self.schedule.updates[number]
        parameters, optimizer = self.schedule.parameters[phase], self.optimizers[phase]
        with self.module.drawing_from(self._streams[number]), self._holding_fixed(self.schedule.others[phase]):
            terms = phase.loss(self.minibatch(self._streams[number]))
            gradients = torch.autograd.grad(total(phase, terms), parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if phase.after is not None:
                with torch.no_grad():
                    phase.after()
        return terms

    def minibatch(self, source: torch.Generator) -> Tensor:
        """Draw real images with replacement, (batch_size, c, h, w) in [-1, 1], on the module's device."""
        n, device = len(self.pixels), self.module.device
        indices = torch.randint(n, (self.batch_size,), generator=source, device=device)
        pixels = self.pixels.index_select(0, indices.to(self.pixels.device)).to(device)
        return as_images(pixels.contiguous(memory_format=torch.channels_last))  # as the networks' convolutions read them

    def _iterate(self) -> None:
        for number, phase in enumerate(self.schedule.updates):
            self._add_to_sums(phase, self.update(number))

    @torch.no_grad()
    def _add_to_sums(self, phase: Phase, terms: Mapping[str, Tensor]) -> None:
        """Add terms to sums that stay on the device, so that the host does not wait for them."""
        share = 1 / self.schedule.updates.count(phase)
        for name, value in terms.items():
            key = f"{phase.name}/{name}"
            if key not in self._sums:
                self._sums[key] = torch.zeros_like(value)
            self._sums[key].add_(value, alpha=share)

    @contextmanager
    def _holding_fixed(self, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
        """Compute no gradient of these parameters, and record nothing where none can flow."""
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        self.is_recording = True
        try:
            yield
        finally:
            self.is_recording = False

    def _state(self) -> dict[str, object]:
        """Name all that an iteration may change: attributes of the module and its parts, optimizers, sums."""
        state: dict[str, object] = {
            f"{name}.{key}": value
            for name, part in self.module.named_modules(prefix="self")
            for key, value in vars(part).items()
            if key not in REGISTERED
        }
        for phase, optimizer in self.optimizers.items():
            groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
            state[f"the optimizer of phase {phase.name!r}"] = [list(optimizer.state.values()), groups]
        return {**state, "the sums of the loss terms": self._sums}


def total(phase: Phase, terms: Mapping[str, Tensor]) -> Tensor:
    """Sum the terms of a phase's loss that have a gradient; the others are there to be logged.

    Raises:
        TypeError: for a loss that is no mapping of names to scalar tensors, or has no gradient.
    """
    if not isinstance(terms, Mapping) or not terms:
        raise TypeError(
            f"the loss of phase {phase.name!r} must return named terms, such as {{'adversarial': tensor}}, "
            f"not {type(terms).__name__}"
        )
    for name, value in terms.items():
        if not isinstance(value, Tensor) or value.ndim != 0:
            raise TypeError(f"phase {phase.name!r}: loss term {name!r} must be a scalar tensor")
    trained = [value for value in terms.values() if value.requires_grad]
    if not trained:
        raise TypeError(f"phase {phase.name!r}: no term of its loss has a gradient, so nothing would be trained")
    return reduce(add, trained)


def fit_checkpoint(checkpoint: dict[str, Any], optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Change a checkpoint in place, so that Lightning continues from it on whatever device this is.

    Args:
        checkpoint: as Lightning saved it.
        optimizers: fresh ones of the same module, on its device.
    """
    checkpoint.pop("loops", None)  # Lightning counts epochs and batches; we count iterations, so its loops start at 0
    states = checkpoint.get("optimizer_states", [])
    for index, (saved, fresh) in enumerate(zip(states, optimizers, strict=False)):
        states[index] = fitted_state(fresh, saved)
