"""Time minibatches from the cache of prepared data sets, against a DataLoader."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import CIFAR10, ImageFolder
from tqdm import tqdm

from benchmark.data.celeba import CELEBA_CROP, CELEBA_SIZE
from benchmark.data.datasets import Dataset, load_dataset, recipe_for
from benchmark.perf.table import Goal, Row
from metrics.images import as_images

BATCH = 64
REPEATS = 5
WORKERS = (0, 2, 4)
FASTER = Goal("at least", 10)
"""How many times as fast as a DataLoader the cache is to be."""
FIRST_BATCH = Goal("at most", 1)


def rows(data_dir: Path, seconds: float, repeats: int) -> Iterator[Row | str]:
    """Time minibatches from the cache against torchvision's data sets behind a DataLoader."""
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores are part of the comparison
    for name, torchvision_data in (("celeba", _image_folder), ("cifar10", _cifar10)):
        if recipe_for(name).find(data_dir) is None:
            yield f"{name}: not measured, its files are not in {data_dir}"
            continue
        dataset = load_dataset(name, data_dir)  # checks and prepares it where it is not yet
        yield from _first_batch(name, data_dir)
        if (peer := torchvision_data(data_dir)) is None:
            yield f"{name}: not compared, torchvision's layout is not in {data_dir}"
        else:
            yield from _compare(name, dataset, peer, seconds, min(repeats, REPEATS))


def _first_batch(name: str, data_dir: Path) -> Iterator[Row]:
    """Time a prepared data set to its first minibatch, and measure what reading all of it adds to the process's own memory."""
    start = time.perf_counter()
    dataset = load_dataset(name, data_dir)
    next(_from_cache(dataset))
    seconds, before = time.perf_counter() - start, _own_memory()
    for pixels in dataset["train"].split(1000):
        pixels.amax()  # a sum would make numbers of eight bytes of them first
    yield Row(f"{name}, first minibatch of the prepared data set", [seconds], "s", FIRST_BATCH)
    size = dataset["train"].numel() / 2**20
    yield Row(f"{name}, own memory that reading all {size:.0f} MiB adds", [_own_memory() - before], "MiB")


def _own_memory() -> float:
    """Read how many MiB of this process no file backs (Linux); nan elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), float("nan"))


def _compare(name: str, dataset: Dataset, peer: torch.utils.data.Dataset, seconds: float, repeats: int) -> Iterator[Row]:
    sources: dict[str, Callable[[], Iterator[Tensor]]] = {"the cache": lambda: _from_cache(dataset)}
    for workers in WORKERS:
        sources[f"DataLoader, {workers} workers"] = lambda workers=workers: _from_loader(peer, workers)  # type: ignore[misc]
    rates: dict[str, list[float]] = {source: [] for source in sources}
    with tqdm(total=repeats * len(sources), desc=name, disable=None, leave=False) as bar:
        for _ in range(repeats):
            for source, batches in sources.items():
                rates[source].append(_rate(batches(), seconds))
                bar.update()
    cache = rates.pop("the cache")
    for source, values in rates.items():
        yield Row(f"{name}, minibatches of {BATCH}", cache, "images/s", FASTER, source, values)


def _rate(batches: Iterator[Tensor], seconds: float) -> float:
    """Measure images a second after the first two minibatches, which start the workers."""
    for _ in range(2):
        next(batches)
    images, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        images += len(next(batches))
    return images / elapsed


def _from_cache(dataset: Dataset) -> Iterator[Tensor]:
    pixels, source = dataset["train"], torch.Generator().manual_seed(0)
    while True:
        yield as_images(pixels[torch.randint(len(pixels), (BATCH,), generator=source)])


def _from_loader(dataset: torch.utils.data.Dataset, workers: int) -> Iterator[Tensor]:
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0)
    while True:
        for images, _ in loader:
            yield images


def _image_folder(data_dir: Path) -> ImageFolder | None:
    """Open CelebA as is usual; None where it is not there."""
    if not (data_dir / "celeba" / "img_align_celeba").is_dir():
        return None
    steps = [
        transforms.CenterCrop(CELEBA_CROP),
        transforms.Resize(CELEBA_SIZE),
        transforms.ToTensor(),
        transforms.Normalize(0.5, 0.5),
    ]
    return ImageFolder(data_dir / "celeba", transforms.Compose(steps))


def _cifar10(data_dir: Path) -> CIFAR10 | None:
    """Open CIFAR-10 as is usual; None where it is not there."""
    if not (data_dir / "cifar-10-batches-py").is_dir():
        return None
    return CIFAR10(data_dir, transform=transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]))
