"""Define the adversarial autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from baselines.autoencoding import Autoencoding
from benchmark import Phase, losses, networks


class AAE(Autoencoding):
    """An autoencoder whose codes a discriminator of codes compares with the prior; nobody judges images.

    Makhzani, Shlens, Jaitly, Goodfellow, Frey 2015 (arXiv 1511.05644): it fits the aggregated posterior of equation 1 to the
    prior by the standard game of a GAN. With logits c of the code discriminator (prior against code) and z ~ N(0, I):

        encoder, generator  λ |x - G(E(x))|₁ - log C(E(x))
        code discriminator  -log C(z) - log(1 - C(E(x)))

    It is the α-GAN without its discriminator of images.

    Updates of one iteration: encoder and generator, code discriminator, each once, with its own minibatch and latents.

    Settings: rates near those of Tolstikhin et al. 2017 (WAE-GAN, arXiv 1711.01558: 3e-4 and 1e-3), the only ones published for
    convolutions; their weights of the reconstruction are 6 to 25 in these units. The sweep has the α-GAN's rates and weights.

    Deviations and choices:
    * One joint phase for reconstruction and prior, as in WAE-GAN. The paper has a phase and an optimizer for each, and Adam in
      phases of their own would make the weight λ meaningless.
    * Codes are deterministic, as in the paper's results.
    * L1 over pixels in place of the squared error, as the other models here have.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4, 1e-3),
        "code_discriminator_learning_rate": (1e-4, 2e-4, 1e-3),
        "reconstruction_weight": (1.0, 10.0, 50.0),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        code_discriminator_learning_rate: float = 1e-3,
        reconstruction_weight: float = 10.0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(image_shape, latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.code_discriminator = networks.code_discriminator(latent_dim, width)

    def phases(self) -> list[Phase]:
        rates = self.hparams
        autoencoder = Phase("autoencoder", [self.encoder, self.generator], self.autoencoder_loss, rates.learning_rate)
        judge = [self.code_discriminator]
        return [
            autoencoder,
            Phase("code_discriminator", judge, self.code_discriminator_loss, rates.code_discriminator_learning_rate),
        ]

    def autoencoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.encode(images)
        return {
            "reconstruction": self.hparams.reconstruction_weight * losses.l1(images, self.generator(codes)),
            "code": losses.non_saturating(self.code_discriminator(codes)),
        }

    def code_discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "prior": losses.real_loss(self.code_discriminator(self.prior(len(images)))),
            "code": losses.fake_loss(self.code_discriminator(self.encode(images))),
        }
