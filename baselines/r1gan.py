"""R1GAN, the GAN with a penalty on the discriminator's gradient at real images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from benchmark import GANModule, Phase, losses, networks
from metrics.optimizers import adam
from metrics.wasserstein import scores_and_input_gradient


class R1GAN(GANModule):
    """A generator against a discriminator that is to be flat where the data are.

    Mescheder, Geiger, Nowozin 2018 (arXiv 1801.04406): the non-saturating loss and their zero-centred penalty R1. With logits d:

        generator      -log D(G(z))
        discriminator  -log D(x) - log(1 - D(G(z))) + γ/2 |∇d(x)|²

    The squared gradient is a sum over pixels and a mean over images. Updates of one iteration: D, then G, each with its own
    minibatch and latents. γ (`penalty_weight`) is 10 and the rate 1e-4, as published. Sweep: R3GAN's, whose base this is.

    Deviations and choices:
    * Adam with betas (0, `beta2`), the authors' own alternative to RMSProp, from which it differs by its start only.
    * γ/2 as in the paper. The authors' code multiplies by γ, so that their 10 is 20 here.
    * No moving average of the generator's weights, which no model here has; without it published FIDs are out of reach.
    * No batch norm in the discriminator, because the penalty is one per image; its convolutions have biases and He's initial
      weights.
    """

    sweep = {"learning_rate": (1e-4, 2e-4), "penalty_weight": (0.1, 1.0, 10.0), "beta2": (0.9, 0.99)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        penalty_weight: float = 10.0,
        beta2: float = 0.99,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width, batch_norm=False)

    def phases(self) -> list[Phase]:
        rate, optimizer = self.hparams.learning_rate, partial(adam, betas=(0.0, self.hparams.beta2))
        return [
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rate, optimizer=optimizer),
            Phase("generator", [self.generator], self.generator_loss, rate, optimizer=optimizer),
        ]

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": losses.non_saturating(self.discriminator(self.sample(len(images))))}

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        logits, gradient = scores_and_input_gradient(self.discriminator, images)
        return {
            "real": losses.real_loss(logits),
            "sample": losses.fake_loss(self.discriminator(self.sample(len(images)))),
            "r1": self.penalty(gradient),
        }

    def penalty(self, gradient: Tensor) -> Tensor:
        """γ/2 times the squared norm of the discriminator's gradient (n, c, h, w) by its input, mean over images."""
        return 0.5 * self.hparams.penalty_weight * gradient.flatten(1).square().sum(1).mean()
