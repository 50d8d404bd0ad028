"""Images on their way between disk, networks and pictures: uint8 pixels there, float32 in [-1, 1] here."""

from __future__ import annotations

import torch
from torch import Tensor


def as_images(pixels: Tensor) -> Tensor:
    """uint8 pixels (n, c, h, w) to float32 images in [-1, 1].

    Raises:
        ValueError: for pixels of another type.
    """
    if pixels.dtype != torch.uint8:
        raise ValueError(f"pixels are uint8, not {pixels.dtype}")
    return pixels.float().div_(127.5).sub_(1.0)


def as_pixels(images: Tensor) -> Tensor:
    """Images in [-1, 1] to the nearest uint8 pixels, clipped."""
    return images.detach().add(1.0).mul_(127.5).round_().clamp_(0, 255).byte()
