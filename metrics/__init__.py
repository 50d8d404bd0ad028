"""Measure how good a set of images is: pure functions on tensors, with thin torchmetrics around them. Works alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrics.classifier_score import InceptionScore, inception_score
    from metrics.codes import PriorMatch, code_match
    from metrics.critic import CriticNotReady, CriticScore, WassersteinCritic
    from metrics.evaluators.inception import InceptionNetwork
    from metrics.frechet import FrechetDistance, frechet_distance, moments
    from metrics.kernel import KernelDistance, kernel_distance
    from metrics.manifold import PrecisionRecall, precision_recall
    from metrics.modes import ModeCoverage, mode_coverage
    from metrics.reconstruction import ReconstructionError, reconstruction_errors
    from metrics.similarity import SampleDiversity, ms_ssim, sample_diversity
    from metrics.wasserstein import gradient_penalty

__all__ = [
    "CriticNotReady",
    "CriticScore",
    "FrechetDistance",
    "InceptionNetwork",
    "InceptionScore",
    "KernelDistance",
    "ModeCoverage",
    "PrecisionRecall",
    "PriorMatch",
    "ReconstructionError",
    "SampleDiversity",
    "WassersteinCritic",
    "code_match",
    "frechet_distance",
    "gradient_penalty",
    "inception_score",
    "kernel_distance",
    "mode_coverage",
    "moments",
    "ms_ssim",
    "precision_recall",
    "reconstruction_errors",
    "sample_diversity",
]

_HOMES = {
    "classifier_score": ("InceptionScore", "inception_score"),
    "codes": ("PriorMatch", "code_match"),
    "critic": ("CriticNotReady", "CriticScore", "WassersteinCritic"),
    "frechet": ("FrechetDistance", "frechet_distance", "moments"),
    "evaluators.inception": ("InceptionNetwork",),
    "kernel": ("KernelDistance", "kernel_distance"),
    "manifold": ("PrecisionRecall", "precision_recall"),
    "modes": ("ModeCoverage", "mode_coverage"),
    "reconstruction": ("ReconstructionError", "reconstruction_errors"),
    "similarity": ("SampleDiversity", "ms_ssim", "sample_diversity"),
    "wasserstein": ("gradient_penalty",),
}


def __getattr__(name: str) -> Any:
    # Lazy, because torch takes seconds to import, and `python -m metrics --help` needs none.
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"metrics.{module}"), name)
    raise AttributeError(f"module 'metrics' has no attribute {name!r}")
