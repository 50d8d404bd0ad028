"""Define DCGAN."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from benchmark import GANModule, Phase, losses, networks


class DCGAN(GANModule):
    """A generator against a discriminator, with the non-saturating loss.

    Radford, Metz, Chintala 2015 (arXiv 1511.06434), as Rosca et al. 2017 trained it. With logits d:

        generator      -log D(G(z))                     Rosca et al., equation 2, the alternative
        discriminator  -log D(x) - log(1 - D(G(z)))     Rosca et al., equation 1

    Updates of one iteration: G, G, D, each with its own minibatch and latents.

    Deviations and choices: z ~ N(0, I) as in Rosca et al., not uniform; the second generator update draws new latents (the
    code that the paper points to reuses them); real and fake are separate batches for batch norm.
    """

    sweep = {"learning_rate": (1e-4, 2e-4, 3e-4), "discriminator_learning_rate": (1e-4, 2e-4, 3e-4)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width)

    def phases(self) -> list[Phase]:
        rates = self.hparams
        generator = Phase("generator", [self.generator], self.generator_loss, rates.learning_rate, updates=2)
        discriminator = Phase("discriminator", [self.discriminator], self.discriminator_loss, rates.discriminator_learning_rate)
        return [generator, discriminator]

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": losses.non_saturating(self.discriminator(self.sample(len(images))))}

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "real": losses.real_loss(self.discriminator(images)),
            "sample": losses.fake_loss(self.discriminator(self.sample(len(images)))),
        }
