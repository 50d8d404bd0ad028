"""The CIFAR-10 classifier of the CIFAR Inception score: its network and its training (Rosca et al. 2017, table 5, appendix H.5).

The network scores samples only under the hash of its weights: scores of two trainings do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.images import as_images
from metrics.weights import load_into, read_weights

WEIGHTS = Path(__file__).parent / "weights" / "cifar10.pt"
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
    """A trained classifier in eval mode, without gradients, and the sha256 of its weights.

    Raises:
        WeightsError: if the file cannot be read, is not the pinned one, or holds something else.
    """
    weights = read_weights(path, sha256)
    classifier = Cifar10Classifier()
    load_into(classifier, weights, path)
    return classifier.to(memory_format=torch.channels_last), weights.sha256


@dataclass(frozen=True)
class Recipe:
    """How the classifier is trained. What the paper's text lost is chosen as said here."""

    steps: int = 80_000
    """The paper writes epochs; its learning-rate boundaries are steps."""
    batch_size: int = 256
    learning_rate: float = 0.1
    """Divided by 10 at half and at three quarters of the steps."""
    momentum: float = 0.9
    weight_decay: float = 1e-4
    """The L2 penalty; its value is lost."""
    padding: int = 4
    """Of black pixels on each side, before a random crop to the image's size; the crop's size is lost. No flips."""
    seed: int = 0


class Cifar10Training:
    """A training that can stop anywhere and go on: every draw is a function of the seed and the step.

    Args:
        images: (n, 3, 32, 32) uint8.
        labels: (n,) in [0, 10).
        recipe: how to train.
        device: where; on a GPU in mixed precision (bfloat16).
    """

    def __init__(self, images: Tensor, labels: Tensor, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device, self.step = recipe, device, 0
        self.size = images.shape[-1]
        self.images = F.pad(images, (recipe.padding,) * 4).to(device)
        self.labels = labels.long().to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.classifier = Cifar10Classifier().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.SGD(
            self.classifier.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
        )

    def advance(self, steps: int) -> float:
        """Take steps, at most to the recipe's end; returns their mean loss in nats."""
        losses = []
        self.classifier.train()
        for _ in range(min(steps, self.recipe.steps - self.step)):
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate()
            images, labels = self._minibatch()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = F.cross_entropy(self.classifier(images), labels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.step += 1
            losses.append(loss.detach())
        return torch.stack(losses).mean().item() if losses else float("nan")

    def _learning_rate(self) -> float:
        passed = sum(self.step >= share * self.recipe.steps for share in (0.5, 0.75))
        return self.recipe.learning_rate * 0.1**passed

    def _minibatch(self) -> tuple[Tensor, Tensor]:
        """Images drawn with replacement, each cropped at a place of its own."""
        source = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        n = self.recipe.batch_size
        chosen = torch.randint(len(self.images), (n,), generator=source).to(self.device)
        corner = torch.randint(2 * self.recipe.padding + 1, (2, n, 1), generator=source)
        rows, columns = (corner + torch.arange(self.size)).to(self.device)
        crops = self.images[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (n, rows, columns, channels)
        return as_images(crops.permute(0, 3, 1, 2)), self.labels[chosen]

    def save(self, path: Path, log: Mapping[str, Any]) -> None:
        """Write everything that a resumed training needs, with the log so far, atomically."""
        part = path.with_suffix(".part")
        state = {"classifier": self.classifier.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        torch.save({**state, "log": dict(log)}, part)
        part.replace(path)

    def load(self, path: Path) -> dict[str, Any]:
        """Go on from a file that `save` wrote; returns its log."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return dict(state["log"])


@torch.no_grad()
def classify(classifier: nn.Module, images: Tensor, batch: int = 500) -> Tensor:
    """Logits (n, 10), on the CPU, of uint8 images (n, 3, 32, 32)."""
    device = next(classifier.parameters()).device
    classifier.eval()
    return torch.cat([classifier(as_images(some.to(device))).float().cpu() for some in images.split(batch)])


def error_rate(logits: Tensor, labels: Tensor) -> float:
    """Share of images that are classified wrong, in [0, 1]. Goal: minimize."""
    return (logits.argmax(1) != labels).double().mean().item()
