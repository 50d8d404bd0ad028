"""Train the CIFAR-10 classifier, by the recipe of Rosca et al. 2017 (appendix H.5) or by a modern one of a tenth of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from metrics.evaluators.cifar import Cifar10Classifier
from metrics.images import as_images

STATISTICS_STEPS = 100
"""The last minibatches, from which the batch-norm statistics of the averaged weights are computed."""


@dataclass(frozen=True)
class Recipe:
    """How the classifier is trained: stochastic gradient descent on the cross entropy, without label smoothing."""

    steps: int
    learning_rate: float
    """At its highest."""
    schedule: Literal["staircase", "one_cycle"]
    """Divided by 10 at half and at three quarters of the steps; or up from 0 for a fifth of them, then down to 0 in a line."""
    weight_decay: float
    nesterov: bool = False
    momentum: float = 0.9
    batch_size: int = 256
    padding: int = 4
    """Of black pixels on each side, before a random crop."""
    crop: int = 32
    """Side of the crops in pixels until `full_crops_from`; the network pools over whatever size it gets."""
    full_crops_from: float = 0.0
    """Share of the steps after which crops have the images' own size."""
    flips: bool = False
    """Mirror every other image, left and right."""
    cutout: int = 0
    """Side of a square at a random place that is made grey, in pixels."""
    averaging: float = 0.0
    """Decay per step of a moving average of the weights, which is what is kept; 0 keeps the last weights."""
    seed: int = 0


RECIPES = {
    # The paper writes epochs, but its learning-rate boundaries are steps; its L2 penalty and the size of its crops are lost.
    "paper": Recipe(80_000, 0.1, "staircase", 1e-4),
    # 60 epochs. Small crops cost half, and are the translations that the padding makes otherwise.
    "short": Recipe(
        11_700, 0.2, "one_cycle", 5e-4, nesterov=True, crop=24, full_crops_from=0.8, flips=True, cutout=8, averaging=0.998
    ),
}


