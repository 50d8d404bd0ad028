"""Define VAE-GAN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.autoencoding import GaussianAutoencoding
from benchmark import Phase, losses, networks

SMALLEST_MAPS = 7
"""Side of the maps that images are compared by: those of 7x7 or 8x8 at all sizes of 28 and a power of two."""


class VAEGAN(GaussianAutoencoding):
    """A variational autoencoder that compares images by what the discriminator of a GAN sees in them.

    Larsen, Sønderby, Larochelle, Winther 2016 (arXiv 1512.09300), equations 5 to 8 and Algorithm 1. D_l are the features of the
    discriminator at the convolution that leaves maps of 8x8 (7x7 for images of 28), before its batch norm; with z ~ q(z|x),
    z_p ~ N(0, I) and logits d:

        encoder        KL(q(z|x) || N(0, I)) + F                              F = ½ |D_l(x) - D_l(G(z))|², summed over features
        generator      γ F - ½ log D(G(z)) - ½ log D(G(z_p))
        discriminator  -log D(x) - ½ log(1 - D(G(z))) - ½ log(1 - D(G(z_p)))

    So the encoder has no adversarial term, and the discriminator none of the features, which it would shrink to nothing.

    Updates of one iteration: encoder, generator, discriminator, each once, with its own minibatch and latents.

    Settings: γ = 1e-5 is the authors' for CIFAR-10, 1e-6 for CelebA; their rate is 3.9e-4 with RMSProp. The sweep brackets both,
    and has larger γ, as those sums are over fewer features here (3136 at 28 pixels, 8192 at 32, 16384 at 64).

    Deviations and choices:
    * Reconstructions and samples are fakes alike, as in the paper; the authors' scripts leave the reconstructions out.
    * The generator's adversarial terms do not saturate; the authors minimize log(1 - D).
    * The authors skip updates of the player that is ahead; here each has the same number.
    * Each player has a minibatch of its own, where theirs share one; real, reconstructed and sampled images go through the
      discriminator as one batch, as theirs do.
    * Adam with a constant rate, where theirs is RMSProp, which they anneal; no weight decay.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4, 4e-4),
        "discriminator_learning_rate": (1e-4, 2e-4),
        "feature_weight": (1e-6, 1e-5, 1e-4, 1e-3),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 4e-4,
        discriminator_learning_rate: float = 2e-4,
        feature_weight: float = 1e-5,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(image_shape, self.OUTPUTS * latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width)

    def phases(self) -> list[Phase]:
        rates = self.hparams
        return [
            Phase("encoder", [self.encoder], self.encoder_loss, rates.learning_rate),
            Phase("generator", [self.generator], self.generator_loss, rates.learning_rate),
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rates.discriminator_learning_rate),
        ]

    def judge(self, *batches: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Features and logits of batches of images that the discriminator sees as one."""
        depth = networks.depth_at(self.hparams.image_shape, SMALLEST_MAPS)
        features, logits = networks.features(self.discriminator, torch.cat(batches), depth)
        return list(features.chunk(len(batches))), list(logits.chunk(len(batches)))

    def encoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        mean, log_variance = self.posterior(images)
        features, _ = self.judge(images, self.generator(self.draw(mean, log_variance)))
        return {"kl": losses.gaussian_kl(mean, log_variance), "features": self.feature_loss(*features)}

    def feature_loss(self, real: Tensor, reconstructed: Tensor) -> Tensor:
        """F: minus the log-likelihood of features (n, k) under a Gaussian of unit variance around others, but for a constant."""
        return 0.5 * real.shape[1] * losses.l2(real, reconstructed)

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        features, logits = self.judge(images, self.generator(self.draw_codes(images)), self.sample(len(images)))
        return {
            "features": self.hparams.feature_weight * self.feature_loss(features[0], features[1]),
            "adversarial_reconstruction": 0.5 * losses.non_saturating(logits[1]),
            "adversarial_sample": 0.5 * losses.non_saturating(logits[2]),
        }

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        _, logits = self.judge(images, self.generator(self.draw_codes(images)), self.sample(len(images)))
        return {
            "real": losses.real_loss(logits[0]),
            "reconstruction": 0.5 * losses.fake_loss(logits[1]),
            "sample": 0.5 * losses.fake_loss(logits[2]),
        }
