"""Open data sets by name, folder or dotted path: found on the user's disk, prepared once, then mapped from the cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from benchmark.imports import import_instance

RECIPES = {recipe.name: recipe for recipe in (COLORMNIST_MINI, COLORMNIST, CIFAR10, CELEBA)}
"""The data sets that have a name, in the order in which they are listed."""
NAME = r"\w[\w.-]*"
"""What a data set may be called: it is a part of folders' names."""
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
    """Find the recipe of a data set.

    Args:
        name: one of RECIPES, the path of a folder of images, or the dotted path of a `Recipe` of the user's own.

    Raises:
        UserError: for a word that is none of them.
    """
    if name in RECIPES:
        return RECIPES[name]
    folder = Path(name).expanduser()
    if name and os.path.isdir(folder):  # noqa: PTH112 - answers False for a name that is too long, where Path raises
        return folder_recipe(folder.resolve(), RECIPES)
    if "/" in name:
        raise UserError(f"there is no folder {name}; known data sets are {', '.join(sorted(RECIPES))}")
    if "." in name.strip("."):
        return _users_recipe(name)
    raise UserError(
        f"{unknown('data set', name, RECIPES)}, the path of a folder of images, or a dotted path: mypackage.MY_RECIPE"
    )


def _users_recipe(path: str) -> Recipe:
    """A user's own recipe, whose files are prepared anew whenever the file that holds the recipe changes.

    Runs know the data set by the recipe's name and by the fingerprint of its pixels, as they know a folder: so workers open it
    from the cache and need no code of the user's.
    """
    recipe, module = import_instance(path, Recipe, "data set", "benchmark.data.source.Recipe")
    if not re.fullmatch(NAME, recipe.name):
        raise UserError(f"data set {path!r} is named {recipe.name!r}; letters, digits and . - _ were expected")
    if recipe.name in RECIPES:
        if recipe == RECIPES[recipe.name]:
            return recipe
        raise UserError(f"data set {path!r} is named {recipe.name!r}, the name of another one; give it one of its own")
    code = hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()

    def find(data_dir: Path) -> Found | None:
        files = recipe.find(data_dir)
        return None if files is None else replace(files, stamp=f"{files.stamp} read by {code}")

    return replace(recipe, find=find)


def load_dataset(name: str, data_dir: Path = DATA_DIR) -> Dataset:
    """Open a data set; it is prepared at the first use.

    Args:
        name: one of RECIPES, the path of a folder of images, or the dotted path of a recipe of the user's own.
        data_dir: where the files are looked for, and downloaded to where that is possible.

    Raises:
        UserError: if the files are not there or not what they should be; says how to get them.
    """
    recipe = recipe_for(name)
    files = recipe.find(data_dir)
    if files is None and recipe.download is not None:
        cache.root().mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(cache.root() / "download.lock"):
            files = recipe.find(data_dir)  # another process may just have got it
            if files is None:
                recipe.download(data_dir)
                files = recipe.find(data_dir)
    if files is None:
        raise UserError(f"{recipe.name} is not in {data_dir}: {recipe.how_to_get}")
    return prepare(recipe, files)


def prepare(recipe: Recipe, files: Found) -> Dataset:
    """Open a data set whose files were found.

    Raises:
        UserError: if they are not what they should be, or the cache cannot be written.
    """
    return _open(recipe, cache.prepared(recipe.name, recipe.version, files))


def open_dataset(name: str, fingerprint: str) -> Dataset:
    """Open a data set that was prepared before, from the cache alone.

    Args:
        name: that of `Dataset.name`.
        fingerprint: that of `Dataset.fingerprint`.

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
