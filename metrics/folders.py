"""Read a folder of image files, as somebody else made them, into one array, in an order that says nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class FolderError(ValueError):
    """A folder that cannot be measured; the message says which file, and what to do."""


def read_folder(
    folder: Path,
    size: int | None = None,
    at_most: int | None = None,
    seed: int = 0,
    progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> Tensor:
    """Read all images of a folder and its folders, shuffled: files are often sorted by class, and pieces of a score must not be.

    Args:
        folder: of PNG, JPEG, WebP, BMP or TIFF files; other files are left out.
        size: side to which images are brought: the largest centre square, antialiased (bicubic). None takes them as they are.
        at_most: how many of the shuffled images; None for all.
        seed: of the shuffle.
        progress: wraps the iterator over files, for a progress bar.

    Returns:
        (n, 3, h, w) uint8, turned as their EXIF data says; grey images have three equal channels, transparency is dropped,
        of several frames the first is read.

    Raises:
        FolderError: for a folder without images, a damaged one, one of more than 8 bits, or several sizes without `size`.
    """
    if not folder.is_dir():
        raise FolderError(f"there is no folder {folder}")
    paths = (Path(inside) / name for inside, _, names in os.walk(folder, followlinks=True) for name in names)
    files = sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not files:
        raise FolderError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))[:at_most].tolist()
    chosen = [files[index] for index in order]
    first = _read(chosen[0], size)
    pixels = np.empty((len(chosen), *first.shape), np.uint8)
    for number, path in enumerate(progress(chosen)):
        image = _read(path, size)
        if image.shape != first.shape:
            sizes = " and ".join(
                f"{shape[2]}x{shape[1]} ({name})" for shape, name in ((first.shape, chosen[0]), (image.shape, path))
            )
            raise FolderError(f"the images have several sizes, {sizes}: bring them to one with --size")
        pixels[number] = image
    return torch.from_numpy(pixels)


def _read(path: Path, size: int | None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            mode, picture = image.mode, ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # a damaged file breaks the decoders in many ways
        raise FolderError(f"{path} cannot be read as an image: {error}") from None
    if mode not in MODES:
        raise FolderError(
            f"{path} has pixels of more than 8 bits ({mode}), which would be clipped: convert the images to 8 bits first"
        )
    if size is not None:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture).transpose(2, 0, 1)
