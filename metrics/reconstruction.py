"""Compare images with their reconstructions by an autoencoding model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from metrics.catalogue import METRICS
from metrics.checks import check_images
from metrics.similarity import ms_ssim


@dataclass(frozen=True)
class ReconstructionErrors:
    """Hold the errors of every image and its reconstruction, each (n,), float64."""

    l1: Tensor
    """Mean absolute difference over pixels and channels, in units of the range [-1, 1], in [0, 2]. Goal: minimize."""
    mse: Tensor
    """Mean squared difference, in [0, 4]. Goal: minimize. Favours blur, as l1 does less."""
    ms_ssim: Tensor
    """MS-SSIM of the pair (Wang et al. 2003), in [0, 1]. Goal: maximize."""


def reconstruction_errors(images: Tensor, reconstructions: Tensor) -> ReconstructionErrors:
    """Compare images with their reconstructions, both (n, c, h, w) in [-1, 1].

    Known bias: a model with more latents reconstructs better; compare at equal latent size.

    Raises:
        ValueError: for images of another range or type, or shapes that do not match.
    """
    check_images(images)
    check_images(reconstructions)
    if images.shape != reconstructions.shape:
        raise ValueError(f"images and reconstructions must pair up: {tuple(images.shape)}, {tuple(reconstructions.shape)}")
    difference = (images.double() - reconstructions.double()).flatten(1)
    return ReconstructionErrors(difference.abs().mean(1), difference.square().mean(1), ms_ssim(images, reconstructions).double())


class ReconstructionError(Metric):
    """Average `reconstruction_errors` over all pairs, as a dictionary: l1 and mse (minimize), ms_ssim (maximize)."""

    goal: ClassVar[dict[str, str]] = {name: METRICS[f"reconstruction_{name}"].goal for name in ("l1", "mse", "ms_ssim")}
    is_differentiable = False
    full_state_update = False
    n: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("n", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, images: Tensor, reconstructions: Tensor) -> None:
        """Add pairs (n, c, h, w) in [-1, 1]."""
        errors = reconstruction_errors(images, reconstructions)
        self.n += len(images)
        self.total += torch.stack([errors.l1.sum(), errors.mse.sum(), errors.ms_ssim.sum()])

    def compute(self) -> dict[str, Tensor]:
        """Compute the means so far, float64 scalars."""
        return dict(zip(self.goal, self.total / self.n, strict=True))
