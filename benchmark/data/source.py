"""Describe a source of images: how its files are found, checked and read as the pixels of three splits.

Nothing is unpickled before its hash is known to be the publisher's; nothing is unpacked to disk.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from benchmark.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """What is known of a data set before it is found."""

    name: str
    summary: str
    latent_dims: tuple[int, ...]
    """The latent sizes of the paper's sweep, the same for every model."""
    paper_iterations: int
    find: Callable[[Path], Found | None]
    """Looks for the files in a data folder."""
    how_to_get: str
    download: Callable[[Path], None] | None = None
    version: int = 1
    """Raised whenever the same files make other pixels."""


SPLITS = ("train", "validation", "test")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """The images of one split, before they are prepared."""

    n: int
    read: Callable[[int, int], Pixels]
    """Images start to stop, (stop - start, c, h, w); called from several threads at once."""
    shape: tuple[int, int, int]
    """Of each image: (c, h, w)."""
    modes: NDArray[np.int64] | None = None
    """(n,) ids, where the data has known modes."""
    n_modes: int = 0
    """How many modes there are; 0 where they are not known."""


@dataclass(frozen=True)
class Found:
    """Files of a data set on a user's disk."""

    where: Path
    stamp: str
    """Of the files' names, sizes and times: changes when they are written, says nothing about their content."""
    splits: Callable[[], Mapping[str, Split]]
    """Reads and checks them; a UserError names the file that is not what it should be."""


def decoded(paths: Sequence[Path], read: Callable[[Path], bytes], convert: Callable[[Image.Image], Pixels], size: int) -> Split:
    """Make a split of image files that are decoded when they are read."""

    def pixels_of(path: Path) -> Pixels:
        with naming(path), Image.open(io.BytesIO(read(path))) as image:
            return convert(image)

    return Split(len(paths), lambda start, stop: np.stack([pixels_of(path) for path in paths[start:stop]]), (3, size, size))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong with it."""
    try:
        yield
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise UserError(f"{path} is no image that can be read; remove it or replace it") from None
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise UserError(f"{path} cannot be used: {reason}; remove it or replace it") from None


def channels_first(image: Image.Image) -> Pixels:
    """Turn an RGB image into pixels (3, h, w)."""
    return np.asarray(image, np.uint8).transpose(2, 0, 1)


def expect_md5(path: Path, content: bytes, md5: str) -> None:
    """Raise a UserError that names the file if its content is not the publisher's."""
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise UserError(f"{path} is damaged or not the publisher's: md5 {actual}, expected {md5}; remove it and get it again")


def expect_images(where: Path, splits: Mapping[str, Split]) -> None:
    """Raise a UserError if a split is too small to be measured."""
    for name, split in splits.items():
        if split.n < 2:
            raise UserError(f"{where} holds {split.n} images of the {name} split; each split needs at least two")


def file_stamp(paths: Sequence[Path], base: Path | None = None) -> str:
    """Hash the names, sizes and times of files, by which it is seen that they were written again."""
    facts = []
    for path in paths:
        status = path.stat()
        name = str(path.relative_to(base)) if base else path.name
        facts.append((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()


def download_with_torchvision(name: str, data_dir: Path, files: str, place: Path) -> None:
    """Let torchvision download a data set; a failure is a UserError that says which files to put where."""
    import torchvision

    try:
        getattr(torchvision.datasets, name)(data_dir, download=True)
    except (RuntimeError, OSError, EOFError, HTTPException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{name} is not in {data_dir} and cannot be downloaded ({reason}): put {files} into {place}") from None
