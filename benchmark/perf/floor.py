"""Train each model by hand in plain torch, as fast as one iteration can be: the floor, to which our training is compared.

The same mathematics, draws and initial weights as the models of this project, without a framework and with nothing wasted:
gradients only for the networks that move, images that no loss uses are chosen but not fetched, nothing is computed twice. What
ours takes beyond this is the price of the framework. On a CPU both come to the same weights bit for bit, which a test holds them
to. Nothing of ours is imported here, on purpose: this is the yardstick.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Update = Callable[[Tensor], None]
"""Makes one update of an iteration; takes the indices of the images of its minibatch."""


@dataclass(frozen=True)
class Layout:
    """Describe the networks of one image size: (feature maps, stride) of each convolution, from the image inwards."""

    discriminator: tuple[tuple[int, int], ...]
    autoencoder: tuple[tuple[int, int], ...]
    """The encoder's; the generator's are their mirror image."""
    kernel: int
    paper: bool
    """As in the paper's tables, with biases and with linear layers next to the codes; or as in DCGAN, without."""


def _dcgan(*maps: int) -> Layout:
    halvings = tuple((count, 2) for count in maps)
    return Layout(discriminator=halvings, autoencoder=halvings, kernel=4, paper=False)


LAYOUTS = {
    28: Layout(
        discriminator=((8, 2), (16, 1), (32, 2), (64, 1), (64, 2)),
        autoencoder=((32, 2), (64, 1), (64, 2)),
        kernel=5,
        paper=True,
    ),
    32: _dcgan(64, 128, 256),
    64: _dcgan(64, 128, 256, 512),
}


class Floor:
    """One model, its optimizers and its random draws.

    Args:
        size: of the images: 28, 32 or 64.
        width: factor on every hidden number of feature maps.
        seed: of the initial weights and of every draw.
        pixels: all training images, (n, 3, size, size) uint8.
        batch_size: images of a minibatch.
        latent_dim: numbers of a latent.
        device: of everything. How a GPU rounds inside of convolutions is the caller's to set.
    """

    learning_rates: ClassVar[Mapping[str, float]]
    """Of each player, by its network's name."""

    def __init__(
        self,
        size: int,
        width: float,
        seed: int,
        pixels: Tensor,
        batch_size: int = 64,
        latent_dim: int = 128,
        device: torch.device | str = "cpu",
    ) -> None:
        self.size, self.seed, self.batch_size, self.latent_dim, self.device = size, seed, batch_size, latent_dim, device
        self.iteration = 0
        self.pixels = pixels.to(device).permute(0, 2, 3, 1).contiguous()  # channels last, as convolutions read them
        self.random = torch.Generator(device)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(seed, "initial weights"))
            networks = self.build(width)
        self.networks: dict[str, nn.Sequential] = {name: on_device(network, device) for name, network in networks.items()}
        self.fixed = {name: fixed(network) for name, network in self.networks.items()}
        self.parameters = {name: list(self.networks[name].parameters()) for name in self.learning_rates}
        self.optimizers = {
            name: torch.optim.Adam(self.parameters[name], lr=rate, betas=(0.5, 0.9), fused=True)
            for name, rate in self.learning_rates.items()
        }
        self.schedule = self.updates()

    def build(self, width: float) -> dict[str, nn.Sequential]:
        """Build the networks with their initial weights, in the order in which these are drawn."""
        raise NotImplementedError

    def updates(self) -> Sequence[Update]:
        """List the updates of one iteration, in order."""
        raise NotImplementedError

    def iterate(self) -> None:
        """Make all updates of one iteration, in place."""
        for number, update in enumerate(self.schedule):
            self.random.manual_seed(derive_seed(self.seed, "train", self.iteration, number))
            update(torch.randint(len(self.pixels), (self.batch_size,), generator=self.random, device=self.device))
        self.iteration += 1

    def images(self, chosen: Tensor) -> Tensor:
        """Fetch the images with these indices, in [-1, 1]."""
        return self.pixels.index_select(0, chosen).float().div_(127.5).sub_(1.0).permute(0, 3, 1, 2)

    def latents(self) -> Tensor:
        """Draw a minibatch of latents: standard normal."""
        return torch.randn(self.batch_size, self.latent_dim, generator=self.random, device=self.device)

    def step(self, player: str, loss: Tensor) -> None:
        """Move a player down its loss."""
        parameters = self.parameters[player]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        self.optimizers[player].step()


