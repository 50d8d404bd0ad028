"""The trainings that are measured: each of our models with its defaults, at a few sizes."""

from __future__ import annotations

from benchmark.model.build import build_from
from benchmark.model.check import NOT_MEASURED
from benchmark.model.gan_module import GANModule
from benchmark.model.registry import dotted_path, import_model
from benchmark.settings import Settings
from benchmark.studies.run import Run

SIZES = (28, 32, 64)
BATCH = 64
FOREVER = 10**9
"""Iterations of a training that is ended when enough was timed."""


def make_run(name: str, size: int, width: float, iterations: int = FOREVER, batch: int = BATCH) -> Run:
    """A run of a model with its defaults."""
    settings = Settings(iterations, width, None, 1, batch, 1, "float32", NOT_MEASURED)
    return Run(name, dotted_path(name), "noise", "", (3, size, size), {"width": width}, 0, "", settings)


def model(name: str, size: int, width: float) -> GANModule:
    """A model of ours with its initial weights."""
    return build_from(import_model(name), make_run(name, size, width))
