"""Define EBGAN, the energy-based GAN."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from benchmark import GANModule, Phase, networks


class EBGAN(GANModule):
    """A generator against an autoencoder whose error is an energy: low for real images, raised to a margin for samples.

    Zhao, Mathieu, LeCun 2016 (arXiv 1609.03126). With the energy E(x) = |Dec(Enc(x)) - x| (equation 13) of each image:

        discriminator  E(x) + max(0, m - E(G(z)))                       equation 1
        generator      E(G(z)) + `pull_away_weight` PT(Enc(G(z)))       equations 2 and 14

    PT, the mean squared cosine between the codes of different samples, keeps samples apart; with a weight of 0.1 this is the
    paper's EBGAN-PT, with the default of 0 its EBGAN. Updates of one iteration: D, then G, each with its own minibatch and
    latents.

    The energy is the root mean square of an image's error, in units of a pixel in [-1, 1]; so the margin m means the same at
    every size and number of channels. The paper's margins are for the norm over all pixels: 10 for MNIST is 0.31 of ours; 20 for
    CelebA, the default, 0.18; 80 for LSUN 0.72. Sweep: a half to four times the default, the paper's two weights of PT, and
    rates up to its 1e-3, which is for fully connected networks on MNIST.

    Deviations and choices:
    * D is the shared encoder and generator in a row with 64 numbers a code, without batch norm: the hinge is one per image, so an
      energy must not depend on the rest of the batch.
    * The default rate is 2e-4, DCGAN's; the paper's text gives none for convolutional networks.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4, 1e-3),
        "margin": (0.09, 0.18, 0.36, 0.72),
        "pull_away_weight": (0.0, 0.1),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        margin: float = 0.18,
        pull_away_weight: float = 0.0,
        code_dim: int = 64,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.autoencoder(image_shape, code_dim, width)

    def phases(self) -> list[Phase]:
        rate = self.hparams.learning_rate
        return [
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rate),
            Phase("generator", [self.generator], self.generator_loss, rate),
        ]

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        samples = self.sample(len(images))
        sample_energies = energies(samples, self.discriminator(samples))
        return {
            "real": energies(images, self.discriminator(images)).mean(),
            "sample": F.relu(self.hparams.margin - sample_energies).mean(),
        }

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        encode, decode = self.discriminator
        samples = self.sample(len(images))
        codes = encode(samples)
        terms = {"energy": energies(samples, decode(codes)).mean()}
        if self.hparams.pull_away_weight:
            terms["pull_away"] = self.hparams.pull_away_weight * pull_away(codes)
        return terms


def energies(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Return the root mean square over an image's pixels of what its reconstruction differs by: (n, c, h, w) twice to (n,).

    Under the root stands 1e-12 more, for a gradient where nothing differs.
    """
    return ((images - reconstructions).square().flatten(1).mean(1) + 1e-12).sqrt()


def pull_away(codes: Tensor) -> Tensor:
    """Return the mean squared cosine between different codes (n, d), in [0, 1], n at least 2 (Zhao et al. 2016, equation 14)."""
    n, directions = len(codes), F.normalize(codes)
    return ((directions @ directions.T).square().sum() - n) / (n * (n - 1))
