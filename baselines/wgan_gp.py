"""Define WGAN-GP."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from benchmark import GANModule, Phase, networks
from metrics.wasserstein import critic_loss, gradient_penalty


class WGANGP(GANModule):
    """A generator against a critic that approximates the Wasserstein distance, kept smooth by a gradient penalty.

    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville 2017 (arXiv 1704.00028), equation 3, with x̂ uniform between x and G(z):

        critic     f(G(z)) - f(x) + λ (|∇f(x̂)|₂ - 1)²
        generator  -f(G(z))

    Updates of one iteration: five of the critic, one of the generator, each with its own minibatch and latents.

    Deviations and choices: no batch norm in the critic, although the α-GAN paper says "batch normalisation for all
    experiments", because the penalty is one per sample; its convolutions have biases instead, and He's initial weights.
    """

    sweep = {"learning_rate": (1e-4, 2e-4, 3e-4), "critic_learning_rate": (1e-4, 2e-4, 3e-4)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        critic_learning_rate: float = 1e-4,
        penalty_weight: float = 10.0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.critic = networks.discriminator(image_shape, width, batch_norm=False)

    def phases(self) -> list[Phase]:
        critic = Phase("critic", [self.critic], self.critic_loss, self.hparams.critic_learning_rate, updates=5)
        return [critic, Phase("generator", [self.generator], self.generator_loss, self.hparams.learning_rate)]

    def critic_loss(self, images: Tensor) -> dict[str, Tensor]:
        samples = self.sample(len(images))
        penalty = gradient_penalty(self.critic, images, samples, self.randomness)
        return {
            "wasserstein": critic_loss(self.critic, images, samples),
            "gradient_penalty": self.hparams.penalty_weight * penalty,
        }

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": -self.critic(self.sample(len(images))).mean()}