class AlphaGANFloor(Floor):
    """The α-GAN with its code discriminator: E, G, E, G, D, C."""

    learning_rates = {"encoder": 2e-4, "generator": 2e-4, "discriminator": 2e-4, "code_discriminator": 2e-4}

    def build(self, width: float) -> dict[str, nn.Sequential]:
        return {
            "encoder": encoder(self.size, width, self.latent_dim),
            "generator": generator(self.size, width, self.latent_dim),
            "discriminator": discriminator(self.size, width),
            "code_discriminator": code_discriminator(width, self.latent_dim),
        }

    def updates(self) -> Sequence[Update]:
        autoencoder = [self.move_encoder, self.move_generator]
        return [*autoencoder, *autoencoder, self.move_discriminator, self.move_code_discriminator]

    def move_encoder(self, chosen: Tensor) -> None:
        images = self.images(chosen)
        codes = self.networks["encoder"](images)
        reconstruction = F.l1_loss(self.fixed["generator"](codes), images)
        self.step("encoder", 10.0 * reconstruction - self.fixed["code_discriminator"](codes).mean())

    def move_generator(self, chosen: Tensor) -> None:
        generator, judge = self.networks["generator"], self.fixed["discriminator"]
        images = self.images(chosen)
        reconstructions = generator(self.fixed["encoder"](images))
        reconstruction = 10.0 * F.l1_loss(reconstructions, images) - judge(reconstructions).mean()
        self.step("generator", reconstruction - judge(generator(self.latents())).mean())

    def move_discriminator(self, chosen: Tensor) -> None:
        judge, generator = self.networks["discriminator"], self.fixed["generator"]
        images = self.images(chosen)
        real = F.softplus(-judge(images)).mean()
        reconstruction = F.softplus(judge(generator(self.fixed["encoder"](images)))).mean()
        sample = F.softplus(judge(generator(self.latents()))).mean()
        self.step("discriminator", real + 0.5 * reconstruction + 0.5 * sample)

    def move_code_discriminator(self, chosen: Tensor) -> None:
        judge = self.networks["code_discriminator"]
        prior = F.softplus(-judge(self.latents())).mean()
        self.step("code_discriminator", prior + F.softplus(judge(self.fixed["encoder"](self.images(chosen)))).mean())


class DCGANFloor(Floor):
    """DCGAN: G, G, D."""

    learning_rates = {"generator": 2e-4, "discriminator": 2e-4}

    def build(self, width: float) -> dict[str, nn.Sequential]:
        return {
            "generator": generator(self.size, width, self.latent_dim),
            "discriminator": discriminator(self.size, width),
        }

    def updates(self) -> Sequence[Update]:
        return [self.move_generator, self.move_generator, self.move_discriminator]

    def move_generator(self, chosen: Tensor) -> None:
        samples = self.networks["generator"](self.latents())
        self.step("generator", F.softplus(-self.fixed["discriminator"](samples)).mean())

    def move_discriminator(self, chosen: Tensor) -> None:
        judge = self.networks["discriminator"]
        real = F.softplus(-judge(self.images(chosen))).mean()
        self.step("discriminator", real + F.softplus(judge(self.fixed["generator"](self.latents()))).mean())


class WGANGPFloor(Floor):
    """WGAN-GP: five updates of the critic, one of G."""

    learning_rates = {"generator": 1e-4, "critic": 1e-4}

    def build(self, width: float) -> dict[str, nn.Sequential]:
        return {
            "generator": generator(self.size, width, self.latent_dim),
            "critic": discriminator(self.size, width, batch_norm=False),
        }

    def updates(self) -> Sequence[Update]:
        return [self.move_critic] * 5 + [self.move_generator]

    def move_critic(self, chosen: Tensor) -> None:
        critic = self.networks["critic"]
        images, samples = self.images(chosen), self.fixed["generator"](self.latents())
        where = torch.rand((self.batch_size, 1, 1, 1), generator=self.random, device=self.device)
        squared = input_gradient(critic, torch.lerp(images, samples, where)).flatten(1).square().sum(1)
        flat = squared == 0  # where a square root has no derivative
        norm = torch.where(flat, 1.0, squared).sqrt().masked_fill(flat, 0.0)
        self.step("critic", critic(samples).mean() - critic(images).mean() + 10.0 * (norm - 1).square().mean())

    def move_generator(self, chosen: Tensor) -> None:
        self.step("generator", -self.fixed["critic"](self.networks["generator"](self.latents())).mean())


