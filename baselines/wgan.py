"""Define WGAN, the Wasserstein GAN with clipped weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark import GANModule, Phase, networks
from metrics.wasserstein import critic_loss


class WGAN(GANModule):
    """A generator against a critic that approximates the Wasserstein distance, its weights clipped to a box.

    Arjovsky, Chintala, Bottou 2017 (arXiv 1701.07875), equation 3 and Algorithm 1:

        critic     f(G(z)) - f(x), then each weight is clipped to [-c, c]
        generator  -f(G(z))

    Updates of one iteration: five of the critic, one of the generator, each with its own minibatch and latents, by RMSProp with
    the published rate of 5e-5 and c = 0.01. Sweep: from those upwards, to where Lucic et al. 2017 searched (rates from 1e-4,
    c from 0.01 to 1).

    Deviations and choices:
    * The critic keeps batch norm, whose weights and biases are clipped too, as in the authors' code: without it clipping makes
      gradients vanish or explode over the layers (Gulrajani et al. 2017).
    * Clipped after each step, as in Algorithm 1, and once before the first; the authors' code clips before each step.
    * No 100 critic updates for each of the first 25 iterations and of every 500th, which are in the authors' code and not in the
      paper: an iteration is the same each time.
    * c is meant for width 1: in narrower networks it makes the critic's scores smaller, and no rule here makes up for it.
    """

    sweep = {"learning_rate": (5e-5, 1e-4, 2e-4), "clip": (0.01, 0.03, 0.1)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 5e-5,
        clip: float = 0.01,
        critic_updates: int = 5,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.critic = networks.discriminator(image_shape, width)
        with torch.no_grad():
            self.clip_weights()

    def phases(self) -> list[Phase]:
        rate, updates = self.hparams.learning_rate, self.hparams.critic_updates
        return [
            Phase("critic", [self.critic], self.critic_loss, rate, updates, torch.optim.RMSprop, after=self.clip_weights),
            Phase("generator", [self.generator], self.generator_loss, rate, optimizer=torch.optim.RMSprop),
        ]

    def clip_weights(self) -> None:
        """Put each of the critic's parameters back into [-c, c]."""
        for parameter in self.critic.parameters():
            parameter.clamp_(-self.hparams.clip, self.hparams.clip)

    def critic_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"wasserstein": critic_loss(self.critic, images, self.sample(len(images)))}

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": -self.critic(self.sample(len(images))).mean()}
