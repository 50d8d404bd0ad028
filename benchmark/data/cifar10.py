"""Read CIFAR-10."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.source import Found, Pixels, Recipe, Split, download_with_torchvision, expect_md5, file_stamp, naming
from benchmark.errors import UserError

CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def find_cifar10(data_dir: Path) -> Found | None:
    """Find CIFAR-10's python batches: the first 45,000 training images, the last 5,000, the official test images."""
    for folder in (data_dir / "cifar-10-batches-py", data_dir / "cifar10" / "cifar-10-batches-py", data_dir):
        paths = [folder / name for name in CIFAR10_MD5]
        if all(path.is_file() for path in paths):
            return Found(folder, file_stamp(paths), partial(_cifar10, paths))
    return None


def _cifar10(paths: Sequence[Path]) -> dict[str, Split]:
    *training, test = [_cifar10_batch(path)[0] for path in paths]
    images = np.concatenate(training)
    return {"train": _array(images[:45_000]), "validation": _array(images[45_000:]), "test": _array(test)}


def _cifar10_batch(path: Path) -> tuple[Pixels, NDArray[np.int64]]:
    with naming(path):
        content = path.read_bytes()
    expect_md5(path, content, CIFAR10_MD5[path.name])
    batch = pickle.loads(content, encoding="latin1")  # noqa: S301 - only bytes whose hash is the publisher's come so far
    return np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32), np.asarray(batch["labels"], np.int64)


def labelled_cifar10(data_dir: Path) -> dict[str, tuple[Pixels, NDArray[np.int64]]]:
    """Read images and labels of the official 50,000 for training and 10,000 for testing: (n, 3, 32, 32) uint8 and (n,).

    Raises:
        UserError: if the files are not there, or are not the publisher's.
    """
    files = find_cifar10(data_dir)
    if files is None:
        raise UserError(f"no CIFAR-10 in {data_dir}: its python batches belong into {data_dir / 'cifar-10-batches-py'}")
    *training, test = [_cifar10_batch(files.where / name) for name in CIFAR10_MD5]
    images, labels = zip(*training, strict=True)
    return {"train": (np.concatenate(images), np.concatenate(labels)), "test": test}


def _array(images: Pixels) -> Split:
    return Split(len(images), lambda start, stop: images[start:stop], (3, 32, 32))


def _download_cifar10(data_dir: Path) -> None:
    download_with_torchvision("CIFAR10", data_dir, "the unpacked folder cifar-10-batches-py", data_dir)


CIFAR10 = Recipe(
    name="cifar10",
    summary="CIFAR-10: small photographs of ten kinds of things",
    latent_dims=(128,),
    paper_iterations=200_000,
    find=find_cifar10,
    how_to_get="downloaded at the first use, or put the unpacked folder cifar-10-batches-py there",
    download=_download_cifar10,
)
