"""The Wasserstein objective, its gradient penalty, and the independent critic that is trained on them.

Arjovsky et al. 2017 (arXiv 1701.07875), Gulrajani et al. 2017 (arXiv 1704.00028), Danihelka et al. 2017 (arXiv 1705.05263).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Critic = Callable[[Tensor], Tensor]
"""Images (n, c, h, w) to one score each, (n,). Scores of one image must not depend on the others: no batch norm."""


def critic_loss(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """E[f(fake)] - E[f(real)], which a critic minimizes (Gulrajani et al. 2017, equation 3, first part).

    Minus its minimum over 1-Lipschitz f is the Wasserstein-1 distance, so the loss is at most 0 for a critic that works.

    Args:
        critic: scores images; see `Critic`.
        real: (n, c, h, w).
        fake: (m, c, h, w).

    Returns:
        A scalar in score units.
    """
    return critic(fake).mean() - critic(real).mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Mean over samples of (||grad f(x)||_2 - 1)^2 at points x between real and fake (Gulrajani et al. 2017, equation 3).

    One point per pair, uniform on the segment between them. Unweighted: multiply by the penalty weight (10 in both papers).
    Where the gradient is exactly 0 the penalty is 1 and its own gradient is 0, not NaN as a plain square root would give.

    Args:
        critic: scores images; see `Critic`.
        real: (n, c, h, w), on the device of `generator`.
        fake: (n, c, h, w).
        generator: the source of the n interpolation weights; None takes torch's global one.

    Returns:
        A non-negative scalar that can be differentiated by the critic's parameters.

    Raises:
        ValueError: if real and fake differ in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real and fake images must pair up: {tuple(real.shape)} against {tuple(fake.shape)}")
    weight_shape = (len(real),) + (1,) * (real.ndim - 1)
    weight = torch.rand(weight_shape, generator=generator, device=real.device, dtype=real.dtype)
    between = torch.lerp(real.detach(), fake.detach(), weight).requires_grad_(True)
    scores = critic(between)
    if not scores.requires_grad:  # a critic that ignores its input: the gradient is 0 everywhere
        return torch.ones((), device=real.device, dtype=real.dtype)
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True, allow_unused=True, materialize_grads=True)
    squared = gradient.flatten(1).square().sum(1)
    flat = squared == 0
    norm = torch.where(flat, 1.0, squared).sqrt().masked_fill(flat, 0.0)
    return (norm - 1).square().mean()


class CriticNotReady(RuntimeError):
    """The critic was asked for a value before it had all the training of its protocol."""


@dataclass(frozen=True)
class CriticValue:
    """What a trained critic says of a generator. Higher is better; 0 is the ceiling in expectation."""

    value: float
    """E_G[f] - E_real[f], in score units: minus the estimated Wasserstein distance."""
    standard_error: float
    """Of `value` over redrawing both sets of images, the critic held fixed."""
    n: int
    """Images on each side."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval over redrawing the images."""
        return self.value - 1.96 * self.standard_error, self.value + 1.96 * self.standard_error


class WassersteinCritic:
    """The independent critic: trained on validation images, it tells how far a generator is from the test images.

    Rosca et al. 2017, section 4, after Danihelka et al. 2017, with the gradient penalty of Gulrajani et al. 2017.
    Goal: maximize. Known biases: an undertrained critic says 0, which looks perfect; so a value before `budget` steps is
    refused. Values compare only at equal network, budget, batch size and seed.

    Args:
        network: images (n, c, h, w) to scores (n,). Without batch norm; with biases, so that it is not homogeneous.
        budget: training steps after which it may be asked.
        penalty_weight: of the gradient penalty.
        learning_rate: of Adam, with betas (0.5, 0.9).
        generator: the source of the penalty's draws, on the network's device.

    Raises:
        ValueError: if the network holds batch norm, which would tie the scores of a batch together.
    """

    def __init__(
        self,
        network: nn.Module,
        budget: int,
        penalty_weight: float = 10.0,
        learning_rate: float = 1e-4,
        generator: torch.Generator | None = None,
    ) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
            raise ValueError("the critic's network has batch norm: a penalty per sample needs scores per sample")
        self.network = network
        self.budget = budget
        self.penalty_weight = penalty_weight
        self.generator = generator
        self.steps = 0
        self.optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.5, 0.9))

    def step(self, real: Tensor, fake: Tensor) -> None:
        """One update on validation images and samples, both (n, c, h, w) in [-1, 1]."""
        penalty = gradient_penalty(self.network, real, fake, self.generator)
        loss = critic_loss(self.network, real, fake) + self.penalty_weight * penalty
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.steps += 1

    def train(self, batches: Iterator[tuple[Tensor, Tensor]]) -> WassersteinCritic:
        """Take what is left of the budget from pairs (real, fake) of minibatches."""
        while self.steps < self.budget:
            self.step(*next(batches))
        return self

    def value(self, fake: Iterable[Tensor], real: Iterable[Tensor]) -> CriticValue:
        """Compare samples with held-out images, each an iterable of batches (n, c, h, w) in [-1, 1].

        Raises:
            CriticNotReady: before `budget` steps.
            ValueError: if a side has fewer than two images.
        """
        if self.steps < self.budget:
            raise CriticNotReady(f"the critic has had {self.steps} of its {self.budget} training steps")
        on_fake, on_real = self.scores(fake), self.scores(real)
        if min(len(on_fake), len(on_real)) < 2:
            raise ValueError("a critic's value needs at least two images on each side")
        error = math.sqrt(on_fake.var().item() / len(on_fake) + on_real.var().item() / len(on_real))
        return CriticValue((on_fake.mean() - on_real.mean()).item(), error, min(len(on_fake), len(on_real)))

    @torch.no_grad()
    def scores(self, batches: Iterable[Tensor]) -> Tensor:
        """The score of every image, (n,), in float64."""
        return torch.cat([self.network(images).double() for images in batches])

    def state_dict(self) -> dict[str, object]:
        """Everything that a resumed training needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
