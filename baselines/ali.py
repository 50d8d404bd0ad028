"""Define adversarially learned inference (ALI) and the bidirectional GAN (BiGAN)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from baselines.autoencoding import Autoencoding, GaussianAutoencoding
from benchmark import Phase, losses, networks


class BiGAN(Autoencoding):
    """A discriminator of pairs: images with their codes against samples with their latents; codes are deterministic.

    Donahue, Krähenbühl, Darrell 2016 (arXiv 1605.09782), equation 3. With logits d of the joint discriminator and z ~ N(0, I):

        encoder, generator  -log(1 - D(x, E(x))) - log D(G(z), z)
        discriminator       -log D(x, E(x)) - log(1 - D(G(z), z))

    Each of the first two terms reaches one network: the encoder wants its pairs to be called fake, the generator real. No term
    compares an image with its reconstruction.

    Updates of one iteration: encoder and generator `generator_updates` times, discriminator once, each with its own minibatch and
    latents.

    Settings: the authors' rate, 2e-4; one update each, as they have. The sweep is DCGAN's here, 1e-4 being that of
    Dumoulin et al. 2016.

    Deviations and choices:
    * The players move in turn, not at once.
    * The joint discriminator has no batch norm, by whose statistics it could tell the two kinds of pairs apart. The code joins
      the image's features at the end; the authors' biases every layer.
    * A normal prior and no weight decay, as for all models here; theirs is uniform, with 2.5e-5, and their rate decays.
    """

    sweep = {"learning_rate": (1e-4, 2e-4, 3e-4), "discriminator_learning_rate": (1e-4, 2e-4, 3e-4)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        generator_updates: int = 1,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(image_shape, self.OUTPUTS * latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.JointDiscriminator(image_shape, latent_dim, width)

    def phases(self) -> list[Phase]:
        rates, players = self.hparams, [self.encoder, self.generator]
        updates = rates.generator_updates
        return [
            Phase("encoder_generator", players, self.encoder_generator_loss, rates.learning_rate, updates),
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rates.discriminator_learning_rate),
        ]

    def encoded_pairs(self, images: Tensor) -> Tensor:
        """Logits (n,) of images (n, c, h, w) with codes that are drawn for them."""
        return self.discriminator(images, self.draw_codes(images))

    def generated_pairs(self, n: int) -> Tensor:
        """Logits (n,) of samples with the latents that they are made of."""
        latents = self.prior(n)
        return self.discriminator(self.generator(latents), latents)

    def encoder_generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "encoder": losses.fake_loss(self.encoded_pairs(images)),
            "generator": losses.non_saturating(self.generated_pairs(len(images))),
        }

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "encoded": losses.real_loss(self.encoded_pairs(images)),
            "generated": losses.fake_loss(self.generated_pairs(len(images))),
        }


class ALI(GaussianAutoencoding, BiGAN):
    """A discriminator of pairs, as in BiGAN, with codes that are drawn from a Gaussian for each image.

    Dumoulin et al. 2016 (arXiv 1606.00704): the value function of equation 1 with codes z = μ(x) + σ(x) ε of equation 2, and the
    losses of equation 4 and Algorithm 1:

        encoder, generator  -log(1 - D(x, z)) - log D(G(z_p), z_p)      z ~ N(μ(x), σ²(x)), z_p ~ N(0, I)
        discriminator       -log D(x, z) - log(1 - D(G(z_p), z_p))

    Updates of one iteration: as in BiGAN. Settings: the authors' rate, 1e-4.

    Deviations and choices:
    * Those of BiGAN, but for the prior, which is normal in the paper too.
    * The suite's networks in place of maxout and dropout; the paper's discriminator for CIFAR-10 has no batch norm either, and
      reduces an image to 512 numbers too.
    * Codes and reconstructions of images are those of the mean μ(x).
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        discriminator_learning_rate: float = 1e-4,
        generator_updates: int = 1,
        width: float = 1.0,
    ) -> None:
        super().__init__(image_shape, latent_dim, learning_rate, discriminator_learning_rate, generator_updates, width)
