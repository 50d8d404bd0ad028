"""Define the α-GAN and its ablation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from benchmark import GANModule, Phase, losses, networks


class AlphaGAN(GANModule):
    """An autoencoder whose likelihood and prior terms are density ratios, each estimated by a discriminator.

    Rosca, Lakshminarayanan, Warde-Farley, Mohamed 2017 (arXiv 1706.04987), Algorithm 1. With x real, ẑ = E(x), z ~ N(0, I),
    logits d of the discriminator (real against fake) and c of the code discriminator (prior against code):

        encoder             λ_E |x - G(ẑ)|₁ - c(ẑ)                                        equations 10, 11
        generator           λ_G |x - G(ẑ)|₁ - d(G(ẑ)) - d(G(z))                           equations 9, 12, 13
        discriminator       -log D(x) - ½ log(1 - D(G(ẑ))) - ½ log(1 - D(G(z)))           equations 14, 15
        code discriminator  -log C(z) - log(1 - C(ẑ))                                     equations 16, 17

    Updates of one iteration: E, G, E, G, D, C, each with its own Adam, minibatch and latents. `code_prior="empirical_kl"`
    is the ablation of appendix D: equation 18, divided by the latent size, in place of -c(ẑ) and of the code discriminator.

    Deviations and choices:
    * The code discriminator's loss is the corrected one: arXiv v1 has prior and code exchanged, as its authors confirmed.
    * -log D + log(1 - D) is computed as minus the logit, to which it is equal.
    * Real images weigh as much as both kinds of fakes together (the paper's weights are lost); L1 is a mean over pixels.
    * Batch norm sees real images, reconstructions and samples in batches of their own; the code discriminator has none.
    * Every update has a minibatch of its own.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4, 1e-3),
        "discriminator_learning_rate": (1e-4, 2e-4, 1e-3),
        "code_discriminator_learning_rate": (1e-4, 2e-4, 1e-3),
        "encoder_reconstruction_weight": (1.0, 5.0, 10.0, 50.0),
        "generator_reconstruction_weight": (1.0, 5.0, 10.0, 50.0),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        code_discriminator_learning_rate: float = 2e-4,
        encoder_reconstruction_weight: float = 10.0,
        generator_reconstruction_weight: float = 10.0,
        code_prior: Literal["discriminator", "empirical_kl"] = "discriminator",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if code_prior not in ("discriminator", "empirical_kl"):
            raise ValueError(f"code_prior is 'discriminator' or 'empirical_kl', not {code_prior!r}")
        self.encoder = networks.encoder(image_shape, latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width)
        if code_prior == "discriminator":
            self.code_discriminator = networks.code_discriminator(latent_dim, width)

    def phases(self) -> list[Phase]:
        rates = self.hparams
        encoder = Phase("encoder", [self.encoder], self.encoder_loss, rates.learning_rate)
        generator = Phase("generator", [self.generator], self.generator_loss, rates.learning_rate)
        discriminator = Phase("discriminator", [self.discriminator], self.discriminator_loss, rates.discriminator_learning_rate)
        iteration = [encoder, generator, encoder, generator, discriminator]
        if rates.code_prior == "discriminator":
            iteration.append(
                Phase(
                    "code_discriminator",
                    [self.code_discriminator],
                    self.code_discriminator_loss,
                    rates.code_discriminator_learning_rate,
                )
            )
        return iteration

    def encode(self, images: Tensor) -> Tensor:
        """Encode images, (n, c, h, w) in [-1, 1], as codes (n, latent_dim)."""
        return self.encoder(images)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encode and decode images; both (n, c, h, w) in [-1, 1]."""
        return self.generator(self.encode(images))

    def encoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.encode(images)
        reconstruction = losses.l1(images, self.generator(codes))
        return {
            "reconstruction": self.hparams.encoder_reconstruction_weight * reconstruction,
            "code": self.code_term(codes),
        }

    def code_term(self, codes: Tensor) -> Tensor:
        """Compute what pulls the codes to the prior: the code discriminator's ratio, or the ablation's empirical KL."""
        if self.hparams.code_prior == "empirical_kl":
            return losses.empirical_kl(codes) / codes.shape[1]
        return losses.reverse_kl(self.code_discriminator(codes))

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        reconstructions = self.reconstruct(images)
        weight = self.hparams.generator_reconstruction_weight
        return {
            "reconstruction": weight * losses.l1(images, reconstructions),
            "adversarial_reconstruction": self.adversarial_term(reconstructions),
            "adversarial_sample": self.adversarial_term(self.sample(len(images))),
        }

    def adversarial_term(self, fakes: Tensor) -> Tensor:
        """Compute what makes fakes look real to the discriminator: the synthetic likelihood's reverse-KL form."""
        return losses.reverse_kl(self.discriminator(fakes))

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "real": losses.real_loss(self.discriminator(images)),
            "reconstruction": 0.5 * losses.fake_loss(self.discriminator(self.reconstruct(images))),
            "sample": 0.5 * losses.fake_loss(self.discriminator(self.sample(len(images)))),
        }

    def code_discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "prior": losses.real_loss(self.code_discriminator(self.prior(len(images)))),
            "code": losses.fake_loss(self.code_discriminator(self.encode(images))),
        }


class EmpiricalKLAlphaGAN(AlphaGAN):
    """The ablation of appendix D as a model of its own: the α-GAN with the empirical KL in place of the code discriminator.

    Rosca et al. 2017, equation 18. Its sweep has no code discriminator to tune.
    """

    sweep = {name: values for name, values in AlphaGAN.sweep.items() if name != "code_discriminator_learning_rate"}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        encoder_reconstruction_weight: float = 10.0,
        generator_reconstruction_weight: float = 10.0,
        width: float = 1.0,
    ) -> None:
        super().__init__(
            image_shape,
            latent_dim,
            learning_rate,
            discriminator_learning_rate,
            encoder_reconstruction_weight=encoder_reconstruction_weight,
            generator_reconstruction_weight=generator_reconstruction_weight,
            code_prior="empirical_kl",
            width=width,
        )
