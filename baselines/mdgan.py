"""Define the mode regularized GANs: MDGAN and Reg-GAN."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from baselines.autoencoding import Autoencoding
from baselines.dcgan import DCGAN
from benchmark import Phase, losses, networks


class MDGAN(Autoencoding):
    """An autoencoder learns reconstructions that look real; samples then learn to look like its reconstructions.

    Che, Li, Jacob, Bengio, Li 2016 (arXiv 1612.02136), section 3.3: manifold-diffusion training. With logits d₁ (image against
    reconstruction), d₂ (reconstruction against sample) and z ~ N(0, I):

        manifold discriminator   -log D₁(x) - log(1 - D₁(G(E(x))))
        encoder, generator       λ |x - G(E(x))|₁ - log D₁(G(E(x)))
        diffusion discriminator  -log D₂(G(E(x))) - log(1 - D₂(G(z)))
        generator                -log D₂(G(z))

    To the second discriminator reconstructions are what is real, and no image is shown to it. Rosca et al. 2017, section 4,
    describe it as one of images against samples; this is the original.

    Updates of one iteration: as above, each once, with its own optimizer, minibatch and latents.

    Settings: the paper's ratio of reconstruction to adversarial term is 100 : 1, of squared errors; the sweep brackets it. Its
    rate is DCGAN's, 2e-4.

    Deviations and choices:
    * L1 over pixels in place of the squared error, as the other models here have.
    * The encoder moves with the generator in the manifold step, which the paper leaves open.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4),
        "discriminator_learning_rate": (1e-4, 2e-4),
        "reconstruction_weight": (1.0, 10.0, 100.0),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        reconstruction_weight: float = 100.0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(image_shape, latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.manifold_discriminator = networks.discriminator(image_shape, width)
        self.diffusion_discriminator = networks.discriminator(image_shape, width)

    def phases(self) -> list[Phase]:
        rate, judges_rate = self.hparams.learning_rate, self.hparams.discriminator_learning_rate
        return [
            Phase("manifold_discriminator", [self.manifold_discriminator], self.manifold_discriminator_loss, judges_rate),
            Phase("autoencoder", [self.encoder, self.generator], self.autoencoder_loss, rate),
            Phase("diffusion_discriminator", [self.diffusion_discriminator], self.diffusion_discriminator_loss, judges_rate),
            Phase("generator", [self.generator], self.generator_loss, rate),
        ]

    def manifold_discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "real": losses.real_loss(self.manifold_discriminator(images)),
            "reconstruction": losses.fake_loss(self.manifold_discriminator(self.reconstruct(images))),
        }

    def autoencoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        reconstructions = self.reconstruct(images)
        return {
            "reconstruction": self.hparams.reconstruction_weight * losses.l1(images, reconstructions),
            "adversarial": losses.non_saturating(self.manifold_discriminator(reconstructions)),
        }

    def diffusion_discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "reconstruction": losses.real_loss(self.diffusion_discriminator(self.reconstruct(images))),
            "sample": losses.fake_loss(self.diffusion_discriminator(self.sample(len(images)))),
        }

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": losses.non_saturating(self.diffusion_discriminator(self.sample(len(images))))}


class RegGAN(Autoencoding, DCGAN):
    """A GAN whose generator must reconstruct every image too, so that no mode of the data is left out.

    Che et al. 2016 (arXiv 1612.02136), section 3.2. With logits d (real against sample) and z ~ N(0, I):

        encoder        λ₁ |x - G(E(x))|₁ - λ₂ log D(G(E(x)))
        generator      -log D(G(z)) + λ₁ |x - G(E(x))|₁ - λ₂ log D(G(E(x)))
        discriminator  -log D(x) - log(1 - D(G(z)))

    Reconstructions are no fakes to the discriminator: the term with λ₂ makes them look real where samples do not go.

    Updates of one iteration: encoder, generator, discriminator, each once, with its own minibatch and latents.

    Settings: λ₁ = .2 and λ₂ = .4, the paper's for MNIST. Whether its squared error is a mean or a sum is not said, so the sweep
    goes up from there.

    Deviations and choices:
    * The paper prints the last term with a plus, which would make reconstructions look less real.
    * L1 over pixels in place of the squared error, as the other models here have.
    """

    sweep = {
        "learning_rate": (1e-4, 2e-4, 3e-4),
        "reconstruction_weight": (0.2, 2.0, 20.0),
        "mode_weight": (0.04, 0.4),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        reconstruction_weight: float = 0.2,
        mode_weight: float = 0.4,
        width: float = 1.0,
    ) -> None:
        super().__init__(image_shape, latent_dim, learning_rate, discriminator_learning_rate, width)
        self.encoder = networks.encoder(image_shape, latent_dim, width)

    def phases(self) -> list[Phase]:
        generator, discriminator = super().phases()
        generator.updates = 1
        return [Phase("encoder", [self.encoder], self.regularizers, self.hparams.learning_rate), generator, discriminator]

    def regularizers(self, images: Tensor) -> dict[str, Tensor]:
        """The terms that encoder and generator share."""
        reconstructions = self.reconstruct(images)
        return {
            "reconstruction": self.hparams.reconstruction_weight * losses.l1(images, reconstructions),
            "mode": self.hparams.mode_weight * losses.non_saturating(self.discriminator(reconstructions)),
        }

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {**super().generator_loss(images), **self.regularizers(images)}
