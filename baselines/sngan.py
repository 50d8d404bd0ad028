"""Define SNGAN, the GAN with a spectrally normalized discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmark import GANModule, Phase, losses, networks
from metrics.optimizers import adam


class SNGAN(GANModule):
    """A generator against a discriminator whose every weight is divided by its largest singular value, with the hinge loss.

    Miyato, Kataoka, Koyama, Yoshida 2018 (arXiv 1802.05957): weights W / σ(W) (equation 8), σ by one step of power iteration at
    each forward pass in training (Algorithm 1). With the linear outputs d of the discriminator:

        generator      -d(G(z))                                         equation 17
        discriminator  max(0, 1 - d(x)) + max(0, 1 + d(G(z)))           equation 16

    Updates of one iteration: the discriminator `discriminator_updates` times, then the generator, each with its own minibatch
    and latents. Defaults: setting B of the paper's Table 1, which it found best for spectral normalization on STL-10. Sweep: a
    grid that holds its settings A to E.

    Deviations and choices:
    * The shared networks have 3 to 5 convolutions in the discriminator where the paper has 7 (Table 3): its scores are no target.
    * A convolution's weight is a matrix of outputs by all the rest, as in the paper; its biases stay as they are, and there is no
      batch norm in the discriminator.
    * Power iteration steps in the generator's updates too, where the discriminator stands still: σ only becomes more exact.
    """

    sweep = {"learning_rate": (1e-4, 2e-4, 1e-3), "discriminator_updates": (1, 5), "beta2": (0.9, 0.999)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        discriminator_updates: int = 1,
        beta2: float = 0.999,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = networks.generator(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width, batch_norm=False)
        for layer in self.discriminator:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                spectral_norm(layer)

    def phases(self) -> list[Phase]:
        rate, updates = self.hparams.learning_rate, self.hparams.discriminator_updates
        optimizer = partial(adam, betas=(0.5, self.hparams.beta2))
        return [
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rate, updates, optimizer),
            Phase("generator", [self.generator], self.generator_loss, rate, optimizer=optimizer),
        ]

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"adversarial": -self.discriminator(self.sample(len(images))).mean()}

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        return {
            "real": losses.hinge_real(self.discriminator(images)),
            "sample": losses.hinge_fake(self.discriminator(self.sample(len(images)))),
        }
