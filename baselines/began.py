"""Define BEGAN, the boundary equilibrium GAN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark import GANModule, Phase, losses, networks


class BEGAN(GANModule):
    """A generator against an autoencoder that reconstructs real images well and samples badly, as far as a balance allows.

    Berthelot, Schumm, Metz 2017 (arXiv 1703.10717), section 3.4. With L(v) = |v - D(v)|, a mean over pixels and images:

        discriminator  L(x) - k L(G(z))
        generator      L(G(z))
        balance        k <- k + λ (γ L(x) - L(G(z))), clipped to [0, 1], from k = 0

    Updates of one iteration: D, then G, each with its own minibatch and latents, then k, with L(G(z)) of G's update and L(x) of
    D's. Logged beside the losses: k and the paper's measure of convergence, L(x) + |γ L(x) - L(G(z))|, which falls as it learns.
    γ (`diversity_ratio`) 0.5, λ (`balance_rate`) 0.001, a rate of 1e-4 and 64 numbers a code are the published ones. Sweep:
    around that rate, and γ from the paper's 0.3 to the 0.9 of Lucic et al. 2017.

    k moves by about 1e-4 an iteration, so for the first thousands of them D is little more than an autoencoder.

    Deviations and choices:
    * D is the shared encoder and generator in a row, without batch norm as in the paper, with ReLU and transposed convolutions
      where the paper has ELU and nearest-neighbour upsampling; G is the shared generator, with batch norm.
    * z ~ N(0, I) as for all models, not uniform; batches of 64, not 16; a constant rate, which the paper halves whenever the
      measure of convergence stalls.
    * Each update has a minibatch of its own, so the two errors in the balance are of different images.
    """

    sweep = {"learning_rate": (5e-5, 1e-4, 2e-4), "diversity_ratio": (0.3, 0.5, 0.7, 0.9)}
    k: Tensor
    real_error: Tensor
    sample_error: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        diversity_ratio: float = 0.5,
        balance_rate: float = 1e-3,
        code_dim: int = 64,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.autoencoder(image_shape, code_dim, width)
        for name in ("k", "real_error", "sample_error"):
            self.register_buffer(name, torch.zeros(()))

    def phases(self) -> list[Phase]:
        rate = self.hparams.learning_rate
        return [
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rate),
            Phase("generator", [self.generator], self.generator_loss, rate, after=self.balance),
        ]

    def error(self, images: Tensor) -> Tensor:
        """L: how far images (n, c, h, w) are from their reconstructions, a scalar in units of a pixel in [-1, 1]."""
        return losses.l1(images, self.discriminator(images))

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        real, sample = self.error(images), self.error(self.sample(len(images)))
        self.real_error.copy_(real.detach())
        return {"real": real, "sample": -self.k * sample}

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        sample = self.error(self.sample(len(images)))
        self.sample_error.copy_(sample.detach())
        return {"sample": sample, "k": self.k.clone(), "convergence": self.real_error + self.imbalance().abs()}

    def balance(self) -> None:
        """Move k towards where the errors of samples are γ times those of real images."""
        self.k.add_(self.hparams.balance_rate * self.imbalance()).clamp_(0, 1)

    def imbalance(self) -> Tensor:
        """γ L(x) - L(G(z)), of the latest two updates."""
        return self.hparams.diversity_ratio * self.real_error - self.sample_error
