"""Keep prepared data: pixels are decoded once, in parallel, and moved to their place in the cache when whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
import platformdirs
from tqdm import tqdm

from benchmark.data.source import SPLITS, Found, Split, expect_images
from benchmark.errors import UserError
from benchmark.files import write_atomically, write_json

BLOCK = 256
"""Images that a thread reads at once."""


def root() -> Path:
    """Return where prepared data lies: ALPHAGAN_CACHE, or the user's cache folder."""
    return Path(os.environ.get("ALPHAGAN_CACHE") or platformdirs.user_cache_dir("alphagan-benchmark"))


def place(name: str, fingerprint: str) -> Path:
    """Return the folder of a prepared data set."""
    return root() / f"{name}-{fingerprint[:16]}"


def prepared(name: str, version: int, files: Found) -> str:
    """Return the fingerprint of a data set whose files were found, after it was prepared, now or before.

    Raises:
        UserError: if a file is not what it should be, or the cache cannot be written.
    """
    identity = json.dumps([name, version, files.stamp, str(files.where)])
    known = root() / "known" / hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:24]
    if fingerprint := _known(known, name):
        return fingerprint
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root() / f"{name}.lock"):  # of two processes one prepares and the other waits for it
            if fingerprint := _known(known, name):
                return fingerprint
            fingerprint = _prepare(name, version, files)
            write_atomically(known, fingerprint)
            return fingerprint
    except OSError as error:
        raise UserError(
            f"cannot prepare {name} in {root()}: {error.strerror or error}; ALPHAGAN_CACHE names another folder for it"
        ) from None


def _known(known: Path, name: str) -> str | None:
    """The fingerprint that was noted, if what it names is there and whole."""
    if not known.exists():
        return None
    fingerprint = known.read_text()
    return fingerprint if is_whole(place(name, fingerprint)) else None


def is_whole(folder: Path) -> bool:
    """Tell whether a prepared data set has all its files, each as long as its header says."""
    try:
        facts = json.loads((folder / "meta.json").read_text())
        for split in SPLITS:
            np.load(folder / f"{split}.npy", mmap_mode="r")
        return "fingerprint" in facts
    except (OSError, ValueError):
        return False


def _prepare(name: str, version: int, files: Found) -> str:
    splits = files.splits()
    _check(name, files, splits)
    for litter in root().glob(f"{name}~*.part"):  # of preparations that were killed; we hold the lock, and no name holds a ~
        shutil.rmtree(litter, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{name}~", suffix=".part", dir=root()))
    try:
        part.chmod(0o755)  # other users may share the cache
        with tqdm(
            total=sum(splits[split].n for split in SPLITS), desc=f"preparing {name}", unit=" images", delay=1, disable=None
        ) as bar:
            for split in SPLITS:
                _write(part, split, splits[split], bar, name)
        facts = {"image_shape": splits["train"].shape, "n_modes": splits["train"].n_modes}
        fingerprint = _fingerprint(facts, version, part)
        write_json(part / "meta.json", {**facts, "fingerprint": fingerprint})
        target = place(name, fingerprint)
        if not is_whole(target):
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        return fingerprint
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(name: str, files: Found, splits: Mapping[str, Split]) -> None:
    """Raise a UserError if a recipe leaves out a split, has too few images, or images of several shapes."""
    if missing := [split for split in SPLITS if split not in splits]:
        raise UserError(f"the recipe of {name} makes no {missing[0]} split; {', '.join(SPLITS)} are needed")
    if len(shapes := {tuple(splits[split].shape) for split in SPLITS}) > 1:
        raise UserError(f"the splits of {name} have images of several shapes: {', '.join(map(str, sorted(shapes)))}")
    expect_images(files.where, splits)


def _write(folder: Path, split_name: str, split: Split, bar: tqdm, name: str) -> None:
    path = folder / f"{split_name}.npy"
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(split.n, *split.shape))
    if hasattr(os, "posix_fallocate"):  # ask for the space now: a full disk would otherwise kill the process at some later write
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def fill(start: int) -> int:
        stop = min(start + BLOCK, split.n)
        images = np.asarray(split.read(start, stop))
        if images.dtype != np.uint8 or images.shape != (stop - start, *split.shape):  # an assignment would cast them unseen
            raise UserError(
                f"the recipe of {name} reads its {split_name} images as {images.dtype} {images.shape}; uint8 "
                f"{(stop - start, *split.shape)} was expected"
            )
        pixels[start:stop] = images
        return stop - start

    with ThreadPoolExecutor(joblib.cpu_count()) as pool:  # decoding releases the interpreter's lock
        for done in pool.map(fill, range(0, split.n, BLOCK)):
            bar.update(done)
    pixels.flush()
    if split.modes is not None:
        np.save(folder / f"{split_name}-modes.npy", split.modes)


def pack(name: str, fingerprint: str) -> dict[str, np.ndarray]:
    """Map the files of a prepared data set as bytes, (n,) uint8 each: to be sent to another machine."""
    return {path.name: np.memmap(path, np.uint8, "r") for path in sorted(place(name, fingerprint).iterdir())}


def unpack(name: str, fingerprint: str, files: Mapping[str, np.ndarray]) -> None:
    """Put what `pack` gave on another machine into this machine's cache."""
    root().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(root() / f"{name}.lock"):
        target = place(name, fingerprint)
        if is_whole(target):
            return
        part = Path(tempfile.mkdtemp(prefix=f"{name}~", suffix=".part", dir=root()))
        try:
            part.chmod(0o755)
            for file, content in files.items():
                content.tofile(part / file)
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _fingerprint(facts: Mapping[str, Any], version: int, folder: Path) -> str:
    """A hash of every pixel and mode, the shape of the images and the recipe's version."""
    digest = hashlib.sha256(json.dumps([facts, version], sort_keys=True).encode())
    for path in sorted(folder.glob("*.npy")):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
