"""Define LSGAN, the least-squares GAN."""

from __future__ import annotations

from torch import Tensor

from baselines.dcgan import DCGAN
from benchmark import losses

FAKE, REAL = 0.0, 1.0
"""The labels a and b of the paper; c, the generator's target, is b."""


class LSGAN(DCGAN):
    """A generator against a discriminator that regresses labels instead of classifying.

    Mao, Li, Xie, Lau, Wang, Smolley 2016 (arXiv 1611.04076), equation 2, with the 0-1 coding of equation 9. With linear
    outputs d of the discriminator:

        generator      ½ (d(G(z)) - 1)²
        discriminator  ½ (d(x) - 1)² + ½ d(G(z))²

    Networks, updates of one iteration (G, G, D), learning rates and sweep are DCGAN's: only the loss differs, so that the two
    compare cell by cell. The paper's own rates are 2e-4 (in its comparison of stability) and 1e-3 (with a network of its own).

    Deviations and choices:
    * The authors sum over the batch, we take the mean: under Adam that is the same.
    * Of the paper's two codings the other, (-1, 1, 0) of equation 8, would make the generator minimize Pearson's χ².
    * Two updates of the generator, as for DCGAN in Rosca et al. 2017; the paper says nothing of more than one.
    """

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": losses.least_squares(self.discriminator(self.sample(len(images))), REAL)}

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "real": losses.least_squares(self.discriminator(images), REAL),
            "sample": losses.least_squares(self.discriminator(self.sample(len(images))), FAKE),
        }
