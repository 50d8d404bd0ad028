"""Read the digits of ColorMNIST's images by a pinned classifier: its network, its training, its weights.

Every mode count that this project reports comes from the same weights, so that counts of two machines compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.checks import check_images
from metrics.evaluators.weights import load_into, read_weights

WEIGHTS = Path(__file__).parent / "pinned" / "digits.pt"
SHA256 = "f38b1f0fed2e76147e61fddbbd9e4aff008e2650db283a515f99354001d9d004"


class DigitClassifier(nn.Sequential):
    """Grey images (n, 1, 28, 28) in [-1, 1] to logits (n, 10)."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 24, 5, stride=2, padding=2), nn.BatchNorm2d(24), nn.ReLU()),
            *(nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.BatchNorm2d(48), nn.ReLU()),
            *(nn.Conv2d(48, 96, 3, stride=2, padding=1), nn.BatchNorm2d(96), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(96 * 16, 10)),
        )


def load_digit_classifier(path: Path = WEIGHTS, sha256: str = SHA256) -> DigitClassifier:
    """Load the pinned classifier, in eval mode, without gradients.

    Raises:
        ValueError: if the file is not the one that was pinned. It is hashed before it is read.
    """
    classifier = DigitClassifier()
    load_into(classifier, read_weights(path, sha256), path)
    return classifier


@dataclass(frozen=True)
class Digits:
    """Hold what the classifier sees in stacked digits."""

    modes: Tensor
    """(n,) the three most likely digits read as one number in [0, 1000): 100 red + 10 green + blue."""
    recognised: Tensor
    """(n,) bool: all three digits have a softmax probability of at least 0.9."""


RECOGNISED_AT = 0.9


@torch.no_grad()
def read_digits(classifier: nn.Module, images: Tensor) -> Digits:
    """Read stacked digits (n, 3, 28, 28) in [-1, 1], one digit a channel.

    Raises:
        ValueError: for images of another shape, range or type.
    """
    check_images(images)
    if images.shape[1:] != (3, 28, 28):
        raise ValueError(f"stacked digits are (n, 3, 28, 28), not {tuple(images.shape)}")
    probability, digit = classifier(images.reshape(-1, 1, 28, 28)).softmax(1).max(1)
    digits = digit.reshape(-1, 3)
    modes = (digits * torch.tensor([100, 10, 1], device=digits.device)).sum(1)
    return Digits(modes, (probability.reshape(-1, 3) >= RECOGNISED_AT).all(1))


def train_digit_classifier(
    images: Tensor,
    labels: Tensor,
    epochs: int = 12,
    seed: int = 0,
    progress: Callable[[Iterator[int]], Iterator[int]] = iter,
) -> DigitClassifier:
    """Train from scratch on grey digits: Adam, one learning-rate cycle, digits shifted by up to two pixels.

    A quarter as many images that are no digits are to be called each digit alike (outlier exposure, Hendrycks et al. 2019, arXiv
    1812.04606): a plain classifier is certain of its answer for uniform noise too, and every sample would count as recognised.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) in [0, 10).
        epochs: passes over the digits.
        seed: of the initial weights, the order, the shifts and the images that are no digits.
        progress: wraps the iterator over epochs, for a progress bar.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier, batch = DigitClassifier(), 256
        optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * (len(images) // batch))
        padded = F.pad(images, (2, 2, 2, 2))
        for _ in progress(iter(range(epochs))):
            for chosen in torch.randperm(len(images))[: len(images) // batch * batch].split(batch):
                top, left = torch.randint(5, (2,)).tolist()
                shifted = padded[chosen, None, top : top + 28, left : left + 28].float() / 127.5 - 1
                outliers = torch.cat([make(shifted[: batch // 16]) for make in OUTLIERS])
                logits, unsure = classifier(torch.cat([shifted, outliers])).split([batch, len(outliers)])
                loss = F.cross_entropy(logits, labels[chosen].long()) - unsure.log_softmax(1).mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
    return classifier.eval().requires_grad_(False)


def _pixel_noise(digits: Tensor) -> Tensor:
    return torch.rand_like(digits) * 2 - 1


def _clouds(digits: Tensor) -> Tensor:
    """Make smooth noise of a random grain, contrast and brightness; at the coarsest an even grey."""
    grain = int(torch.randint(1, 15, ()))
    smooth = F.interpolate(torch.randn(len(digits), 1, grain, grain), digits.shape[-2:], mode="bilinear")
    contrast, brightness = torch.rand(2, len(digits), 1, 1, 1)
    return (2 * contrast * smooth + 2 * brightness - 1).clamp(-1, 1)


def _shuffled_blocks(digits: Tensor) -> Tensor:
    """Cut digits into blocks of 7 pixels that changed places."""
    blocks = F.unfold(digits, 7, stride=7)
    return F.fold(blocks[..., torch.randperm(blocks.shape[-1])], digits.shape[-2:], 7, stride=7)


def _negatives(digits: Tensor) -> Tensor:
    return -digits


OUTLIERS = (_pixel_noise, _clouds, _shuffled_blocks, _negatives)


@torch.no_grad()
def accuracy(classifier: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Compute the share of grey digits (n, 28, 28) uint8 that are classified right. Goal: maximize."""
    right = [
        (classifier(pixels[:, None].float() / 127.5 - 1).argmax(1) == truth).sum().item()
        for pixels, truth in zip(images.split(1000), labels.split(1000), strict=True)
    ]
    return sum(right) / len(images)
