"""The Wasserstein objective and its gradient penalty: the independent critic reports them, WGAN-GP trains with them.

Arjovsky et al. 2017 (arXiv 1701.07875), Gulrajani et al. 2017 (arXiv 1704.00028).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

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
    norm = squared.masked_fill(flat, 1.0).sqrt().masked_fill(flat, 0.0)
    return (norm - 1).square().mean()
