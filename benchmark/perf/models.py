"""Build the models that are measured: each of ours with its defaults, at a few image sizes."""

from __future__ import annotations

from benchmark.model.build import build
from benchmark.model.gan_module import GANModule
from benchmark.model.registry import import_model

SIZES = (28, 32, 64)
BATCH = 64


def build_model(name: str, size: int, width: float) -> GANModule:
    """Build a model by its short name for images (3, size, size), with its initial weights, on the CPU."""
    return build(import_model(name), (3, size, size), {"width": width}, seed=0)
