"""Load the CIFAR-10 classifier of the CIFAR Inception score (Rosca et al. 2017, table 5).

The network scores samples only under the hash of its weights: scores of two trainings do not compare.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from metrics.evaluators.weights import load_into, read_weights
from metrics.images import as_images

WEIGHTS = Path(__file__).parent / "pinned" / "cifar10.pt"
SHA256 = ""
"""Of the pinned weights; empty as long as there are none."""

FEATURE_MAPS = (64, 64, 128, 128, 128, 256, 256, 256, 512, 512, 512)
STRIDES = (1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Cifar10Classifier(nn.Sequential):
    """Images (n, 3, 32, 32) in [-1, 1] to logits (n, 10): eleven 3x3 convolutions, batch norm after each, average pooling."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, maps, stride in zip((3, *FEATURE_MAPS), FEATURE_MAPS, STRIDES, strict=False):
            layers += [nn.Conv2d(inputs, maps, 3, stride, padding=1, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(FEATURE_MAPS[-1], 10))


def load_cifar10_classifier(path: Path, sha256: str | None = None) -> tuple[Cifar10Classifier, str]:
    """Load a trained classifier, in eval mode, without gradients, and the sha256 of its weights.

    Raises:
        WeightsError: if the file cannot be read, is not the pinned one, or holds something else.
    """
    weights = read_weights(path, sha256)
    classifier = Cifar10Classifier()
    load_into(classifier, weights, path)
    return classifier.to(memory_format=torch.channels_last), weights.sha256


@torch.no_grad()
def classify(classifier: nn.Module, images: Tensor, batch: int = 500) -> Tensor:
    """Classify uint8 images (n, 3, 32, 32): logits (n, 10), on the CPU."""
    device = next(classifier.parameters()).device
    classifier.eval()
    return torch.cat([classifier(as_images(pixels.to(device))).float().cpu() for pixels in images.split(batch)])


def error_rate(logits: Tensor, labels: Tensor) -> float:
    """Compute the share of images that are classified wrong, in [0, 1]. Goal: minimize."""
    return (logits.argmax(1) != labels).double().mean().item()
