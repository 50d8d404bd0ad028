"""Make samplers of what is measured: a model's generator as it is evaluated, and the sanity rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from benchmark.data.datasets import Dataset
from benchmark.errors import Diverged
from benchmark.model.gan_module import GANModule
from benchmark.randomness import stream
from metrics.images import as_images

Sampler = Callable[[int, torch.Generator], Tensor]
"""Takes n and a random stream, and draws n images (n, c, h, w) in [-1, 1], without gradients."""

BATCH = 500
"""Images that are evaluated at once; no value depends on it beyond rounding."""


def draw(sampler: Sampler, n: int, source: torch.Generator) -> Iterator[Tensor]:
    """Draw n images, batch by batch, each (b, c, h, w) in [-1, 1].

    Raises:
        Diverged: for images that are not finite.
    """
    for start in range(0, n, BATCH):
        images = sampler(min(BATCH, n - start), source)
        if not images.isfinite().all():
            raise Diverged("samples are not finite")
        yield images


def reference_sampler(name: str, dataset: Dataset, device: torch.device, split: str = "train") -> Sampler:
    """Make the sampler of a sanity row: "real" draws the images of a split, "noise" uniform noise in [-1, 1].

    A batch holds no image twice where the split is large enough for that.
    """
    pixels = dataset[split].to(device)

    def real(n: int, source: torch.Generator) -> Tensor:
        distinct = torch.randperm(len(pixels), generator=source, device=device)[:n]
        again = torch.randint(len(pixels), (n - len(distinct),), generator=source, device=device)
        return as_images(pixels[torch.cat([distinct, again])])

    def noise(n: int, source: torch.Generator) -> Tensor:
        return torch.rand(n, *dataset.image_shape, generator=source, device=device) * 2 - 1

    return {"real": real, "noise": noise}[name]


def evaluation_copy(module: GANModule, draws: int) -> GANModule:
    """Copy a model for sampling: in eval mode, its generator's batch-norm statistics from prior draws, not moving averages.

    Moving averages blend reconstructions and samples, in autoencoding models only; so every model's are computed anew from the
    same number of draws. Networks that sampling does not pass through keep theirs.
    """
    twin = copy.deepcopy(module)
    return _with_statistics(twin, draw(twin.sample, draws, stream("evaluation", "batch norm", device=twin.device)))


def reconstruction_copy(module: GANModule, pixels: Tensor) -> GANModule:
    """Copy a model for reconstructing: in eval mode, its batch-norm statistics those of reconstructing training images.

    Codes and prior draws differ, so statistics of samples would shade reconstructions; in training each kind of batch goes by its
    own statistics too.

    Args:
        module: the model, with `encode` and `reconstruct`.
        pixels: training images, uint8 (n, c, h, w).
    """
    twin: Any = copy.deepcopy(module)
    return _with_statistics(twin, (twin.reconstruct(as_images(part.to(twin.device))) for part in pixels.split(BATCH)))


def _with_statistics(twin: GANModule, passes: Iterator[Tensor]) -> GANModule:
    """Compute batch-norm statistics anew, as cumulative averages over passes; layers that no pass reaches keep theirs."""
    norms = [layer for layer in twin.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    before = {layer: {name: buffer.clone() for name, buffer in layer.named_buffers()} for layer in norms}
    twin.eval()
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for _ in passes:
            pass
    for layer in norms:
        if layer.num_batches_tracked == 0:
            for name, buffer in layer.named_buffers():
                buffer.copy_(before[layer][name])
    return twin.eval().requires_grad_(False)


def generator_of(module: GANModule, draws: int) -> Sampler:
    """Make the sampler that is evaluated: that of an evaluation copy."""
    return sampler_of(evaluation_copy(module, draws))


def sampler_of(twin: GANModule) -> Sampler:
    """Make the sampler of an evaluation copy, without gradients."""

    def sampler(n: int, source: torch.Generator) -> Tensor:
        with torch.no_grad():
            return twin.sample(n, source)

    return sampler


class TrainingGenerator:
    """Sample from a model in training, for the critic beside it: from a copy in eval mode, batch norm going by the batch.

    A copy, so that nothing of the training moves; batch statistics, because statistics of many draws every few iterations would
    cost more than the training. A `Sampler`.
    """

    def __init__(self, module: GANModule) -> None:
        self.twin = copy.deepcopy(module).eval().requires_grad_(False)
        for layer in self.twin.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.train()

    @torch.no_grad()
    def follow(self, module: GANModule) -> Self:
        """Copy the model's weights as they are now, into the same memory."""
        torch._foreach_copy_([*self.twin.parameters(), *self.twin.buffers()], [*module.parameters(), *module.buffers()])
        return self

    @torch.no_grad()
    def __call__(self, n: int, source: torch.Generator) -> Tensor:
        return self.twin.sample(n, source)


def restart_draws(module: GANModule) -> None:
    """Let a model's draws outside of its training begin anew: each measurement meets the same ones, whatever came before it."""
    module.restart_draws()
