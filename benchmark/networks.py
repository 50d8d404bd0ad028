"""Build the networks that all models share, from one description for every image size.

28 x 28: Rosca et al. 2017, Tables 3 and 4 (their cells are lost in the text we have; this is the only reading whose sizes fit).
16, 32, 64, 128 ...: the DCGAN of Arjovsky et al. 2017, as in Rosca et al. 2017.

Latents and codes are (n, d), images (n, c, h, w) in [-1, 1], logits (n,). `width` multiplies every hidden number of feature maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.errors import UserError


@dataclass(frozen=True)
class Convolution:
    """Describe a convolution that divides the size of an image by `stride`, or a transposed one that multiplies it."""

    maps: int
    kernel: int
    stride: int

    @property
    def padding(self) -> int:
        """The padding with which the size is divided by the stride exactly."""
        return (self.kernel - 1) // 2


@dataclass(frozen=True)
class Layout:
    """Describe the networks of one image size, from the image inwards."""

    discriminator: tuple[Convolution, ...]
    autoencoder: tuple[Convolution, ...]
    """The encoder's convolutions; the generator's are their mirror image."""
    bias: bool
    input_norm: bool
    """Whether the discriminator normalizes its first convolution too."""


def _layout(image_shape: Sequence[int]) -> Layout:
    _, height, width = image_shape
    if height == width == 28:
        maps_and_strides = ((8, 2), (16, 1), (32, 2), (64, 1), (64, 2))
        return Layout(
            discriminator=tuple(Convolution(maps, 5, stride) for maps, stride in maps_and_strides),
            autoencoder=(Convolution(32, 5, 2), Convolution(64, 5, 1), Convolution(64, 5, 2)),
            bias=True,
            input_norm=False,
        )
    if height == width >= 16 and height & (height - 1) == 0:
        halvings = tuple(Convolution(64 << level, 4, 2) for level in range(height.bit_length() - 3))
        return Layout(discriminator=halvings, autoencoder=halvings, bias=False, input_norm=False)
    raise UserError(f"no networks for images of {height}x{width}: square ones of 28, 32, 64 or another power of two from 16 on")


def scaled(maps: int, width: float) -> int:
    """Scale a number of feature maps by a width; at least 1."""
    return max(1, round(maps * width))


def generator(image_shape: Sequence[int], latent_dim: int, width: float = 1.0, batch_norm: bool = True) -> nn.Sequential:
    """Build a generator: latents (n, latent_dim) to images (n, c, h, w) in (-1, 1).

    Transposed convolutions with batch norm and ReLU, tanh at the end.

    Args:
        image_shape: (channels, height, width).
        latent_dim: numbers of a latent.
        width: factor on every hidden number of feature maps.
        batch_norm: False where images must not depend on the rest of the batch; every convolution then has a bias.

    Raises:
        UserError: for an image size without a description.
    """
    layout = _layout(image_shape)
    bias = layout.bias or not batch_norm
    inner = layout.autoencoder[::-1]
    size, maps = _innermost(image_shape, layout), scaled(inner[0].maps, width)
    layers: list[nn.Module]
    if layout.bias:  # Table 4: a linear layer in front
        layers = [nn.Linear(latent_dim, maps * size * size), nn.ReLU(inplace=True), nn.Unflatten(1, (maps, size, size))]
    else:  # DCGAN: the same as a transposed convolution of a 1 x 1 image, with batch norm
        layers = [nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, maps, size, bias=bias)]
        layers += [*_norm(maps, batch_norm), nn.ReLU(inplace=True)]
    outputs = [scaled(convolution.maps, width) for convolution in inner[1:]] + [image_shape[0]]
    for number, (convolution, out) in enumerate(zip(inner, outputs, strict=True)):
        # What makes the transposed convolution multiply the size by its stride exactly.
        extra = convolution.stride + 2 * convolution.padding - convolution.kernel
        layers.append(
            nn.ConvTranspose2d(maps, out, convolution.kernel, convolution.stride, convolution.padding, extra, bias=bias)
        )
        if number < len(inner) - 1:
            layers += [*_norm(out, batch_norm), nn.ReLU(inplace=True)]
        maps = out
    return _initialized(nn.Sequential(*layers, nn.Tanh()))


def encoder(image_shape: Sequence[int], latent_dim: int, width: float = 1.0, batch_norm: bool = True) -> nn.Sequential:
    """Build an encoder: images (n, c, h, w) in [-1, 1] to codes (n, latent_dim).

    The generator's mirror image with ReLU, no activation at the end (Rosca et al. 2017, appendix H.4).

    Args:
        image_shape: (channels, height, width).
        latent_dim: numbers of a code.
        width: factor on every hidden number of feature maps.
        batch_norm: False where codes must not depend on the rest of the batch; every convolution then has a bias.

    Raises:
        UserError: for an image size without a description.
    """
    layout = _layout(image_shape)
    trunk = _trunk(
        image_shape,
        layout.autoencoder,
        width,
        lambda: nn.ReLU(inplace=True),
        bias=layout.bias or not batch_norm,
        input_norm=layout.bias,
        batch_norm=batch_norm,
    )
    head = _head(image_shape, layout, layout.autoencoder, width, latent_dim, bias=not batch_norm)
    return _initialized(nn.Sequential(*trunk, *head))


def autoencoder(image_shape: Sequence[int], code_dim: int, width: float = 1.0) -> nn.Sequential:
    """Map images to their reconstructions, both (n, c, h, w): encoder and generator in a row, each image for itself.

    Without batch norm, because models take the reconstruction error of an image for its energy, and an energy must not depend on
    what else is in the batch. The two networks are the parts [0], images to codes (n, code_dim), and [1].

    Raises:
        UserError: for an image size without a description.
    """
    parts = (make(image_shape, code_dim, width, batch_norm=False) for make in (encoder, generator))
    return nn.Sequential(*parts)


def discriminator(
    image_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = True,
    outputs: int | None = None,
) -> nn.Sequential:
    """Build a discriminator: images (n, c, h, w) in [-1, 1] to logits (n,). Convolutions, batch norm, LeakyReLU 0.2.

    Args:
        image_shape: (channels, height, width).
        width: factor on every hidden number of feature maps.
        batch_norm: False for a critic, whose scores must not depend on the rest of the batch. Then every convolution has a bias:
            otherwise f(x / 2) = f(x) / 2.
        outputs: makes the output (n, outputs), through a last layer with bias.

    Raises:
        UserError: for an image size without a description.
    """
    layout = _layout(image_shape)
    trunk = _trunk(
        image_shape,
        layout.discriminator,
        width,
        lambda: nn.LeakyReLU(0.2, inplace=True),
        bias=layout.bias or not batch_norm,
        input_norm=layout.input_norm,
        batch_norm=batch_norm,
    )
    head = _head(image_shape, layout, layout.discriminator, width, outputs or 1, bias=outputs is not None)
    if outputs is None:
        head.append(nn.Flatten(0))
    return _initialized(nn.Sequential(*trunk, *head))


def code_discriminator(latent_dim: int, width: float = 1.0) -> nn.Sequential:
    """Build a code discriminator: codes (n, latent_dim) to logits (n,).

    Three hidden layers of 750, LeakyReLU 0.2, no batch norm (Rosca et al. 2017, appendix H.4).
    """
    hidden = scaled(750, width)
    layers: list[nn.Module] = []
    for inputs in (latent_dim, hidden, hidden):
        layers += [nn.Linear(inputs, hidden), nn.LeakyReLU(0.2, inplace=True)]
    return _initialized(nn.Sequential(*layers, nn.Linear(hidden, 1), nn.Flatten(0)))


class JointDiscriminator(nn.Module):
    """Pairs of images (n, c, h, w) and codes (n, latent_dim) to logits (n,), each pair for itself: it has no batch norm.

    The shared discriminator turns an image into `features` numbers; the code discriminator judges these beside the code.

    Args:
        image_shape: (channels, height, width).
        latent_dim: the size of a code.
        width: multiplies every hidden number of feature maps, and `features`.
        features: what an image is reduced to.
    """

    def __init__(self, image_shape: Sequence[int], latent_dim: int, width: float = 1.0, features: int = 512) -> None:
        super().__init__()
        numbers = scaled(features, width)
        self.image = nn.Sequential(discriminator(image_shape, width, batch_norm=False, outputs=numbers), nn.LeakyReLU(0.2))
        self.pair = code_discriminator(numbers + latent_dim, width)

    def forward(self, images: Tensor, codes: Tensor) -> Tensor:
        return self.pair(torch.cat([self.image(images), codes], 1))


def features(network: nn.Sequential, images: Tensor, depth: int | None = None) -> tuple[Tensor, Tensor]:
    """Return what a convolutional network sees in images on its way, and its output, from one pass.

    Args:
        network: a discriminator or an encoder of this file.
        images: (n, c, h, w).
        depth: how many convolutions are passed. The features are what the last of them gives, before batch norm and
            activation; without a depth, what the head at the end is given, after the last activation.

    Returns:
        Features (n, k), flattened, and the network's output, such as logits (n,).

    Raises:
        ValueError: for a depth that the network does not have.
    """
    layers = list(network)
    weighted = [number for number, layer in enumerate(layers) if isinstance(layer, nn.Conv2d | nn.Linear)]
    if depth is not None and not 1 <= depth < len(weighted):
        raise ValueError(f"the network has {len(weighted) - 1} convolutions before its head, not {depth}")
    stop = weighted[-1] if depth is None else weighted[depth - 1] + 1
    inside = network[:stop](images)
    # An activation in place would write over the features.
    after = network[stop:](inside.clone() if getattr(layers[stop], "inplace", False) else inside)
    return inside.flatten(1), after


def depth_at(image_shape: Sequence[int], size: int) -> int:
    """Return how many convolutions of the discriminator leave maps of at least size x size: the `depth` of such features.

    Raises:
        UserError: for an image size without a description.
        ValueError: if the first convolution leaves smaller ones.
    """
    sizes = [image_shape[1]]
    for convolution in _layout(image_shape).discriminator:
        sizes.append(-(-sizes[-1] // convolution.stride))
    depth = sum(left >= size for left in sizes[1:])
    if not depth:
        raise ValueError(f"the first convolution of {sizes[0]}x{sizes[0]} images leaves {sizes[1]}x{sizes[1]}, less than {size}")
    return depth


def _trunk(
    image_shape: Sequence[int],
    convolutions: Sequence[Convolution],
    width: float,
    activation: Callable[[], nn.Module],
    bias: bool,
    input_norm: bool,
    batch_norm: bool = True,
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    maps = image_shape[0]
    for number, convolution in enumerate(convolutions):
        out = scaled(convolution.maps, width)
        layers.append(nn.Conv2d(maps, out, convolution.kernel, convolution.stride, convolution.padding, bias=bias))
        layers += [*_norm(out, batch_norm and (number > 0 or input_norm)), activation()]
        maps = out
    return layers


def _norm(maps: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(maps)] if batch_norm else []


def _head(
    image_shape: Sequence[int], layout: Layout, convolutions: Sequence[Convolution], width: float, outputs: int, bias: bool
) -> list[nn.Module]:
    maps, size = scaled(convolutions[-1].maps, width), image_shape[1]
    for convolution in convolutions:
        size = -(-size // convolution.stride)
    if layout.bias:
        return [nn.Flatten(), nn.Linear(maps * size * size, outputs)]
    return [nn.Conv2d(maps, outputs, size, bias=bias), nn.Flatten()]


def _innermost(image_shape: Sequence[int], layout: Layout) -> int:
    size = image_shape[1]
    for convolution in layout.autoencoder:
        size //= convolution.stride
    return size


def _initialized(network: nn.Sequential) -> nn.Sequential:
    """Draw DCGAN's initial weights where batch norm sets the scale, He's where nothing does (as in Gulrajani et al. 2017).

    Without batch norm the biases keep torch's random start: at 0, a young critic would be homogeneous, f(x / 2) = f(x) / 2.
    """
    has_norm = any(isinstance(layer, nn.BatchNorm2d) for layer in network)
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and has_norm:
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.ConvTranspose2d):
            _he_transposed(layer, at_one_pixel=layer.stride == (1, 1) and isinstance(network[0], nn.Unflatten))
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
    return network


def _he_transposed(layer: nn.ConvTranspose2d, at_one_pixel: bool) -> None:
    """He's initial weights for a transposed convolution, of which torch would count the outputs as inputs.

    A pixel that comes out adds up (kernel / stride)^2 taps of each map; only one where a single pixel is spread.
    """
    taps = 1 if at_one_pixel else layer.kernel_size[0] * layer.kernel_size[1] / (layer.stride[0] * layer.stride[1])
    nn.init.normal_(layer.weight, 0.0, (2 / 1.04 / (layer.in_channels * taps)) ** 0.5)
