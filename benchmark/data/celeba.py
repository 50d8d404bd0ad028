"""Read CelebA: aligned faces, cropped and resized to 64 pixels."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from PIL import Image

from benchmark.data.source import Found, Pixels, Recipe, Split, channels_first, decoded, expect_images, file_stamp
from benchmark.errors import UserError

CELEBA_CROP, CELEBA_SIZE = 160, 64
CELEBA_LAST = {"train": 162_770, "validation": 182_637, "test": 202_599}
"""The last file number of each part of the official partition."""
CELEBA_PLACES = tuple(
    f"{above}{inner}" for inner in ("img_align_celeba", "img_align_celeba/img_align_celeba") for above in ("celeba/", "")
)
CELEBA_ZIPS = tuple(
    f"{above}{name}.zip" for name in ("img_align_celeba", "archive", "celeba-dataset") for above in ("celeba/", "")
)


def find_celeba(data_dir: Path) -> Found | None:
    """Find CelebA's aligned faces in a folder or a zip, split by file number; whatever subset is there."""
    for place in CELEBA_PLACES:
        folder = data_dir / place
        if not folder.is_dir():
            continue
        files = _numbered(os.listdir(folder))  # noqa: PTH208 - of 200,000 files no Path is made that is only looked at
        if files:
            # Adding, removing or renaming a file changes the folder's time; for files rewritten in place every 16th is looked at.
            looked_at = [folder, *(folder / files[number] for number in sorted(files)[::16])]
            stamp = hashlib.sha256((file_stamp(looked_at) + "/".join(sorted(files.values()))).encode()).hexdigest()
            return Found(folder, stamp, partial(_celeba, files, lambda path: path.read_bytes(), folder))
    for place in CELEBA_ZIPS:
        path = data_dir / place
        if path.is_file():
            return Found(path, file_stamp([path]), partial(_celeba_zip, path))
    return None


def _numbered(names: Iterable[str]) -> dict[int, str]:
    """File names such as 000001.jpg by their number, with the folder they stand in."""
    pattern = re.compile(r"(?:.*/)?(\d{6})\.jpg")
    matches = ((pattern.fullmatch(name), name) for name in names)
    return {int(match[1]): name for match, name in matches if match and 1 <= int(match[1]) <= CELEBA_LAST["test"]}


def _celeba_zip(path: Path) -> dict[str, Split]:
    try:
        archive = zipfile.ZipFile(path)  # stays open: opening it reads all 200,000 names, and its reads are safe among threads
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is no whole zip file: {error}; get it again") from None
    names = archive.namelist()
    strange = [name for name in names if name.startswith("/") or ".." in Path(name).parts]
    if strange:
        raise UserError(f"{path} holds a file named {strange[0]!r}, which points out of the archive; this is not CelebA's zip")
    files = _numbered(name for name in names if "img_align_celeba" in Path(name).parts)
    if not files:
        raise UserError(f"{path} holds no img_align_celeba/000001.jpg or the like")

    return _celeba(files, lambda member: archive.read(member.relative_to(path).as_posix()), path)


def _celeba(files: Mapping[int, str], read: Callable[[Path], bytes], where: Path) -> dict[str, Split]:
    first, splits = 1, {}
    for name, last in CELEBA_LAST.items():
        paths = [where / files[number] for number in sorted(files) if first <= number <= last]
        splits[name] = decoded(paths, read, celeba_face, CELEBA_SIZE)
        first = last + 1
    expect_images(where, splits)
    return splits


def celeba_face(image: Image.Image) -> Pixels:
    """Crop the centre 160x160 of an aligned face of 178x218 and resize it with antialiasing: (3, 64, 64) uint8.

    Raises:
        ValueError: for an image of another size.
    """
    if image.size != (178, 218):
        raise ValueError(f"it has {image.size[0]}x{image.size[1]} pixels, CelebA's aligned faces have 178x218")
    left, top = (178 - CELEBA_CROP) // 2, (218 - CELEBA_CROP) // 2
    face = image.convert("RGB").crop((left, top, left + CELEBA_CROP, top + CELEBA_CROP))
    return channels_first(face.resize((CELEBA_SIZE, CELEBA_SIZE), Image.Resampling.BILINEAR))


CELEBA = Recipe(
    name="celeba",
    summary="CelebA: aligned faces, the centre 160x160 of 178x218 as 64x64",
    latent_dims=(128,),
    paper_iterations=200_000,
    find=find_celeba,
    how_to_get=(
        "its host allows few downloads, so get img_align_celeba.zip by hand (mmlab.ie.cuhk.edu.hk/projects/CelebA.html, "
        "or Kaggle) and put it, or its folder img_align_celeba, into celeba there"
    ),
)
