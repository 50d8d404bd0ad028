"""Train an independent critic on held-out images, to tell how far samples are from others (Rosca et al. 2017, section 4).

Danihelka et al. 2017 (arXiv 1705.05263), Gulrajani et al. 2017 (arXiv 1704.00028).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from metrics.catalogue import METRICS
from metrics.checks import check_images
from metrics.optimizers import adam, fitted_state
from metrics.wasserstein import critic_loss, gradient_penalty


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
    """Train a critic on validation images and samples; its value tells how far a generator is from the test images.

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
        self.parameters = list(network.parameters())
        self.optimizer = adam(self.parameters, learning_rate)

    def step(self, real: Tensor, fake: Tensor) -> None:
        """Take one update on validation images and samples, both (n, c, h, w) in [-1, 1]."""
        self.update(real, fake)
        self.steps += 1

    def update(self, real: Tensor, fake: Tensor) -> None:
        """Take it without counting: all that it does is on the device, so that it can be captured as a graph."""
        penalty = gradient_penalty(self.network, real, fake, self.generator)
        loss = critic_loss(self.network, real, fake) + self.penalty_weight * penalty
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def train(self, batches: Iterator[tuple[Tensor, Tensor]]) -> WassersteinCritic:
        """Take what is left of the budget from pairs (real, fake) of minibatches."""
        while self.steps < self.budget:
            self.step(*next(batches))
        return self

    def check_ready(self) -> None:
        """Refuse to be asked before the budget is spent.

        Raises:
            CriticNotReady: if so.
        """
        if self.steps < self.budget:
            raise CriticNotReady(f"the critic has had {self.steps} of its {self.budget} training steps")

    def value(self, fake: Iterable[Tensor], real: Iterable[Tensor]) -> CriticValue:
        """Compare samples with held-out images, each an iterable of batches (n, c, h, w) in [-1, 1].

        Raises:
            CriticNotReady: before `budget` steps.
            ValueError: if a side has fewer than two images.
        """
        self.check_ready()
        on_fake, on_real = self.scores(fake), self.scores(real)
        if min(len(on_fake), len(on_real)) < 2:
            raise ValueError("a critic's value needs at least two images on each side")
        error = math.sqrt(on_fake.var().item() / len(on_fake) + on_real.var().item() / len(on_real))
        return CriticValue((on_fake.mean() - on_real.mean()).item(), error, min(len(on_fake), len(on_real)))

    @torch.no_grad()
    def scores(self, batches: Iterable[Tensor]) -> Tensor:
        """Score every image of batches (n, c, h, w) in [-1, 1]: (n,), in float64."""
        return torch.cat([self.network(images).double() for images in batches])

    def state_dict(self) -> dict[str, object]:
        """Collect everything that a resumed training needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(fitted_state(self.optimizer, state["optimizer"]))
        self.steps = state["steps"]


class CriticScore(Metric):
    """Compute E_G[f] - E_real[f] of samples and held-out images (Rosca et al. 2017, section 4): minus the estimated distance.

    In score units, 0 in expectation for real images. Known biases: see `WassersteinCritic`; values compare only at equal critic
    budget, network and seed.

    Args:
        critic: trained for its whole budget, on other real images than those it is asked about.
    """

    goal = METRICS["critic"].goal
    higher_is_better = True
    is_differentiable = False
    full_state_update = False
    n: Tensor
    total: Tensor

    def __init__(self, critic: WassersteinCritic) -> None:
        super().__init__()
        self.critic = critic
        self.add_state("n", torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, images: Tensor, real: bool) -> None:
        """Add samples or held-out images, (n, c, h, w) in [-1, 1].

        Raises:
            CriticNotReady: before the critic's budget is spent.
            ValueError: for images of another range or type.
        """
        self.critic.check_ready()
        side = int(real)
        scores = self.critic.scores([check_images(images)])
        self.n[side] += len(scores)
        self.total[side] += scores.sum()

    def compute(self) -> Tensor:
        """Compute the difference of the means so far, a float64 scalar; NaN as long as a side has no images."""
        on_samples, on_real = self.total / self.n
        return on_samples - on_real
