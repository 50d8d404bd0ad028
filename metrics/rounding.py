"""Keep full float32 where numbers are to be compared: a GPU's convolutions would else round their inputs to ten bits (TF32)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute convolutions without TF32 inside; nothing changes on a CPU. Matrix products have none by torch's default."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