class AGEFloor(Floor):
    """AGE: E, then G twice, three times from 64 pixels on."""

    learning_rates = {"generator": 2e-4, "encoder": 2e-4}

    def build(self, width: float) -> dict[str, nn.Sequential]:
        return {
            "generator": generator(self.size, width, self.latent_dim),
            "encoder": discriminator(self.size, width, outputs=self.latent_dim),
        }

    def updates(self) -> Sequence[Update]:
        return [self.move_encoder] + [self.move_generator] * (3 if self.size >= 64 else 2)

    def latents(self) -> Tensor:
        """Draw a minibatch of latents: uniform on the unit sphere."""
        return F.normalize(super().latents())

    def divergence(self, codes: Tensor) -> Tensor:
        mean, variance = codes.mean(0), codes.var(0, correction=0) + 1e-6
        return 0.5 * (variance + mean.square() - variance.log() - 1).sum() / self.latent_dim

    def move_encoder(self, chosen: Tensor) -> None:
        encoder, generator = self.networks["encoder"], self.fixed["generator"]
        images = self.images(chosen)
        codes = F.normalize(encoder(images))
        contrast = self.divergence(codes) - self.divergence(F.normalize(encoder(generator(self.latents()))))
        self.step("encoder", contrast + 10.0 * F.l1_loss(generator(codes), images))

    def move_generator(self, chosen: Tensor) -> None:
        latents = self.latents()
        codes = F.normalize(self.fixed["encoder"](self.networks["generator"](latents)))
        self.step("generator", self.divergence(codes) + 1000 / 128 * (1 - F.cosine_similarity(codes, latents)).mean())


FLOORS: dict[str, type[Floor]] = {
    "alphagan": AlphaGANFloor,
    "dcgan": DCGANFloor,
    "wgan_gp": WGANGPFloor,
    "age": AGEFloor,
}


def derive_seed(*purpose: int | str) -> int:
    """Derive a seed in [0, 2^63) that is a function of `purpose`."""
    digest = hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def on_device(network: nn.Sequential, device: torch.device | str) -> nn.Sequential:
    """Lay a network's weights where and how convolutions read them."""
    return network.to(device).to(memory_format=torch.channels_last)


def fixed(network: nn.Sequential) -> nn.Sequential:
    """Copy a network, weights and statistics in the same memory, for updates in which its weights are constants."""
    return copy.deepcopy(network, {id(tensor): tensor.detach() for tensor in (*network.parameters(), *network.buffers())})


