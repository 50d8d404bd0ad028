"""How good is a set of images? Pure functions on tensors; imports no other package of this project."""

from metrics.modes import mode_coverage
from metrics.wasserstein import CriticNotReady, WassersteinCritic, gradient_penalty

__all__ = ["CriticNotReady", "WassersteinCritic", "gradient_penalty", "mode_coverage"]
