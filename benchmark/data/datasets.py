"""The data sets: found on the user's disk, prepared once, then mapped from the cache as uint8 arrays with a fingerprint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np
import torch
from torch import Tensor

from benchmark.data import cache
from benchmark.data.celeba import CELEBA
from benchmark.data.cifar10 import CIFAR10
from benchmark.data.folder import folder_recipe
from benchmark.data.mnist import COLORMNIST, COLORMNIST_MINI
from benchmark.data.source import SPLITS, Found, Recipe
from benchmark.errors import UserError, unknown

RECIPES = {recipe.name: recipe for recipe in (COLORMNIST_MINI, COLORMNIST, CIFAR10, CELEBA)}
"""The data sets that have a name, in the order in which they are listed."""
DATA_DIR = Path("data")
"""Where data sets are looked for, and downloaded to, unless the user names another folder."""


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
        return folder_recipe(folder.resolve(), RECIPES)
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
    return _open(RECIPES.get(name) or folder_recipe(Path(name), RECIPES), fingerprint)


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
