"""Define the variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from baselines.autoencoding import GaussianAutoencoding
from benchmark import Phase, losses, networks


class VAE(GaussianAutoencoding):
    """An autoencoder whose codes are Gaussian and pay for what they tell about the image; no player is adversarial.

    Kingma, Welling 2013 (arXiv 1312.6114), the estimator of equation 10 with one draw an image; Rezende, Mohamed, Wierstra 2014
    (arXiv 1401.4082). The likelihood is a Laplace distribution of scale b around G(z), as in Rosca et al. 2017, equation 7.
    With N numbers an image, d latent dimensions and z = μ(x) + σ(x) ε, ε ~ N(0, I):

        encoder, generator  N / (b d) |x - G(z)|₁ + KL(N(μ, σ²) || N(0, I)) / d

    where |.|₁ is a mean over pixels: the negative evidence lower bound but for the constant N log 2b, divided by d so that
    `reconstruction` reads like the other models' weights. The bound itself, constant included, is logged as `negative_elbo`, in
    nats an image. The divergence is the closed form of appendix B.

    Updates of one iteration: one, of both networks.

    Settings: b is the mean absolute error that one expects of the best model (.1 to .2 in [-1, 1]); the paper has none to give,
    its networks being fully connected and its optimizer Adagrad. The sweep's rates are the range that Lucic et al. 2017
    (arXiv 1711.10337) searched, its scales bracket that error.

    Deviations and choices:
    * Codes and reconstructions of images are those of the mean μ(x), so codes vary less than draws from q(z|x) do.
    * Samples are the means G(z) of the likelihood, without its noise.
    * Adam and networks of the suite, batch norm included.
    """

    sweep = {"learning_rate": (1e-4, 2e-4, 1e-3), "scale": (0.05, 0.1, 0.3, 1.0)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        scale: float = 0.1,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(image_shape, self.OUTPUTS * latent_dim, width)
        self.generator = networks.generator(image_shape, latent_dim, width)

    def phases(self) -> list[Phase]:
        return [Phase("autoencoder", [self.encoder, self.generator], self.loss, self.hparams.learning_rate)]

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        mean, log_variance = self.posterior(images)
        error = losses.l1(images, self.generator(self.draw(mean, log_variance)))
        divergence = losses.gaussian_kl(mean, log_variance)
        numbers, scale, latents = images[0].numel(), self.hparams.scale, self.hparams.latent_dim
        bound = numbers * (error / scale + math.log(2 * scale)) + divergence
        return {
            "reconstruction": numbers / (scale * latents) * error,
            "kl": divergence / latents,
            "negative_elbo": bound.detach(),
        }
