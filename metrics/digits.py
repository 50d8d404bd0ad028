"""The digit classifier that tells ColorMNIST's modes apart: its network, its training, its pinned weights.

Every mode count that this project reports comes from the same weights, so that counts of two machines compare.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = Path(__file__).parent / "weights" / "digits.pt"
SHA256 = "a42f353e5a0c1536245eaf385627bdcd88c637087234143cab759aef1ce8daa0"


class DigitClassifier(nn.Sequential):
    """Grey images (n, 1, 28, 28) in [-1, 1] to logits (n, 10)."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64 * 9, 10)),
        )


def load_digit_classifier(path: Path = WEIGHTS, sha256: str = SHA256) -> DigitClassifier:
    """The pinned classifier, in eval mode, without gradients.

    Raises:
        ValueError: if the file is not the one that was pinned. It is hashed before it is read.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{path} is not the pinned digit classifier: sha256 {found[:12]}…, expected {sha256[:12]}…")
    classifier = DigitClassifier()
    half = torch.load(io.BytesIO(content), weights_only=True)
    classifier.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in half.items()})
    return classifier.eval().requires_grad_(False)


@dataclass(frozen=True)
class Digits:
    """What the classifier sees in stacked digits."""

    modes: Tensor
    """(n,) the three most likely digits read as one number in [0, 1000): 100 red + 10 green + blue."""
    recognised: Tensor
    """(n,) bool: all three digits have a softmax probability of at least 0.9."""


RECOGNISED_AT = 0.9


@torch.no_grad()
def read_digits(classifier: nn.Module, images: Tensor) -> Digits:
    """Read stacked digits (n, 3, 28, 28) in [-1, 1], one digit a channel.

    Raises:
        ValueError: for images of another shape.
    """
    if images.ndim != 4 or images.shape[1:] != (3, 28, 28):
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

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) in [0, 10).
        epochs: passes over the digits.
        seed: of the initial weights, the order and the shifts.
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
                loss = F.cross_entropy(classifier(shifted), labels[chosen].long())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
    return classifier.eval().requires_grad_(False)


@torch.no_grad()
def accuracy(classifier: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of grey digits (n, 28, 28) uint8 that are classified right. Goal: maximize."""
    right = [
        (classifier(some[:, None].float() / 127.5 - 1).argmax(1) == truth).sum().item()
        for some, truth in zip(images.split(1000), labels.split(1000), strict=True)
    ]
    return sum(right) / len(images)


def save_digit_classifier(classifier: nn.Module, path: Path) -> str:
    """Write the weights in half precision; returns the file's sha256, by which it is to be pinned."""
    half = {name: value.half() if value.is_floating_point() else value for name, value in classifier.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(half, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)
    return hashlib.sha256(buffer.getvalue()).hexdigest()
