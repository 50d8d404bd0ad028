"""Describe one iteration of training: its phases and the order of their updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metrics.optimizers import adam, fit_to_device

Loss = Callable[[Tensor], Mapping[str, Tensor]]
MakeOptimizer = Callable[[list[nn.Parameter], float], torch.optim.Optimizer]


@dataclass(eq=False)
class Phase:
    """Describe one kind of update: some networks move down one loss, by an optimizer of their own.

    One object that stands several times in the list of phases keeps one optimizer.

    Args:
        name: for the logs; unique in a model.
        networks: those whose parameters change. No others' parameters do.
        loss: from a minibatch of real images, (n, c, h, w) in [-1, 1], to named, weighted scalar terms. They are summed to train
            and logged one by one. A term without a gradient (a detached one) is logged only.
        learning_rate: of the optimizer.
        updates: repeats in place, each with a fresh minibatch and fresh latents; at least 1.
        optimizer: from (parameters, learning rate) to an optimizer; Adam with betas (0.5, 0.9) unless given. The flag
            `capturable` of torch's optimizers is set for you: on a GPU, and nowhere else.
        after: runs without gradients after each step: weight clipping, moving averages.

    Raises:
        ValueError: for less than one update.
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
        """List the parameters of the phase's networks, each once, in order."""
        return list(dict.fromkeys(parameter for network in self.networks for parameter in network.parameters()))


@dataclass(frozen=True)
class Schedule:
    """Say for each update of an iteration which parameters move and which are held fixed."""

    phases: tuple[Phase, ...]
    """Each phase once, in order of appearance; the optimizers stand in the same order."""
    updates: tuple[Phase, ...]
    """One entry an update of one iteration."""
    parameters: Mapping[Phase, tuple[nn.Parameter, ...]]
    """Of each phase: those that move, frozen ones left out."""
    others: Mapping[Phase, tuple[nn.Parameter, ...]]
    """Of each phase: those that move in other phases only."""

    @classmethod
    def of(cls, listed: Sequence[Phase]) -> Schedule:
        """Make the schedule of a list of phases, as `GANModule.phases` returns it."""
        phases = tuple(dict.fromkeys(listed))
        parameters = {phase: tuple(p for p in phase.parameters() if p.requires_grad) for phase in phases}
        trainable = dict.fromkeys(p for phase in phases for p in parameters[phase])
        moving = {phase: set(parameters[phase]) for phase in phases}
        return cls(
            phases=phases,
            updates=tuple(phase for phase in listed for _ in range(phase.updates)),
            parameters=parameters,
            others={phase: tuple(p for p in trainable if p not in moving[phase]) for phase in phases},
        )

    def new_optimizers(self) -> list[torch.optim.Optimizer]:
        """Make one optimizer a phase, in the order of `phases`."""
        return [
            fit_to_device((phase.optimizer or adam)(list(self.parameters[phase]), phase.learning_rate)) for phase in self.phases
        ]
