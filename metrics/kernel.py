"""Compute the kernel distance of two sets of features, an unbiased squared MMD; KID where the features are Inception's.

Binkowski et al. 2018 (arXiv 1801.01401), after Gretton et al. 2012 (JMLR 13).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from metrics.catalogue import METRICS
from metrics.checks import check_dimensions, check_rows

CELLS = 2**24
"""Kernel values in a block: 128 MB."""


def kernel_distance(
    features: Tensor, reference: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Compute the unbiased MMD^2 with k(x, y) = (x·y / d + 1)^3 of random subsets; Binkowski et al. 2018.

    mean_(i≠j) k(x_i, x_j) + mean_(i≠j) k(y_i, y_j) - 2 mean_(i,j) k(x_i, y_j), in float64. Subsets are drawn without replacement,
    as torch-fidelity 0.4 draws them: the values are equal to rounding, where both are given float64.

    Args:
        features: (n, d), evaluated.
        reference: (m, d), of real images.
        subsets: how many subsets of each.
        subset_size: how many features in a subset.
        seed: of the draws.

    Returns:
        (mean, std) over the subsets, std of the population; can be below 0, 0 in expectation for equal distributions, in sixth
        powers of the features' unit. Goal: minimize. Unbiased for any n; depends on the scale of the features. std is the spread
        of subsets, not the error of the mean: see `kernel_standard_error`.

    Raises:
        ValueError: for fewer features or reference features than a subset holds (pass a smaller subset_size), fewer than two in a
            subset, no subset, different dimensions, another shape or dtype, or values that are not finite.
    """
    _check(features, reference, subsets, subset_size)
    draws = np.random.RandomState(seed)  # the generator of torch-fidelity, for its draws

    def chosen(rows: Tensor) -> Tensor:
        return torch.from_numpy(draws.choice(len(rows), subset_size, replace=False)).to(rows.device)

    pairs = [(chosen(features), chosen(reference)) for _ in range(subsets)]  # features are drawn first
    cells = len(features) ** 2 + len(reference) ** 2 + len(features) * len(reference)
    if cells < 3 * subsets * subset_size**2:  # subsets share so many pairs that the kernel of all costs less
        distances = _squared_mmds(features.double(), reference.double(), pairs)
    else:
        distances = [_squared_mmd(features[x].double(), reference[y].double()) for x, y in pairs]
    return float(np.mean(distances)), float(np.std(distances))


