"""Read any folder of images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmark.data.source import SPLITS, Found, Pixels, Recipe, Split, channels_first, decoded, expect_images, file_stamp, naming
from benchmark.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
FEWEST = 100
"""Images that a folder must hold at least, to be split in three."""


def find_folder(folder: Path) -> Found | None:
    """Find all images below a folder: centre square, 64x64 (32x32 where most are smaller), split and ordered by files' hashes."""
    if not folder.is_dir():
        return None
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return Found(folder, file_stamp(paths, folder), lambda: _folder(folder, paths))


def _folder(folder: Path, paths: Sequence[Path]) -> dict[str, Split]:
    if len(paths) < FEWEST:
        raise UserError(
            f"{folder} holds {len(paths)} images ({', '.join(SUFFIXES)}); at least {FEWEST} are needed for three splits"
        )
    # In the order of the hashes, so that the first images of a split are a fair sample of its folders, and names do not matter.
    ranked = sorted((_content_hash(path), path) for path in paths)
    size = folder_size([path for _, path in ranked])
    chosen: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for number, path in ranked:
        share = number % 10
        chosen["train" if share < 8 else "validation" if share == 8 else "test"].append(path)
    convert = partial(square, size=size)
    splits = {split: decoded(paths, lambda path: path.read_bytes(), convert, size) for split, paths in chosen.items()}
    expect_images(folder, splits)
    return splits


def _content_hash(path: Path) -> int:
    with naming(path):
        return int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "big")


def folder_size(paths: Sequence[Path]) -> int:
    """Choose 64 pixels a side, or 32 where the median shorter side of a hundred of the images is under 64."""
    sides = []
    for path in paths[:: max(1, len(paths) // 100)]:
        with naming(path), Image.open(path) as image:
            sides.append(min(image.size))
    return 64 if np.median(sides) >= 64 else 32


def square(image: Image.Image, size: int) -> Pixels:
    """Crop the centre square of an image of any mode and resize it with antialiasing: (3, size, size) uint8.

    Transparent pixels become white.

    Raises:
        ValueError: for 32-bit pixels, whose range is not known.
    """
    image = ImageOps.exif_transpose(image)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return channels_first(_rgb(image).crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("F", "I"):
        raise ValueError("its pixels are 32-bit numbers, whose range nobody knows")
    if image.mode.startswith("I;16"):  # which convert() would clip
        return Image.fromarray((np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def folder_recipe(folder: Path, taken: Collection[str]) -> Recipe:
    """Make the recipe of a folder of images, named like the folder unless that name is `taken`."""
    name = re.sub(r"[^\w.-]", "-", folder.name)
    return Recipe(
        name=f"folder-{name}" if name in taken else name,
        summary="your own images",
        latent_dims=(128,),
        paper_iterations=200_000,
        find=lambda _: find_folder(folder),
        how_to_get="a folder of images",
    )
