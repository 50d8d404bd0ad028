"""Define DeePSiM, the model of Dosovitskiy and Brox with a deep perceptual similarity metric."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from baselines.autoencoding import Autoencoding
from baselines.comparator import Comparator
from benchmark import Phase, losses, networks


class DeePSiM(Autoencoding):
    """An autoencoder that compares images by the features of a frozen classifier, and has a discriminator of reconstructions.

    Dosovitskiy, Brox 2016 (arXiv 1602.02644), equations 2 to 6. With features C of the comparator, codes E(x), logits d (real
    against reconstruction) and Δ the KL divergence of a Gaussian fitted to a minibatch of codes to N(0, I) (Rosca et al. 2017,
    equation 18), divided by the d latent dimensions:

        encoder, generator  λ_f |C(x) - C(G(E(x)))|² + λ_i |x - G(E(x))|² - log D(G(E(x))) + Δ(E(x))
        discriminator       -log D(x) - log(1 - D(G(E(x))))

    where |.|² are means. Samples of the prior are in no loss.

    Updates of one iteration: encoder and generator, discriminator, each once, with its own minibatch.

    Settings: λ_f = .46 and λ_i = 25 are the published .01 and 2e-6, of sums over features and over pixels in [0, 255], relative
    to the adversarial term's 100, in these units. The sweep brackets λ_f and has λ_i = 0 beside it, as Rosca et al. describe the
    model without the pixels' term.

    Deviations and choices:
    * The divergence of codes is that which Rosca et al. ascribe to the model, with a deterministic encoder.
    * The comparator is a small classifier of digits (at 28 pixels) or of CIFAR-10's objects (elsewhere), unless `comparator` says
      which, and looks at maps of a quarter of the images' size; the authors' is AlexNet's fifth layer. It is not a network that
      scores samples here, but the labels that it learned are those of the digit and the CIFAR-10 classifiers: scores of these two
      favour this model.
    * The authors pause a player that is ahead; here each has the same number of updates.
    * The suite's networks and Adam; theirs has betas (.9, .999), weight decay and a rate that falls in steps.
    """

    sweep = {"learning_rate": (1e-4, 2e-4), "feature_weight": (0.1, 1.0, 10.0), "image_weight": (0.0, 25.0)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        feature_weight: float = 0.46,
        image_weight: float = 25.0,
        comparator: str | None = None,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(image_shape, latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width)
        self.comparator = Comparator(comparator or ("digits" if image_shape[1] == 28 else "objects"))

    def phases(self) -> list[Phase]:
        rate = self.hparams.learning_rate
        return [
            Phase("autoencoder", [self.encoder, self.generator], self.autoencoder_loss, rate),
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rate),
        ]

    def autoencoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.encode(images)
        reconstructions = self.generator(codes)
        weights = self.hparams
        return {
            "features": weights.feature_weight * losses.l2(self.comparator(images), self.comparator(reconstructions)),
            "image": weights.image_weight * losses.l2(images, reconstructions),
            "adversarial": losses.non_saturating(self.discriminator(reconstructions)),
            "kl": losses.empirical_kl(codes) / codes.shape[1],
        }

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "real": losses.real_loss(self.discriminator(images)),
            "reconstruction": losses.fake_loss(self.discriminator(self.reconstruct(images))),
        }
