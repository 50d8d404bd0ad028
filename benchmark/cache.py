"""The cache of prepared data: pixels are decoded once, in parallel, and moved to their place when whole."""

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

from benchmark.errors import UserError
from benchmark.sources import SPLITS, Found, Split

BLOCK = 256
"""Images that a thread reads at once."""


def root() -> Path:
    """Where prepared data lies: ALPHAGAN_CACHE, or the user's cache folder."""
    return Path(os.environ.get("ALPHAGAN_CACHE") or platformdirs.user_cache_dir("alphagan-benchmark"))


def place(name: str, fingerprint: str) -> Path:
    """The folder of a prepared data set."""
    return root() / f"{name}-{fingerprint[:16]}"


def prepared(facts: Mapping[str, Any], found: Found) -> str:
    """The fingerprint of a data set whose files were found, after it was prepared, now or before.

    Raises:
        UserError: if a file is not what it should be, or the cache cannot be written.
    """
    identity = json.dumps({**facts, "files": found.stamp, "where": str(found.where)}, sort_keys=True)
    known = root() / "known" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        # Of two processes one prepares and the other waits for it.
        with filelock.FileLock(root() / f"{facts['name']}.lock"):
            if known.exists() and place(facts["name"], known.read_text()).exists():
                return known.read_text()
            fingerprint = _prepare(facts, found)
            part = known.with_suffix(".part")
            part.write_text(fingerprint)
            part.replace(known)
            return fingerprint
    except OSError as error:
        raise UserError(
            f"cannot prepare {facts['name']} in {root()}: {error.strerror or error}; ALPHAGAN_CACHE names another folder for it"
        ) from None


def _prepare(facts: Mapping[str, Any], found: Found) -> str:
    splits = found.splits()
    for litter in root().glob(f"{facts['name']}.*.part"):  # of preparations that were killed; we hold the lock
        shutil.rmtree(litter, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{facts['name']}.", suffix=".part", dir=root()))
    try:
        total = sum(splits[split].n for split in SPLITS)
        with tqdm(total=total, desc=f"preparing {facts['name']}", unit=" images", delay=1, disable=None) as bar:
            for split in SPLITS:
                _write(part, split, splits[split], tuple(facts["image_shape"]), bar)
        fingerprint = _fingerprint(facts, part)
        (part / "meta.json").write_text(json.dumps({**facts, "fingerprint": fingerprint}))
        target = place(facts["name"], fingerprint)
        if not target.exists():
            part.rename(target)
        return fingerprint
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(folder: Path, name: str, split: Split, shape: tuple[int, ...], bar: tqdm) -> None:
    path = folder / f"{name}.npy"
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(split.n, *shape))
    if hasattr(os, "posix_fallocate"):  # ask for the space now: a full disk would otherwise kill the process at some later write
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def fill(start: int) -> int:
        stop = min(start + BLOCK, split.n)
        pixels[start:stop] = split.read(start, stop)
        return stop - start

    with ThreadPoolExecutor(joblib.cpu_count()) as pool:  # decoding releases the interpreter's lock
        for done in pool.map(fill, range(0, split.n, BLOCK)):
            bar.update(done)
    pixels.flush()
    if split.modes is not None:
        np.save(folder / f"{name}-modes.npy", split.modes)


def _fingerprint(facts: Mapping[str, Any], folder: Path) -> str:
    """A hash of every pixel and of what the facts say about them."""
    digest = hashlib.sha256(json.dumps([facts["image_shape"], facts["version"]]).encode())
    for split in SPLITS:
        with (folder / f"{split}.npy").open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
