"""Check the input of metrics before any long computation."""

from __future__ import annotations

from torch import Tensor

SLACK = 1e-3
"""By how much images may leave [-1, 1]: rounding, not another range."""


def check_images(images: Tensor, channels: int | None = None, at_least: int = 1) -> Tensor:
    """Check images against what all metrics take: (n, c, h, w), floating point, finite, in [-1, 1].

    Args:
        images: to be checked.
        channels: how many they must have; None for any.
        at_least: how many images there must be.

    Returns:
        The images as they came.

    Raises:
        ValueError: says what is wrong and what to do.
    """
    if images.ndim != 4:
        raise ValueError(f"images are (n, c, h, w), not {tuple(images.shape)}")
    if not images.dtype.is_floating_point:
        raise ValueError(f"images are floats in [-1, 1], not {images.dtype}: for uint8 pixels, images = pixels / 127.5 - 1")
    if channels is not None and images.shape[1] != channels:
        grey = "; repeat a grey channel with images.expand(-1, 3, -1, -1)" if (images.shape[1], channels) == (1, 3) else ""
        raise ValueError(f"images must have {channels} channels here, not {images.shape[1]}{grey}")
    if len(images) < at_least:
        raise ValueError(f"at least {at_least} image{'s' * (at_least > 1)} are needed, not {len(images)}")
    if len(images) == 0:
        return images
    low, high = (bound.item() for bound in images.detach().aminmax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # NaN is not smaller than anything
        raise ValueError("images hold values that are not finite")
    if low < -1 - SLACK or high > 1 + SLACK:
        raise ValueError(f"images lie in [-1, 1], not in [{low:.4g}, {high:.4g}]")
    return images


def check_rows(name: str, rows: Tensor, at_least: int = 1) -> Tensor:
    """Check logits, features or codes against what they must be: (n, d), floating point, finite, at least so many.

    Raises:
        ValueError: says what is wrong.
    """
    if rows.ndim != 2 or not rows.dtype.is_floating_point:
        raise ValueError(f"{name} are (n, d) floats, not {rows.dtype} {tuple(rows.shape)}")
    if len(rows) < at_least:
        raise ValueError(f"at least {at_least} {name} are needed, not {len(rows)}")
    if not rows.isfinite().all():
        raise ValueError(f"{name} hold values that are not finite")
    return rows


def check_dimensions(name: str, evaluated: int, reference: int) -> None:
    """Check that two sets have the same number of dimensions.

    Raises:
        ValueError: if their dimensions differ.
    """
    if evaluated != reference:
        raise ValueError(f"{name} have {evaluated} dimensions, the reference has {reference}")
