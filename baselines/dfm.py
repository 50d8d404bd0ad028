"""Define denoising feature matching."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.dcgan import DCGAN
from benchmark import Phase, losses, networks

HIDDEN, LAYERS = 1024, 5
"""The denoiser's hidden units a layer, at width 1, and its hidden layers."""


class DenoisingFeatureMatching(DCGAN):
    """A DCGAN whose generator also moves its samples' features to where a denoiser, trained on real features, puts them.

    Warde-Farley and Bengio 2017 (ICLR). Φ(x) is what the last layer of the discriminator D sees, after the activation; r is the
    denoiser; noise ε ~ N(0, σ²):

        discriminator  -log D(x) - log(1 - D(G(z)))                                      equation 1
        denoiser       |Φ(x) - r(Φ(x) + ε)|²                                             equation 5
        generator      λ |Φ(G(z)) - r(Φ(G(z)))|² - log D(G(z)),  r(.) held constant      equation 4

    The squares are means over features. r(Φ) - Φ points up the density of real features, and the generator follows it; neither r
    nor Φ is trained by that. Updates of one iteration: D, r, G, each with its own minibatch and latents. σ (`noise`) is 1 and the
    rate 1e-4, as published; λ (`denoising_weight`) 0.03 is chainer-gan-lib's, the paper's text gives none. Sweep: around both.

    Deviations and choices:
    * The paper prints equation 5 with the noisy features as the target; its author says that r denoises.
    * r has 5 hidden layers of 1024, with batch norm but in the output layer; the paper's for ImageNet has 10 of 2048, which would
      be more weights than G and D have together.
    * r normalizes samples by the statistics of their own batch, as the paper has it.
    * Adam with betas (0.5, 0.9), as for all models; the paper gives the first only.
    """

    sweep = {"learning_rate": (1e-4, 2e-4, 3e-4), "denoising_weight": (0.01, 0.03, 0.1, 0.3)}

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        denoising_weight: float = 0.03,
        noise: float = 1.0,
        width: float = 1.0,
    ) -> None:
        super().__init__(image_shape, latent_dim, learning_rate, learning_rate, width)
        head = [layer for layer in self.discriminator if isinstance(layer, nn.Conv2d | nn.Linear)][-1]
        self.denoiser = denoiser(head.weight[0].numel(), networks.scaled(HIDDEN, width))

    def phases(self) -> list[Phase]:
        rate = self.hparams.learning_rate
        return [
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rate),
            Phase("denoiser", [self.denoiser], self.denoiser_loss, rate),
            Phase("generator", [self.generator], self.generator_loss, rate),
        ]

    def denoiser_loss(self, images: Tensor) -> dict[str, Tensor]:
        features, _ = networks.features(self.discriminator, images)
        noise = torch.randn(features.shape, generator=self.randomness, device=features.device)
        return {"denoising": F.mse_loss(self.denoiser(features + self.hparams.noise * noise), features)}

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        features, logits = networks.features(self.discriminator, self.sample(len(images)))
        with torch.no_grad():
            denoised = self.denoiser(features)
        return {
            "denoising": self.hparams.denoising_weight * F.mse_loss(features, denoised),
            "adversarial": losses.non_saturating(logits),
        }


def denoiser(features: int, hidden: int) -> nn.Sequential:
    """Make a network from features to features, both (n, features): `LAYERS` hidden layers with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for inputs in (features, *[hidden] * (LAYERS - 1)):
        layers += [nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(hidden, features))
