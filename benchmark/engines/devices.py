"""Find what there is to compute on."""

from __future__ import annotations

import os

import torch

from benchmark.errors import UserError, unknown


def resolve_device(name: str) -> str:
    """Return the type of device, "cpu" or "cuda", for what a user asks for; "auto" is a GPU where there is one.

    Raises:
        UserError: for another word, or a GPU that is not there.
    """
    check_device(name)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("DEVICE=cuda, but torch sees no GPU here; use DEVICE=cpu")
    return name


def check_device(name: str) -> None:
    """Check that a word says what to compute on, here or elsewhere.

    Raises:
        UserError: for another word.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise unknown("device", name, ["auto", "cpu", "cuda"])


def visible_gpus() -> list[str]:
    """List the names by which CUDA_VISIBLE_DEVICES selects the GPUs of this process, one by one."""
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named or [str(index) for index in range(torch.cuda.device_count())]
