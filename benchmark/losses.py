"""Compute the loss terms that models share.

Logits l, (n,), belong to a discriminator D = sigmoid(l), the probability of "real". Every term is a scalar with a gradient.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def real_loss(logits: Tensor) -> Tensor:
    """Compute -log D, for what the discriminator should call real, in nats (Rosca et al. 2017, equation 1)."""
    return F.softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Compute -log(1 - D), for what the discriminator should call fake, in nats (Rosca et al. 2017, equation 1)."""
    return F.softplus(logits).mean()


def reverse_kl(logits: Tensor) -> Tensor:
    """Compute -log D + log(1 - D), which is exactly minus the logit (Rosca et al. 2017, equations 8 and 9): no log, no epsilon.

    Minimized by the network whose outputs the logits judge. In expectation, for the optimal discriminator, KL(fake || real).

    Example:
        >>> import torch
        >>> reverse_kl(torch.tensor([1.0, 3.0]))
        tensor(-2.)
    """
    return -logits.mean()


def non_saturating(logits: Tensor) -> Tensor:
    """Compute -log D, minimized by the generator, in nats (Rosca et al. 2017, equation 2, the alternative)."""
    return F.softplus(-logits).mean()


def least_squares(logits: Tensor, target: float) -> Tensor:
    """Pull linear outputs d to a label: the mean of ½ (d - target)² (Mao et al. 2016, equation 2). Logits (n,) to a scalar.

    Example:
        >>> import torch
        >>> least_squares(torch.tensor([1.0, -1.0]), target=1.0)
        tensor(1.)
    """
    return 0.5 * (logits - target).square().mean()


def hinge_real(logits: Tensor) -> Tensor:
    """Push linear outputs d for real images up to 1, no further: the mean of max(0, 1 - d) (Miyato et al. 2018, equation 16).

    Example:
        >>> import torch
        >>> hinge_real(torch.tensor([2.0, 0.0]))
        tensor(0.5000)
    """
    return F.relu(1 - logits).mean()


def hinge_fake(logits: Tensor) -> Tensor:
    """Push linear outputs d for fakes down to -1, no further: the mean of max(0, 1 + d) (Miyato et al. 2018, equation 16)."""
    return F.relu(1 + logits).mean()


def l1(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Compute the mean absolute difference of images and reconstructions, both (n, c, h, w) in [-1, 1].

    A mean over pixels and batch (Rosca et al. 2017, equation 7, without its weight).
    """
    return F.l1_loss(reconstructions, images)


def empirical_kl(codes: Tensor) -> Tensor:
    """Compute KL(q || N(0, I)) in nats, q a diagonal Gaussian fitted to a minibatch (Rosca et al. 2017, equation 18).

    Sum over the d latent dimensions of (s^2 + m^2) / 2 - log s - 1/2, with mean m and population variance s^2, floored by
    adding 1e-6 (a clamp would have no gradient just where one is needed).

    Args:
        codes: (n, d), n at least 2.

    Example:
        >>> import torch
        >>> empirical_kl(torch.tensor([[2.0], [0.0]]))
        tensor(0.5000)
    """
    mean = codes.mean(0)
    variance = codes.var(0, correction=0) + 1e-6
    return 0.5 * (variance + mean.square() - variance.log() - 1).sum()


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) in nats, q a diagonal Gaussian for each image (Kingma and Welling 2013, appendix B).

    Sum over the d latent dimensions of (s^2 + m^2 - log s^2 - 1) / 2, mean over the batch.

    Args:
        mean: m, (n, d).
        log_variance: log s^2, (n, d).
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean()


def l2(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Mean squared difference, of images or of features, over all their numbers and the batch."""
    return F.mse_loss(reconstructions, images)
