"""Read and write weights of evaluators: hashed before they are read, and read as tensors only."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


class WeightsError(ValueError):
    """A weights file that is missing, damaged, or not the one that was asked for."""


@dataclass(frozen=True)
class Weights:
    """The content of a weights file."""

    state: Mapping[str, Tensor]
    """In float32 where it is floating point."""
    sha256: str


def read_weights(path: Path, sha256: str | None = None) -> Weights:
    """Read a state dictionary; nothing of the file is run.

    Args:
        path: of a file that `torch.save` made of tensors by name.
        sha256: what the file must hash to, whole or its beginning; None takes any file.

    Raises:
        WeightsError: if the file cannot be read, is another one, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror or error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and not digest.startswith(sha256):
        raise WeightsError(f"{path} is not the pinned file: its sha256 is {digest[:12]}…, expected {sha256[:12]}…")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file breaks the reader in many ways
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{path} is no file of weights, or is cut off: {reason}") from None
    if not (isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise WeightsError(f"{path} is no file of weights: it holds no tensors by name")
    return Weights({name: value.float() if value.is_floating_point() else value for name, value in state.items()}, digest)


def load_into(network: torch.nn.Module, weights: Weights, path: Path) -> None:
    """Give a network its weights, and put it into eval mode without gradients.

    Raises:
        WeightsError: if they are another network's.
    """
    try:
        network.load_state_dict(dict(weights.state))
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} holds the weights of another network than {type(network).__name__}: {detail}") from None
    network.eval().requires_grad_(False)


def save_weights(network: torch.nn.Module, path: Path) -> str:
    """Write a network's weights in half precision, atomically.

    Returns:
        The file's sha256, by which it is to be pinned.
    """
    state = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({name: value.cpu().contiguous() for name, value in state.items()}, buffer)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getvalue())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return hashlib.sha256(buffer.getvalue()).hexdigest()
