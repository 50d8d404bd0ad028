"""Define the unrolled GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import functional_call

from baselines.dcgan import DCGAN
from benchmark import Phase, losses, networks
from benchmark.errors import UserError

SMALLEST = 1e-30
"""Under Adam's root, which without it has an infinite derivative where a gradient was always 0. Its root is far below epsilon."""


class UnrolledGAN(DCGAN):
    """A generator that foresees the discriminator's next steps: it is trained against what the discriminator would become.

    Metz, Poole, Pfau, Sohl-Dickstein 2016 (arXiv 1611.02163). f is the value that the discriminator raises (equation 4), θ^K its
    parameters after K more steps of Adam (equation 7), which depend on the generator through every step:

        generator      f(θ^K) = E[log D(x; θ^K)] + E[log(1 - D(G(z); θ^K))]      equations 9 and 10
        discriminator  -log D(x) - log(1 - D(G(z)))                              equation 11, from where it stands

    The gradient passes through G(z) and through θ^K (the two terms of equation 12), so f's real term counts too. The K steps
    start from the discriminator's own Adam, its moments and its step count, and all see the minibatch and the latents of this
    update; what they lead to is thrown away. Updates of one iteration: D, then G, each with its own minibatch and latents. What
    an iteration costs grows with K.

    Defaults: the paper's rates for Stacked MNIST and K = 5. `discriminator_width` multiplies the discriminator's feature maps
    beside `width`: the paper shows the effect with discriminators of a quarter and a half (its rates are not adjusted to it).
    Sweep: the paper's K, and its two rates for both networks.

    Deviations and choices:
    * The generator descends the minimax f, which saturates, as in the paper; K = 0, which would still not be DCGAN, is refused.
    * Adam with betas (0.5, 0.9), as for all models; the published ones for Stacked MNIST are (0.5, 0.99).
    * The paper's networks for Stacked MNIST are smaller, and its generator has 256 latents.
    """

    sweep = {
        "unrolling_steps": (1, 5, 10),
        "learning_rate": (1e-4, 2e-4),
        "discriminator_learning_rate": (1e-4, 2e-4),
    }

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int = 128,
        learning_rate: float = 1e-4,
        discriminator_learning_rate: float = 2e-4,
        unrolling_steps: int = 5,
        discriminator_width: float = 1.0,
        width: float = 1.0,
    ) -> None:
        super().__init__(image_shape, latent_dim, learning_rate, discriminator_learning_rate, width)
        if unrolling_steps < 1:
            raise UserError(f"unrolling_steps is {unrolling_steps}; at least 1 was expected (without any, take baselines.DCGAN)")
        self.discriminator = networks.discriminator(image_shape, width * discriminator_width)

    def phases(self) -> list[Phase]:
        rates = self.hparams
        return [  # the generator's loss needs the moments that the discriminator's first step makes
            Phase("discriminator", [self.discriminator], self.discriminator_loss, rates.discriminator_learning_rate),
            Phase("generator", [self.generator], self.generator_loss, rates.learning_rate),
        ]

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        samples = self.sample(len(images))
        terms = self.discriminator_terms(self.unrolled(images, samples), images, samples)
        return {name: -value for name, value in terms.items()}

    def discriminator_terms(self, parameters: Mapping[str, Tensor], images: Tensor, samples: Tensor) -> dict[str, Tensor]:
        """The discriminator's loss with other parameters; its running statistics stay as they are."""
        state = {name: buffer.clone() for name, buffer in self.discriminator.named_buffers()} | dict(parameters)

        def logits(batch: Tensor) -> Tensor:
            return functional_call(self.discriminator, state, (batch,))

        return {"real": losses.real_loss(logits(images)), "sample": losses.fake_loss(logits(samples))}

    def unrolled(self, images: Tensor, samples: Tensor) -> dict[str, Tensor]:
        """What the discriminator's parameters would be after K more steps on these images and samples.

        Differentiable by the samples, through each step. The discriminator and its optimizer stay as they are.
        """
        adam = Adam.of(self.optimizer_of("discriminator"))
        parameters = {name: value.detach().requires_grad_(True) for name, value in self.discriminator.named_parameters()}
        for _ in range(self.hparams.unrolling_steps):
            terms = self.discriminator_terms(parameters, images, samples)
            values = list(parameters.values())
            gradients = torch.autograd.grad(terms["real"] + terms["sample"], values, create_graph=True)
            adam, values = adam.step(values, gradients)
            parameters = dict(zip(parameters, values, strict=True))
        return parameters


@dataclass(frozen=True)
class Adam:
    """An Adam optimizer as a value: a step makes another one, and can be differentiated by the gradients it is given."""

    means: list[Tensor]
    squares: list[Tensor]
    steps: Tensor
    learning_rate: float
    betas: tuple[float, float]
    epsilon: float

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer) -> Adam:
        """What one of torch's holds after its first step, for all parameters of its only group."""
        (group,) = optimizer.param_groups
        states = [optimizer.state[parameter] for parameter in group["params"]]
        means, squares = ([state[key] for state in states] for key in ("exp_avg", "exp_avg_sq"))
        return cls(means, squares, states[0]["step"], group["lr"], group["betas"], group["eps"])

    def step(self, values: Sequence[Tensor], gradients: Sequence[Tensor]) -> tuple[Adam, list[Tensor]]:
        """Return the optimizer and the values after one step."""
        first, second = self.betas
        means = [mean.lerp(gradient, 1 - first) for mean, gradient in zip(self.means, gradients, strict=True)]
        squares = [square.lerp(gradient.square(), 1 - second) for square, gradient in zip(self.squares, gradients, strict=True)]
        steps = self.steps + 1
        rate = self.learning_rate / (1 - torch.pow(first, steps))
        scale = (1 - torch.pow(second, steps)).rsqrt()
        moved = [
            value - rate * mean / (scale * (square + SMALLEST).sqrt() + self.epsilon)
            for value, mean, square in zip(values, means, squares, strict=True)
        ]
        return replace(self, means=means, squares=squares, steps=steps), moved
