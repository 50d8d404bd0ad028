"""Time each metric against another implementation of it. pytorch-msssim, of the extra [dev], is compared where it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from tqdm import tqdm

from benchmark.perf.table import FEW, Goal, Row
from metrics.evaluators.inception import InceptionNetwork, InceptionOutput
from metrics.frechet import frechet_distance, moments
from metrics.similarity import diversity
from metrics.values import inception_values

INCEPTION_IMAGES = 2_000


@dataclass(frozen=True)
class Peer:
    """Another way to the same number, and how many times as fast ours is to be."""

    name: str
    run: Callable[[], float]
    goal: float


@dataclass(frozen=True)
class Similarity:
    """MS-SSIM of another library, of pairs of batches in [0, 255]."""

    name: str
    similarity: Callable[[Tensor, Tensor], Tensor]
    at_once: int
    """Pairs in a call: the number that is fastest for it on one core."""
    goal: float


def rows(repeats: int, inception_weights: Path | None) -> Iterator[Row | str]:
    """Measure all metrics that have a peer. What takes tens of seconds is repeated a few times only."""
    peers = [Similarity("torchmetrics", _torchmetrics, 1, 5.0)]
    if find_spec("pytorch_msssim") is None:
        yield "MS-SSIM against pytorch-msssim: not measured, that is not installed (pip install 'alphagan-benchmark[dev]')"
    else:
        yield from _similarity(64, 64, repeats, [Similarity("pytorch-msssim, win_size 3", partial(_msssim, window=3), 16, 8.0)])
        peers = [Similarity("pytorch-msssim", _msssim, 4, 5.0), *peers]
    yield from _similarity(176, 16, min(repeats, FEW), peers)
    yield from _frechet(min(repeats, FEW))
    if inception_weights is None:
        yield "Inception metrics: not measured, no --inception-weights"
    else:
        yield from _inception(inception_weights)


def _similarity(size: int, group: int, repeats: int, peers: list[Similarity]) -> Iterator[Row | str]:
    """Compare all pairs of a group of smooth images of that size with a little noise."""
    source = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.randn(group, 3, 12, 12, generator=source), size, mode="bicubic")
    images = (smooth + 0.2 * torch.randn(smooth.shape, generator=source)).tanh()
    pixels = (images + 1) * 127.5
    first, second = torch.triu_indices(group, group, 1)

    def all_pairs(peer: Similarity) -> float:
        chunks = zip(first.split(peer.at_once), second.split(peer.at_once), strict=True)
        return 1 - torch.cat([peer.similarity(pixels[a], pixels[b]).reshape(-1) for a, b in chunks]).mean().item()

    return compete(
        f"MS-SSIM, {len(first):,} pairs of {size} px",
        lambda: diversity(images, group).value,
        [Peer(peer.name, partial(all_pairs, peer), peer.goal) for peer in peers],
        repeats,
    )


def _msssim(a: Tensor, b: Tensor, window: int = 11) -> Tensor:
    import pytorch_msssim  # only developers have it

    return pytorch_msssim.ms_ssim(a, b, data_range=255, size_average=False, win_size=window)


def _torchmetrics(a: Tensor, b: Tensor) -> Tensor:
    return multiscale_structural_similarity_index_measure(a, b, data_range=255.0, reduction="none")


def _frechet(repeats: int) -> Iterator[Row | str]:
    source = torch.Generator().manual_seed(0)
    mix = torch.randn(2048, 2048, generator=source) / 45
    first, second = (moments(torch.randn(5000, 2048, generator=source) @ mix * scale) for scale in (1.0, 1.1))

    def square_root() -> float:
        product = scipy.linalg.sqrtm(first.covariance.numpy() @ second.covariance.numpy())
        trace = np.trace(np.real(product))
        shift = (first.mean - second.mean).square().sum().item()
        return float(shift + first.covariance.trace().item() + second.covariance.trace().item() - 2 * trace)

    return compete(
        "Fréchet distance, 2,048 dimensions",
        lambda: frechet_distance(first, second),
        [Peer("scipy's sqrtm", square_root, 1.0)],
        repeats,
    )


def _inception(weights: Path) -> Iterator[Row | str]:
    """Measure one pass and all five metrics, in shares of the bare pass."""
    width = next(width for width in (2048, 768) if _has(weights, width))
    network = InceptionNetwork.load(weights, width=width)
    source = torch.Generator().manual_seed(0)
    batches = [torch.rand(50, 3, 32, 32, generator=source) * 2 - 1 for _ in range(INCEPTION_IMAGES // 50)]
    real = network.over(tqdm(batches, desc="reference", disable=None, leave=False))
    bare, whole = [], []
    for images in tqdm(batches, desc="bare and measured passes", disable=None, leave=False):  # interleaved
        start = time.perf_counter()
        network._network(((images + 1) * 127.5).byte())
        bare.append(time.perf_counter() - start)
        start = time.perf_counter()
        output = network(images)
        whole.append((time.perf_counter() - start, output))
    start = time.perf_counter()
    logits = [output.logits for _, output in whole if output.logits is not None]
    fake = InceptionOutput(torch.cat([output.features for _, output in whole]), torch.cat(logits) if logits else None)
    values = list(inception_values(fake, real, 10))
    metrics = time.perf_counter() - start
    total = sum(seconds for seconds, _ in whole) + metrics
    title = f"Inception metrics, {INCEPTION_IMAGES:,} images, {width} features"
    yield Row(title, [total], "s", Goal("at most", 1.1), "the bare network", [sum(bare)])
    yield f"of which {', '.join(value.metric for value in values)} after the network: {metrics:.1f} s"


def _has(weights: Path, width: int) -> bool:
    try:
        InceptionNetwork.load(weights, width=width)
    except ValueError:
        return False
    return True


def compete(title: str, metric: Callable[[], float], peers: list[Peer], repeats: int) -> Iterator[Row | str]:
    """Time ours and its peers in turns, and say which values they compute."""
    entries = [Peer("ours", metric, 0.0), *peers]
    seconds: dict[str, list[float]] = {entry.name: [] for entry in entries}
    values: dict[str, float] = {}
    for _ in tqdm(range(repeats), desc=title, disable=None, leave=False):
        for entry in entries:
            start = time.perf_counter()
            values[entry.name] = entry.run()
            seconds[entry.name].append(time.perf_counter() - start)
    for peer in peers:
        yield Row(title, seconds["ours"], "s", Goal("at least", peer.goal), peer.name, seconds[peer.name], inverse=True)
    yield "the values: " + ", ".join(f"{name} {value:.6f}" for name, value in values.items())
