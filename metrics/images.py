"""Convert images between uint8 pixels, as disk and pictures have them, and float32 in [-1, 1], as networks do."""

from __future__ import annotations

import torch
from torch import Tensor


def as_images(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels (n, c, h, w) to float32 images in [-1, 1].

    Raises:
        ValueError: for pixels of another type.
    """
    if pixels.dtype != torch.uint8:
        raise ValueError(f"pixels are uint8, not {pixels.dtype}")
    return pixels.float().div_(127.5).sub_(1.0)


def as_pixels(images: Tensor) -> Tensor:
    """Convert images (n, c, h, w) in [-1, 1] to the nearest uint8 pixels, clipped."""
    return images.detach().add(1.0).mul_(127.5).round_().clamp_(0, 255).byte()