def input_gradient(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """Compute the gradient of the sum of a network's outputs by its inputs, to be differentiated by the network's weights.

    Written out, because autograd does not know that it depends on the values inside of the network only by their signs, whose
    derivative is 0: it would send zeros back through all layers, and differentiate convolutions twice in slower ways.
    """
    values = inputs
    layer_inputs = []
    with torch.no_grad():
        for layer in network:
            layer_inputs.append(values)
            values = layer(values)
    gradient = torch.ones_like(values)
    for layer, values in zip(reversed(list(network)), reversed(layer_inputs), strict=True):
        if isinstance(layer, nn.Conv2d):
            stride, padding = layer.stride[0], int(layer.padding[0])
            extra = values.shape[-1] - ((gradient.shape[-1] - 1) * stride - 2 * padding + layer.kernel_size[0])
            gradient = F.conv_transpose2d(gradient, layer.weight, None, stride, padding, extra)
        elif isinstance(layer, nn.Linear):
            gradient = gradient @ layer.weight
        elif isinstance(layer, nn.LeakyReLU):
            gradient = torch.ops.aten.leaky_relu_backward(gradient, values, layer.negative_slope, False)
        else:  # another shape
            gradient = gradient.view_as(values)
    return gradient


def encoder(size: int, width: float, latent_dim: int) -> nn.Sequential:
    """Build an encoder: images to codes."""
    layout = LAYOUTS[size]
    norm_from = 0 if layout.paper else 1
    return initialized(downwards(size, layout.autoencoder, width, nn.ReLU(inplace=True), norm_from, layout.paper, latent_dim))


def discriminator(size: int, width: float, batch_norm: bool = True, outputs: int | None = None) -> nn.Sequential:
    """Build a discriminator: images to logits (n,), or to (n, outputs) through a last layer with bias."""
    layout = LAYOUTS[size]
    norm_from = 1 if batch_norm else len(layout.discriminator)
    bias, activation = layout.paper or not batch_norm, nn.LeakyReLU(0.2, inplace=True)
    if outputs is not None:
        return initialized(downwards(size, layout.discriminator, width, activation, norm_from, bias, outputs, last_bias=True))
    return initialized([*downwards(size, layout.discriminator, width, activation, norm_from, bias, 1), nn.Flatten(0)])


def downwards(
    size: int,
    table: Sequence[tuple[int, int]],
    width: float,
    activation: nn.Module,
    norm_from: int,
    bias: bool,
    outputs: int,
    last_bias: bool = False,
) -> list[nn.Module]:
    """Build the convolutions of a table, those from number `norm_from` on with batch norm, and a last layer."""
    kernel, maps, side = LAYOUTS[size].kernel, 3, size
    layers: list[nn.Module] = []
    for number, (count, stride) in enumerate(table):
        out = scaled(count, width)
        layers.append(nn.Conv2d(maps, out, kernel, stride, (kernel - 1) // 2, bias=bias))
        layers += [nn.BatchNorm2d(out), activation] if number >= norm_from else [activation]
        maps, side = out, -(-side // stride)
    if LAYOUTS[size].paper:
        return [*layers, nn.Flatten(), nn.Linear(maps * side * side, outputs, bias=True)]
    return [*layers, nn.Conv2d(maps, outputs, side, bias=last_bias), nn.Flatten()]


def generator(size: int, width: float, latent_dim: int) -> nn.Sequential:
    """Build a generator: latents or codes to images."""
    layout = LAYOUTS[size]
    table = layout.autoencoder[::-1]
    maps = [*(scaled(count, width) for count, _ in table), 3]
    side = size // math.prod(stride for _, stride in table)
    kernel, padding = layout.kernel, (layout.kernel - 1) // 2
    layers: list[nn.Module]
    if layout.paper:
        layers = [nn.Linear(latent_dim, maps[0] * side * side), nn.ReLU(inplace=True), nn.Unflatten(1, (maps[0], side, side))]
    else:
        layers = [nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, maps[0], side, bias=False)]
        layers += [nn.BatchNorm2d(maps[0]), nn.ReLU(inplace=True)]
    for (_, stride), inputs, out in zip(table, maps, maps[1:], strict=False):
        extra = stride + 2 * padding - kernel  # so that the side is multiplied by the stride exactly
        layers.append(nn.ConvTranspose2d(inputs, out, kernel, stride, padding, extra, bias=layout.paper))
        layers += [nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
    return initialized([*layers[:-2], nn.Tanh()])


def code_discriminator(width: float, latent_dim: int) -> nn.Sequential:
    """Build a code discriminator: codes to logits (n,)."""
    hidden = scaled(750, width)
    layers: list[nn.Module] = []
    for inputs in (latent_dim, hidden, hidden):
        layers += [nn.Linear(inputs, hidden), nn.LeakyReLU(0.2, inplace=True)]
    return initialized([*layers, nn.Linear(hidden, 1), nn.Flatten(0)])


def scaled(maps: int, width: float) -> int:
    """Scale a number of feature maps by a width; at least 1."""
    return max(1, round(maps * width))


def initialized(layers: Sequence[nn.Module]) -> nn.Sequential:
    """Draw DCGAN's initial weights where there is batch norm, He's where there is none."""
    has_norm = any(isinstance(layer, nn.BatchNorm2d) for layer in layers)
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and has_norm:
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
    return nn.Sequential(*layers)
