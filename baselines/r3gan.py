"""R3GAN, the relativistic GAN with penalties on real images and samples."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from baselines.r1gan import R1GAN
from benchmark import losses
from metrics.wasserstein import scores_and_input_gradient


class R3GAN(R1GAN):
    """A generator against a discriminator that tells which of two images is the real one.

    Huang, Gokaslan, Kuleshov, Tompkin 2024 (arXiv 2501.05441), the loss alone: pairs of an image x and a sample G(z) (equation 2,
    of Jolicoeur-Martineau 2018), penalties R1 and R2 (equation 3). With logits d:

        generator      -log sigmoid(d(G(z)) - d(x))
        discriminator  -log sigmoid(d(x) - d(G(z))) + γ/2 |∇d(x)|² + γ/2 |∇d(G(z))|²

    Updates of one iteration: D, then G, each with its own minibatch and latents. Defaults: of the authors' preset for CIFAR-10,
    the rate with which it begins and the second beta with which it ends. Their γ begins at 0.05 for CIFAR-10 and at 2 for
    FFHQ-64, for networks of their own; ours is 1. Sweep: γ around it, rates and betas as in the presets.

    Deviations and choices: the shared networks, with batch norm in the generator, not the paper's residual ones; constant γ, rate
    and betas, which the paper anneals; no moving average and no augmentation; both penalties at each update, as in the paper.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 2e-4,
        penalty_weight: float = 1.0,
        beta2: float = 0.99,
        width: float = 1.0,
    ) -> None:
        super().__init__(image_shape, latent_dim, learning_rate, penalty_weight, beta2, width)

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        fake, real = self.discriminator(self.sample(len(images))), self.discriminator(images)
        return {"relativistic": losses.non_saturating(fake - real)}

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        real, gradient_at_real = scores_and_input_gradient(self.discriminator, images)
        fake, gradient_at_fake = scores_and_input_gradient(self.discriminator, self.sample(len(images)))
        return {
            "relativistic": losses.real_loss(real - fake),
            "r1": self.penalty(gradient_at_real),
            "r2": self.penalty(gradient_at_fake),
        }