def _squared_mmds(x: Tensor, y: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> list[float]:
    """Compute `_squared_mmd` of all pairs of subsets, from the kernel of all features, in blocks."""
    size = len(pairs[0][0])

    def members(rows: Tensor, subsets: list[Tensor]) -> Tensor:
        """(n, subsets): 1 where a row is in a subset."""
        places = torch.stack(subsets, dim=1)
        return torch.zeros(len(rows), len(subsets), dtype=torch.float64, device=rows.device).scatter_(0, places, 1.0)

    def sums(a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor) -> Tensor:
        """Of the kernel over each subset's rows in a and b."""
        at_once = max(1, CELLS // len(b))
        blocks = zip(a.split(at_once), in_a.split(at_once), strict=True)
        return torch.stack([((_kernel(rows, b) @ in_b) * members).sum(0) for rows, members in blocks]).sum(0)

    in_x, in_y = members(x, [subset for subset, _ in pairs]), members(y, [subset for _, subset in pairs])
    within = sum(sums(rows, rows, inside, inside) - _to_itself(rows) @ inside for rows, inside in ((x, in_x), (y, in_y)))
    return (within / (size * (size - 1)) - 2 * sums(x, y, in_x, in_y) / size**2).tolist()


def _squared_mmd(x: Tensor, y: Tensor) -> float:
    """Estimate the squared MMD of two sets of equal size, (m, d) each."""
    pairs = len(x) * (len(x) - 1)
    within = [(values.sum() - values.trace()) / pairs for values in (_kernel(x, x), _kernel(y, y))]
    return (within[0] + within[1] - 2 * _kernel(x, y).mean()).item()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _to_itself(x: Tensor) -> Tensor:
    """k(x_i, x_i), (n,)."""
    return (x.square().sum(1) / x.shape[1] + 1) ** 3


def kernel_standard_error(features: Tensor, reference: Tensor, subsets: int = 100, subset_size: int = 1000) -> float:
    """Estimate the standard error of `kernel_distance`'s mean over redrawing the evaluated features, the reference held fixed.

    The first-order projection of the U-statistic: the influence of x_i is h_i = 2 (mean_(j≠i) k(x_i, x_j) - mean_j k(x_i, y_j)).
    The distance of all n features has the variance var(h) / n; that of subsets uses some features more often than others, which
    makes var(h) (1 / n + (1 - subset_size / n) / (subsets * subset_size)). In blocks; time n (n + m) d.

    First order, so only a guide where the two distributions are equal: measured against redrawing, 0.5 to 1.4 times the spread.

    Args:
        features: (n, d), evaluated.
        reference: (m, d), of real images.
        subsets: as in `kernel_distance`.
        subset_size: as in `kernel_distance`.

    Returns:
        At least 0, in the unit of the distance.

    Raises:
        ValueError: as `kernel_distance` does.
    """
    _check(features, reference, subsets, subset_size)
    x, y, n = features.double(), reference.double(), len(features)

    def influence(rows: Tensor) -> Tensor:
        return 2 * ((_kernel(rows, x).sum(1) - _to_itself(rows)) / (n - 1) - _kernel(rows, y).mean(1))

    at_once = max(1, CELLS // max(n, len(y)))
    variance = torch.cat([influence(rows) for rows in x.split(at_once)]).var().item()
    return math.sqrt(variance * (1 / n + (1 - subset_size / n) / (subsets * subset_size)))


def _check(features: Tensor, reference: Tensor, subsets: int, subset_size: int) -> None:
    _check_side("reference features", reference, subset_size)
    _check_side("features", features, subset_size)
    if subsets < 1:
        raise ValueError(f"at least 1 subset is needed, not {subsets}")
    check_dimensions("features", features.shape[1], reference.shape[1])


def _check_side(name: str, rows: Tensor, subset_size: int) -> None:
    check_rows(name, rows, at_least=2)
    if subset_size < 2:
        raise ValueError(f"at least 2 features are needed in a subset, not {subset_size}")
    if len(rows) < subset_size:
        raise ValueError(f"{len(rows)} {name} hold no subset of {subset_size}: pass subset_size={len(rows)} or fewer")


class KernelDistance(Metric):
    """Compute `kernel_distance` of batches of features to a reference, over all processes in the order of their ranks.

    Keeps all n x d features: which subset a feature is in depends on its place.

    Args:
        reference: (m, d), of real images.
        subsets: how many subsets of each.
        subset_size: how many features in a subset.
        seed: of the draws.

    Raises:
        ValueError: for a reference that `kernel_distance` would not take.
    """

    goal = METRICS["kid"].goal
    higher_is_better = False
    is_differentiable = False
    full_state_update = False
    features: list[Tensor]
    reference: Tensor

    def __init__(self, reference: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 2020) -> None:
        super().__init__()
        _check(reference, reference, subsets, subset_size)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed
        self.register_buffer("reference", reference.detach(), persistent=False)
        self.add_state("features", [], dist_reduce_fx="cat")

    def update(self, features: Tensor) -> None:
        """Add a batch of features, (n, d) for any n.

        Raises:
            ValueError: for features of another shape or dtype, not finite, or of another dimension than the reference's.
        """
        check_rows("features", features, at_least=0)
        check_dimensions("features", features.shape[1], self.reference.shape[1])
        self.features.append(features.detach())

    def compute(self) -> tuple[Tensor, Tensor]:
        """Compute (mean, std) of all features so far, two float64 scalars."""
        features = dim_zero_cat(self.features)
        distance = kernel_distance(features, self.reference, self.subsets, self.subset_size, self.seed)
        mean, std = features.new_tensor(distance, dtype=torch.float64)
        return mean, std