class Cifar10Training:
    """A training that can stop anywhere and go on: every draw is a function of the seed and the step.

    Convolutions run in bfloat16, on a GPU and on a CPU alike; weights, sums and statistics stay in float32.

    Args:
        images: (n, 3, 32, 32) uint8.
        labels: (n,) in [0, 10).
        recipe: how to train.
        device: where.
    """

    def __init__(self, images: Tensor, labels: Tensor, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device, self.step = recipe, device, 0
        self.size = images.shape[-1]
        self.images = F.pad(images, (recipe.padding,) * 4).to(device)
        self.labels = labels.long().to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.classifier = Cifar10Classifier()
        if device.type == "cpu":
            _take_weight_gradients_as_products(self.classifier)
        self.classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averages = {name: weights.detach().clone() for name, weights in self.classifier.named_parameters()}
        self.optimizer = torch.optim.SGD(
            self.classifier.parameters(),
            recipe.learning_rate,
            recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )

    def advance(self, steps: int) -> float:
        """Take steps, at most to the recipe's end; returns their mean loss in nats."""
        losses = []
        self.classifier.train()
        for _ in range(min(steps, self.recipe.steps - self.step)):
            for group in self.optimizer.param_groups:
                group["lr"] = self._learning_rate()
            images, labels = self._minibatch(self.step)
            with torch.autocast(self.device.type, torch.bfloat16):
                loss = F.cross_entropy(self.classifier(images), labels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            for name, weights in self.classifier.named_parameters():
                self.averages[name].lerp_(weights.detach(), 1 - self.recipe.averaging)
            self.step += 1
            losses.append(loss.detach())
        return torch.stack(losses).mean().item() if losses else float("nan")

    @torch.no_grad()
    def averaged(self) -> Cifar10Classifier:
        """Make the classifier to keep: the averaged weights, with batch-norm statistics of minibatches as they are trained on.

        Statistics of images without padding and cutout classify worse: 8.6 % in place of 7.7 % of 4,000 test images wrong.
        """
        classifier = Cifar10Classifier().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        classifier.load_state_dict({**self.classifier.state_dict(), **self.averages})
        for layer in classifier.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None  # the plain mean of all batches
        classifier.train()
        for step in range(max(0, self.step - STATISTICS_STEPS), self.step):
            classifier(self._minibatch(step)[0])
        return classifier.eval()

    def _learning_rate(self) -> float:
        passed = self.step / self.recipe.steps
        if self.recipe.schedule == "staircase":
            return self.recipe.learning_rate * 0.1 ** sum(passed >= share for share in (0.5, 0.75))
        return self.recipe.learning_rate * min(passed / 0.2, (1 - passed) / 0.8)

    def _minibatch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (b, 3, crop, crop) in [-1, 1] and labels (b,): each image once an epoch, cropped at a place of its own."""
        recipe = self.recipe
        n, size = recipe.batch_size, self.size if step >= recipe.full_crops_from * recipe.steps else recipe.crop
        epoch, batch = divmod(step, max(1, len(self.images) // n))
        order = torch.randperm(len(self.images), generator=self._generator(0, epoch))
        chosen = order[batch * n : (batch + 1) * n].to(self.device)
        n = len(chosen)
        draws = self._generator(1, step)
        corner = torch.randint(self.images.shape[-1] - size + 1, (2, n, 1), generator=draws)
        rows, columns = corner + torch.arange(size)
        mirrored = (torch.rand(n, 1, generator=draws) < 0.5) & recipe.flips
        columns = torch.where(mirrored, columns.flip(1), columns)
        hole = torch.randint(size, (2, n, 1), generator=draws) - recipe.cutout // 2
        inside = (torch.arange(size) >= hole) & (torch.arange(size) < hole + recipe.cutout)
        rows, columns = rows.to(self.device), columns.to(self.device)
        crops = self.images[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (n, rows, columns, channels)
        images = as_images(crops.permute(0, 3, 1, 2))
        images.masked_fill_((inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(self.device), 0.0)
        return images, self.labels[chosen]

    def _generator(self, purpose: int, index: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.recipe.seed * 2 + purpose) * 1_000_003 + index)

    def save(self, path: Path, log: Mapping[str, Any]) -> None:
        """Write everything that a resumed training needs, with the log so far, atomically."""
        part = path.with_suffix(".part")
        state = {"classifier": self.classifier.state_dict(), "averages": self.averages, "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "step": self.step, "log": dict(log)}, part)
        part.replace(path)

    def load(self, path: Path) -> dict[str, Any]:
        """Go on from a file that `save` wrote; returns its log."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.classifier.load_state_dict(state["classifier"])
        self.averages = state["averages"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return dict(state["log"])


def expected_calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Compute how far confidence is from accuracy, in [0, 1] (Guo et al. 2017, arXiv 1706.04599, equation 3). Goal: minimize.

    Args:
        logits: (n, classes).
        labels: (n,).
        bins: of equal width over the confidence; their gaps are weighted by how many images they hold.
    """
    confidence, answer = logits.double().softmax(1).max(1)
    right = (answer == labels).double()
    place = (confidence * bins).long().clamp(max=bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, confidence - right)
    return gaps.abs().sum().item() / len(labels)


WIDE = 256
"""Layers of so many maps and more work on images of 8x8 pixels and less."""


def _take_weight_gradients_as_products(classifier: nn.Module) -> None:
    """Give the classifier's last layers the weight gradient below."""
    for layer in classifier.modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels >= WIDE:
            layer.__class__ = _WideConvolution


class _WideConvolution(nn.Conv2d):
    """A 3x3 convolution whose weight gradient is nine products of matrices.

    oneDNN works through images of 3x3 or 4x4 pixels row by row, which leaves nine tenths of a matrix unit idle: written so, a
    step took 0.55 to 0.75 of the time on a Xeon.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        return _ConvolutionByProducts.apply(input.bfloat16(), self.weight, self.stride[0])


class _ConvolutionByProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int) -> Tensor:
        weight = weight.bfloat16()
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        return F.conv2d(images, weight, None, stride, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        images, weight = ctx.saved_tensors
        stride = ctx.stride
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        of_images = conv2d_input(images.shape, weight, gradient, stride, 1)
        maps, height, width = gradient.shape[1:]
        padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, maps).t().contiguous()
        reach = [slice(start, start + (height - 1) * stride + 1, stride) for start in range(3)]
        across = [slice(start, start + (width - 1) * stride + 1, stride) for start in range(3)]
        products = [rows @ padded[:, down, right].reshape(-1, images.shape[1]) for down in reach for right in across]
        return of_images, torch.stack(products, -1).float().reshape(weight.shape), None
