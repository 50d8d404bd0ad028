"""Compare images by what a frozen classifier sees in them: the feature space of Dosovitskiy and Brox 2016."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from metrics.evaluators.weights import read_weights

FOLDER = Path(__file__).parent / "pinned"


@dataclass(frozen=True)
class Convolutions:
    """The first convolutions of a classifier: 2-D, zero-padded by half a kernel, each followed by ReLU."""

    strides: tuple[int, ...]
    channels: int
    """Of the images that it was trained on."""
    sha256: str
    """Of the file with its weights."""


COMPARATORS = {
    "digits": Convolutions((2, 2), 1, "30db97d1c0114670b52a8aa5ef1c34b3de08c367e61439e3c62feaf0ce8eb8a2"),
    "objects": Convolutions((2, 1, 2), 3, "c861e2571206d28f28ebd795a8ef7d89e94df66597e71118f14735ebdd97a9b7"),
}
"""By name: trained on MNIST's digits, and on CIFAR-10, of whose test images 75 % were classified right. Made by
`baselines/train_comparators.py`."""


class Comparator(nn.Module):
    """Images (n, c, h, w) in [-1, 1] to features (n, k): maps of a quarter of the images' size, of a mean square about 1.

    The first convolutions of a small classifier, with its batch norm folded in. The classifiers that score samples are others:
    a model that was trained on what those see would be flattered. The weights are constants: no optimizer, checkpoint or
    change of mode reaches them.

    Args:
        name: "digits", trained on MNIST's digits, or "objects", trained on CIFAR-10. Where images have another number of
            channels than those, each channel is looked at as a grey image.

    Raises:
        ValueError: for another name.
        WeightsError: if the pinned weights are damaged.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in COMPARATORS:
            raise ValueError(f"the comparator is one of {', '.join(map(repr, COMPARATORS))}, not {name!r}")
        self.convolutions = COMPARATORS[name]
        for key, value in read_weights(FOLDER / f"{name}.pt", self.convolutions.sha256).state.items():
            self.register_buffer(key, value, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        n, channels, height, width = images.shape
        maps = images
        if channels != self.convolutions.channels:
            maps = images.reshape(n * channels, 1, height, width).expand(-1, self.convolutions.channels, -1, -1)
        for number, stride in enumerate(self.convolutions.strides):
            weight: Tensor = getattr(self, f"weight{number}")
            bias: Tensor = getattr(self, f"bias{number}")
            maps = F.conv2d(maps, weight, bias, stride, weight.shape[-1] // 2).relu()
        return maps.reshape(n, -1)


def folded(layers: Sequence[nn.Module], examples: Tensor) -> dict[str, Tensor]:
    """Fold batch norm into convolutions, and scale the last one to features of mean square 1 over examples.

    Args:
        layers: convolutions, each followed by batch norm and ReLU, in eval mode.
        examples: images (n, c, h, w) in [-1, 1].

    Returns:
        What `Comparator` reads: `weight0`, `bias0`, `weight1` and so on.
    """
    weights: dict[str, Tensor] = {}
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        fused = fuse_conv_bn_eval(convolution, norm)
        weights |= {f"weight{number}": fused.weight.detach(), f"bias{number}": cast(Tensor, fused.bias).detach()}
    with torch.no_grad():
        scale = nn.Sequential(*layers)(examples).square().mean().rsqrt()
    for name in (f"weight{len(convolutions) - 1}", f"bias{len(convolutions) - 1}"):
        weights[name] = weights[name] * scale
    return weights
