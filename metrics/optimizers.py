"""Make the optimizer that all models share, fitted to its device: how a step is computed belongs to that, not to the state."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

FLAGS = ("capturable", "foreach", "fused", "differentiable")
"""Of torch's optimizers: they say how a step is computed, not what it is."""


def adam(parameters: list[nn.Parameter], learning_rate: float, betas: tuple[float, float] = (0.5, 0.9)) -> torch.optim.Optimizer:
    """Make an Adam optimizer, with betas (0.5, 0.9) for the critics and for every model that does not ask for others."""
    return fit_to_device(torch.optim.Adam(parameters, lr=learning_rate, betas=betas, fused=True))


def fit_to_device(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Fit an optimizer to its device before its first step: on a GPU its step count must be one that a CUDA graph can advance."""
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = any(parameter.is_cuda for parameter in group["params"])
    return optimizer


def fitted_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Fit a state dict of such an optimizer, perhaps from another device, to this one's device.

    Raises:
        ValueError: for a state of another number of parameter groups.
    """
    groups = [
        {key: value for key, value in saved.items() if key not in FLAGS} | {flag: own[flag] for flag in FLAGS if flag in own}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {**state, "param_groups": groups}
