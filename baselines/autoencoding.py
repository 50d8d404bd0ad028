"""Define what autoencoding models share: images to codes and back."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmark import GANModule


class Autoencoding(GANModule):
    """A model with an encoder, whose code of an image is a function of the image."""

    encoder: nn.Module
    """Images to what describes their codes, (n, OUTPUTS * latent_dim)."""

    OUTPUTS: ClassVar[int] = 1
    """How many numbers of the encoder describe one dimension of a code."""

    def draw_codes(self, images: Tensor) -> Tensor:
        """Draw a code for each image from q(z|x), (n, latent_dim), as training does: here the code itself."""
        return self.encode(images)

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) in [-1, 1] to codes (n, latent_dim)."""
        return self.encoder(images)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images to their reconstructions, both (n, c, h, w) in [-1, 1]."""
        return self.generator(self.encode(images))


class GaussianAutoencoding(Autoencoding):
    """A model whose q(z|x) is a Gaussian with a diagonal covariance, of which the encoder gives means and log variances."""

    OUTPUTS = 2

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, c, h, w) to the means and the log variances of their codes, both (n, latent_dim)."""
        mean, log_variance = self.encoder(images).chunk(2, 1)
        return mean, log_variance

    def draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Draw one code from each Gaussian, differentiable in both (n, latent_dim): mean + deviation * N(0, I)."""
        noise = torch.randn(mean.shape, generator=self.randomness, device=mean.device)
        return mean + (0.5 * log_variance).exp() * noise

    def draw_codes(self, images: Tensor) -> Tensor:
        return self.draw(*self.posterior(images))

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) in [-1, 1] to the means of their codes (n, latent_dim), which vary less than drawn codes do."""
        return self.posterior(images)[0]
