"""Build a model with its initial weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmark.model.gan_module import GANModule
from benchmark.randomness import derive_seed


def build(model: type, image_shape: Sequence[int], hyperparameters: Mapping[str, Any], seed: int) -> GANModule:
    """Build a model on the CPU. Its initial weights are a function of the seed; torch's global random stream is left alone.

    Args:
        model: a subclass of `GANModule`.
        image_shape: (channels, height, width).
        hyperparameters: the constructor's other arguments.
        seed: of the initial weights, and of every draw of its training.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "initial weights"))
        module: GANModule = model(image_shape, **hyperparameters)
    module.seed = seed
    return module.to(memory_format=torch.channels_last)  # measured on a CPU: 7 to 13 % less time an iteration
