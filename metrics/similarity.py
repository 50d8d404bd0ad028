"""Compute multi-scale structural similarity: of an image and its reconstruction, and of samples as their (lack of) diversity.

Wang, Simoncelli and Bovik 2003; for samples Odena et al. 2017 (arXiv 1610.09585), Fedus, Rosca et al. 2018 (arXiv 1710.08446).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from metrics.catalogue import METRICS
from metrics.checks import check_images

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first (Wang et al. 2003)."""
WINDOW, SIGMA = 11, 1.5
"""Side and standard deviation of the Gaussian window, in pixels of each scale."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SMALLEST = 2 ** (len(WEIGHTS) - 1)
"""Side of the smallest images: their last scale is one pixel."""
TILE = 64
"""Pixels that one matrix product filters: a smaller tile multiplies fewer zeros, but in more products."""
FLOATS_AT_ONCE = 2**19
"""Pixels of a block of pairs: 2 MB, which stay in a core's cache from one step to the next."""


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Compute the MS-SSIM of image i of `a` and image i of `b`, in the protocol of google/compare_gan.

    Per channel prod_(s=1..4) relu(mean cs_s)^w_s * relu(mean (l_5 cs_5))^w_5, then the mean over channels, where in each place
    of scale s, with local means mu, variances v and covariance v_ab over an 11x11 Gaussian window of sigma 1.5 without padding,
    cs = (2 v_ab + C2) / (v_a + v_b + C2) and l = (2 mu_a mu_b + C1) / (mu_a^2 + mu_b^2 + C1) of pixels in [0, 255]. The next
    scale is the mean of 2x2 pixels, the last row or column repeated where the size is odd. A scale with a side under 11 pixels
    takes a window of that side.

    Computed in float32, within 2e-5 of the exact value at torch's default matmul precision, also under autocast. Not
    differentiable.

    Args:
        a: (n, c, h, w) in [-1, 1], h and w at least 16: below that the last scales would be the same one pixel.
        b: of the same shape.

    Returns:
        (n,), float64, in [0, 1]; 1 for equal images, 0 where images are on average anticorrelated at a scale. Goal: maximize for
        reconstructions. Known biases: values compare only at equal image size; colour counts no more than brightness does.

    Raises:
        ValueError: for images of another range or type, too small, or shapes that do not match.

    Example:
        >>> images = torch.linspace(-1, 1, 2 * 32 * 32).reshape(2, 1, 32, 32)
        >>> ms_ssim(images, images).round(decimals=4).tolist()
        [1.0, 1.0]
    """
    _check(a)
    _check(b)
    if a.shape != b.shape:
        raise ValueError(f"images must pair up: {tuple(a.shape)} against {tuple(b.shape)}")
    n, product = len(a), torch.ones(a.shape[:2], dtype=torch.float64, device=a.device)
    for scale, weight in _scales(torch.cat([a, b])):
        product *= scale.similarity(slice(0, n), slice(n, 2 * n)) ** weight
    return product.mean(1)


def pairwise_ms_ssim(images: Tensor) -> Tensor:
    """Compute `ms_ssim` of all pairs of images, one filtered map a pair and scale: what depends on one image is computed once.

    Args:
        images: (n, c, h, w) in [-1, 1], h and w at least 16.

    Returns:
        (n, n), float64, symmetric, with ones on the diagonal.

    Raises:
        ValueError: for images of another range or type, or too small.
    """
    _check(images)
    n, channels = images.shape[:2]
    product = torch.ones(n, n, channels, dtype=torch.float64, device=images.device)
    for scale, weight in _scales(images):
        similarity = torch.zeros_like(product)
        at_once = max(1, FLOATS_AT_ONCE // scale.pixels.shape[1:].numel())
        for i in range(n - 1):
            for start in range(i + 1, n, at_once):
                others = slice(start, start + at_once)
                similarity[i, others] = scale.similarity(slice(i, i + 1), others)
        product *= similarity**weight
    above = product.mean(2).triu(1)
    return above + above.T + torch.eye(n, dtype=torch.float64, device=images.device)


@dataclass(frozen=True)
class Diversity:
    """How much samples differ from each other."""

    value: float
    """1 - the mean MS-SSIM of two samples, in [0, 1]."""
    standard_error: float
    """Of `value` over redrawing the samples."""
    n: int
    """Samples in whole groups."""


def diversity(images: Tensor, group: int = 64) -> Diversity:
    """Compute `sample_diversity` with its standard error, which costs nothing more.

    The standard error is that of the U-statistic's projection: 2 std(h) / sqrt(n), h_i the mean MS-SSIM of image i with the
    others of its group. Slightly too large, since h_i also holds the noise of a finite group.

    Raises:
        ValueError: as `sample_diversity` does.
    """
    _check_group(group)
    _check(images)
    if len(images) < group:
        raise ValueError(f"{len(images)} images hold no group of {group}: pass group={len(images)} or smaller, at least 2")
    n = len(images) // group * group
    to_others = torch.cat([_to_others(part) for part in images[:n].split(group)])
    return Diversity(1 - to_others.mean().item(), 2 * to_others.std().item() / math.sqrt(n), n)


def sample_diversity(images: Tensor, group: int = 64) -> float:
    """Compute 1 - the mean MS-SSIM of all pairs of images in groups of consecutive images, the mean over groups.

    Fedus, Rosca et al. 2018, section 5.3, after Odena et al. 2017. Pairs within groups instead of all pairs: their number grows
    with n, not with its square.

    Args:
        images: (n, c, h, w) in [-1, 1], independent samples, h and w at least 16.
        group: images in a group. Images beyond the last whole group are left out.

    Returns:
        In [0, 1] up to rounding, 0 for samples that are all equal. Goal: match, that is nearest to the value of held-out images.
        Known biases: noise and artefacts look diverse, so more is not better; in data of many kinds of images, any two differ
        and the value says little of how many kinds there are; a collapse to k images costs it only a k-th; values compare only at
        equal image size.

    Raises:
        ValueError: for fewer images than a group, a group under two, images of another range or type, or too small.
    """
    return diversity(images, group).value


class SampleDiversity(Metric):
    """Compute `sample_diversity` of batches of images: the same value for any batches, if the images come in the same order.

    Keeps sums, and fewer images than a group. Each process forms groups of its own images, and leaves out its last ones. Calling
    the metric on a batch (`forward`) needs a batch that holds a group.

    Args:
        group: images in a group.

    Raises:
        ValueError: for a group under two.
    """

    goal = METRICS["sample_diversity"].goal
    higher_is_better = None
    is_differentiable = False
    full_state_update = True
    total: Tensor
    groups: Tensor
    shape: Tensor
    waiting: list[Tensor]

    def __init__(self, group: int = 64) -> None:
        super().__init__()
        _check_group(group)
        self.group = group
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("groups", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        # States as well, so that forward, reset and checkpoints know of the images that wait for their group to be whole.
        # In one dimension: torchmetrics gathers nothing from a process without images as a tensor of one dimension.
        self.add_state("waiting", [], dist_reduce_fx="cat")
        self.add_state("shape", torch.zeros(3, dtype=torch.long), dist_reduce_fx="max")

    def update(self, images: Tensor) -> None:
        """Add images (n, c, h, w) in [-1, 1], for any n.

        Raises:
            ValueError: for images of another range or type, too small, or of another shape than those before.
        """
        _check(images)
        before, shape = tuple(self.shape.tolist()), tuple(images.shape[1:])
        if self.waiting and before != shape:
            raise ValueError(f"images so far were {before}, not {shape}")
        images = torch.cat([*(flat.view(-1, *shape) for flat in self.waiting), images.detach().float()])
        whole = len(images) // self.group * self.group
        for start in range(0, whole, self.group):
            self.total += _to_others(images[start : start + self.group]).mean()
            self.groups += 1
        self.waiting = [images[whole:].clone().flatten()]  # a view would keep the whole batch
        self.shape = self.shape.new_tensor(shape)

    def compute(self) -> Tensor:
        """Compute the value so far, a float64 scalar.

        Raises:
            ValueError: before the first whole group.
        """
        if self.groups == 0:
            raise ValueError(f"there are not yet {self.group} images for a group: pass a smaller group to {type(self).__name__}")
        return 1 - self.total / self.groups


def _to_others(images: Tensor) -> Tensor:
    """Mean MS-SSIM of each image of a group with the others, (n,)."""
    return (pairwise_ms_ssim(images).sum(1) - 1) / (len(images) - 1)


def _check(images: Tensor) -> None:
    check_images(images, at_least=0)
    if min(images.shape[2:]) < SMALLEST:
        size = "x".join(map(str, images.shape[2:]))
        raise ValueError(f"images of {size} pixels are too small for {len(WEIGHTS)} scales, which need {SMALLEST}x{SMALLEST}")


def _check_group(group: int) -> None:
    if group < 2:
        raise ValueError(f"a group has at least 2 images, not {group}")


# One scale


def _scales(images: Tensor) -> Iterator[tuple[_Scale, float]]:
    pixels = (images.detach().float().contiguous() + 1) * 127.5
    level = pixels.mean((2, 3), keepdim=True)
    pixels -= level  # covariances are the same without it, and keep more digits where images are bright
    for number, weight in enumerate(WEIGHTS, start=1):
        yield _Scale(pixels, level if number == len(WEIGHTS) else None), weight
        odd_height, odd_width = pixels.shape[2] % 2, pixels.shape[3] % 2
        pixels = F.avg_pool2d(F.pad(pixels, (0, odd_width, 0, odd_height), mode="replicate"), 2)


class _Scale:
    """What a similarity needs of each image alone, at one scale; `level` is what was taken off the pixels, if l matters."""

    def __init__(self, pixels: Tensor, level: Tensor | None) -> None:
        self.pixels, self.level = pixels, level
        self.local_mean = _GaussianFilter(pixels)
        self.mean = self.local_mean(pixels)
        self.spread = (self.local_mean(pixels.square()) - self.mean.square()) / 2 + C2 / 4

    def similarity(self, first: slice, second: slice) -> Tensor:
        """The mean over all places of cs, at the last scale of l * cs, or 0 if it is negative; (n, c) in float64.

        In place where possible and without the factors 2, since this is what takes the time.
        """
        similarity = self.local_mean(self.pixels[first] * self.pixels[second])
        similarity.addcmul_(self.mean[first], self.mean[second], value=-1).add_(C2 / 2)
        similarity.div_(self.spread[first] + self.spread[second])
        if self.level is not None:
            a, b = self.mean[first] + self.level[first], self.mean[second] + self.level[second]
            similarity.mul_((2 * a * b + C1) / (a.square() + b.square() + C1))
        return similarity.mean(3).mean(2, dtype=torch.float64).relu()  # float64 maps would cost a tenth more


class _GaussianFilter:
    """Average maps under the Gaussian window, without padding: (n, c, h, w) to (n, c, h - window + 1, w - window + 1).

    A product with a band matrix along each axis, in tiles: on a CPU a fifth of the time of two convolutions.
    """

    def __init__(self, like: Tensor) -> None:
        height, width = like.shape[2:]
        self.window = min(WINDOW, height, width)
        self.down = _band(height, self.window).to(like)
        self.across = _band(width, self.window).T.contiguous().to(like)

    def __call__(self, maps: Tensor) -> Tensor:
        n, channels, height, _ = maps.shape
        rows = maps.new_empty(n, channels, height, self.across.shape[1])
        for tile, under in self._tiles(rows.shape[3]):
            torch.matmul(maps[..., under], self.across[under, tile], out=rows[..., tile])
        means = maps.new_empty(n, channels, self.down.shape[0], rows.shape[3])
        for tile, under in self._tiles(means.shape[2]):
            torch.matmul(self.down[tile, under], rows[..., under, :], out=means[..., tile, :])
        return means

    def _tiles(self, size: int) -> Iterator[tuple[slice, slice]]:
        """Places of the result, and the places that their windows see."""
        for start in range(0, size, TILE):
            stop = min(start + TILE, size)
            yield slice(start, stop), slice(start, stop + self.window - 1)


def _band(size: int, window: int) -> Tensor:
    """The matrix (size - window + 1, size) whose every row is the Gaussian window, one place further right, in float64."""
    places = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    weights = (-places.square() / (2 * SIGMA**2)).exp()
    band = torch.zeros(size - window + 1, size, dtype=torch.float64)
    for place, weight in enumerate((weights / weights.sum()).tolist()):
        band.diagonal(place).fill_(weight)
    return band
