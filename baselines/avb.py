"""Define adversarial variational Bayes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.autoencoding import Autoencoding
from benchmark import Phase, losses, networks

NOISE_CHANNELS = 8
"""Numbers of noise an image, each spread over a channel of its own: fresh noise in each pixel would average out."""


class AVB(Autoencoding):
    """A variational autoencoder with any posterior that can be drawn from: an adversary estimates its divergence to the prior.

    Mescheder, Nowozin, Geiger 2017 (arXiv 1701.04722). The encoder draws z = E(x, ε), whose density nobody knows. The adversary
    T(x, z) tells a code from a prior draw for one image; its optimum is log q(z|x) - log p(z), so its mean over codes is
    KL(q(z|x) || p(z)). With σ the sigmoid and z_p ~ N(0, I):

        encoder, generator  λ |x - G(E(x, ε))|₁ + T(x, E(x, ε))
        adversary           -log σ(T(x, E(x, ε))) - log(1 - σ(T(x, z_p)))     equation 3.3

    T is a network plus (|z|² - d) / 2, which is -log p(z) up to a constant, so that the network learns log q(z|x) alone (the
    authors' code has |z|² / 2).

    Updates of one iteration: encoder and generator, adversary, each once, with its own minibatch and latents.

    Settings: λ = N / b for a Laplace distribution of scale b on N numbers an image, as T is in nats; the sweep's are b = 307, 31
    and 3 at 32 pixels. Its rates are the authors' (5e-5 for MNIST; 1e-4 for the adversary) and the α-GAN's. The adversary's
    default is ten times the others', as for their CelebA, whose 1e-5 is for 2.5 million steps.

    Deviations and choices:
    * Both players move in turn, not at once.
    * Eight channels of noise beside the image make the encoder random; the authors add noise in every layer.
    * The adversary is the suite's joint discriminator, without batch norm: the ratio of one pair must not depend on others.
    * No adaptive contrast, which needs an encoder with moments, and no annealing of the divergence.
    * Laplace likelihood of a fixed scale; the authors' is Gaussian with a learned one.
    * `encode` draws a code, like everything that trains.
    """

    sweep = {
        "learning_rate": (5e-5, 1e-4, 2e-4),
        "adversary_learning_rate": (1e-4, 2e-4, 1e-3),
        "reconstruction_weight": (10.0, 100.0, 1000.0),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        adversary_learning_rate: float = 1e-3,
        reconstruction_weight: float = 100.0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        channels, height, side = image_shape
        self.encoder = networks.encoder((channels + NOISE_CHANNELS, height, side), latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.adversary = networks.JointDiscriminator(image_shape, latent_dim, width, features=256)

    def phases(self) -> list[Phase]:
        rates = self.hparams
        return [
            Phase("autoencoder", [self.encoder, self.generator], self.autoencoder_loss, rates.learning_rate),
            Phase("adversary", [self.adversary], self.adversary_loss, rates.adversary_learning_rate),
        ]

    def encode(self, images: Tensor) -> Tensor:
        """Draw a code (n, latent_dim) for each image (n, c, h, w) in [-1, 1], with noise from `randomness`."""
        n, _, height, width = images.shape
        noise = torch.randn(n, NOISE_CHANNELS, 1, 1, generator=self.randomness, device=images.device)
        return self.encoder(torch.cat([images, noise.expand(-1, -1, height, width)], 1))

    def log_ratio(self, images: Tensor, codes: Tensor) -> Tensor:
        """T(x, z), (n,) in nats: the estimate of log q(z|x) - log p(z)."""
        return self.adversary(images, codes) + 0.5 * (codes.square().sum(1) - codes.shape[1])

    def autoencoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.encode(images)
        return {
            "reconstruction": self.hparams.reconstruction_weight * losses.l1(images, self.generator(codes)),
            "divergence": self.log_ratio(images, codes).mean(),
        }

    def adversary_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "code": losses.real_loss(self.log_ratio(images, self.encode(images))),
            "prior": losses.fake_loss(self.log_ratio(images, self.prior(len(images)))),
        }
