"""What a trained independent critic says of samples, batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from metrics.checks import check_images
from metrics.wasserstein import CriticNotReady, WassersteinCritic


class CriticScore(Metric):
    """E_G[f] - E_real[f] of samples and held-out images (Rosca et al. 2017, section 4): minus the estimated distance.

    In score units, 0 in expectation for real images. Known biases: see `WassersteinCritic`; values compare only at equal critic
    budget, network and seed.

    Args:
        critic: trained for its whole budget, on other real images than those it is asked about.
    """

    goal = "maximize"
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
        if self.critic.steps < self.critic.budget:
            raise CriticNotReady(f"the critic has had {self.critic.steps} of its {self.critic.budget} training steps")
        side = int(real)
        self.n[side] += len(images)
        self.total[side] += self.critic.scores([check_images(images)]).sum()

    def compute(self) -> Tensor:
        """The difference of the means so far, a float64 scalar; NaN as long as a side has no images."""
        on_samples, on_real = self.total / self.n
        return on_samples - on_real
