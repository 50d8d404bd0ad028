"""Define the cycle-consistent reading of the α-GAN."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from alphagan.alphagan import AlphaGAN
from benchmark import losses


class CycleAlphaGAN(AlphaGAN):
    """The α-GAN with reconstructions of latents beside those of images: a cycle between images and codes.

    Rosca et al. 2017, section 4, where the α-GAN is compared with Zhu et al. 2017 (CycleGAN, arXiv 1703.10593). To the losses of
    encoder and generator it adds, for z ~ N(0, I),

        κ |z - E(G(z))|₁     as a mean over the latent dimensions

    and leaves everything else: the density ratios too, which the bound needs and CycleGAN's least squares are not.

    Updates of one iteration: E, G, E, G, D, C, as in the α-GAN.

    Settings: κ = 1, of the order of the code discriminator's logit; of a code that tells nothing the term is .8 κ, of an
    independent standard normal one 1.13 κ. No source has a sweep: this one takes the α-GAN's weights, one for both networks, with
    κ an order of magnitude to each side.

    Deviations and choices:
    * Both networks have the term, as in CycleGAN; either alone would leave half of the cycle untied.
    * One reconstruction weight, where the α-GAN has two, and one rate for E and G, one for D and C.
    * No pool of earlier samples and no decay of the rates, which CycleGAN has.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4),
        "reconstruction_weight": (1.0, 10.0, 50.0),
        "code_weight": (0.1, 1.0, 10.0),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        reconstruction_weight: float = 10.0,
        code_weight: float = 1.0,
        width: float = 1.0,
    ) -> None:
        super().__init__(
            image_shape,
            latent_dim,
            learning_rate,
            discriminator_learning_rate,
            code_discriminator_learning_rate=discriminator_learning_rate,
            encoder_reconstruction_weight=reconstruction_weight,
            generator_reconstruction_weight=reconstruction_weight,
            width=width,
        )

    def encoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {**super().encoder_loss(images), "cycle": self.cycle_term(len(images))}

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {**super().generator_loss(images), "cycle": self.cycle_term(len(images))}

    def cycle_term(self, n: int) -> Tensor:
        """What n latents differ by from the codes of the samples that they become, weighted."""
        latents = self.prior(n)
        return self.hparams.code_weight * losses.l1(latents, self.encode(self.generator(latents)))
