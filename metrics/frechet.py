"""Compute the Fréchet distance of the Gaussians that fit two sets of features; FID where the features are Inception's.

Dowson and Landau 1982 (J. Multivariate Analysis 12, the closed form), Heusel et al. 2017 (arXiv 1706.08500).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric

from metrics.catalogue import METRICS
from metrics.checks import check_dimensions, check_rows

BLOCK = 4096
"""Rows that are in memory as float64 at once."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of features: all that the distance needs of a set.

    Raises:
        ValueError: for shapes that do not fit each other, another dtype than float64, or values that are not finite.
    """

    n: int
    """Of how many features; at least two."""
    mean: Tensor
    """(d,) float64."""
    covariance: Tensor
    """(d, d) float64, unbiased (divided by n - 1)."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"at least 2 features are needed, not {self.n}")
        shapes = tuple(self.mean.shape), tuple(self.covariance.shape)
        if self.mean.ndim != 1 or shapes[1] != shapes[0] * 2:
            raise ValueError(f"a mean is (d,) and a covariance (d, d), not {shapes[0]} and {shapes[1]}")
        if {self.mean.dtype, self.covariance.dtype} != {torch.float64}:
            raise ValueError(f"moments are float64, not {self.mean.dtype} and {self.covariance.dtype}")
        if not (self.mean.isfinite().all() and self.covariance.isfinite().all()):
            raise ValueError("moments hold values that are not finite")


def moments(features: Tensor) -> Moments:
    """Compute the mean and the unbiased covariance of features (n, d), in float64 and in blocks.

    Raises:
        ValueError: for fewer than two features, features of another shape, dtype or not finite.
    """
    check_rows("features", features, at_least=2)
    mean = features.mean(0, dtype=torch.float64)
    outer = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=features.device)
    for rows in features.split(BLOCK):
        centred = rows - mean
        outer += centred.T @ centred
    return Moments(len(features), mean, outer / (len(features) - 1))


def frechet_distance(a: Moments, b: Moments) -> float:
    """Compute |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)), the squared 2-Wasserstein distance of two Gaussians; Heusel et al. 2017.

    Exact for singular covariances (n <= d) too. Takes two symmetric eigenvalue problems and the singular values of a (d, d).

    Args:
        a: of the evaluated features.
        b: of the reference; exchanging the two changes nothing.

    Returns:
        At least 0, in squared units of the features. Goal: minimize. Known biases: too large by an amount of order
        1/n, on either side, that differs between models (Chong and Forsyth 2020, arXiv 1911.07023), so values compare only at
        equal n, reference and features; blind to whatever leaves mean and covariance alone.

    Raises:
        ValueError: for moments of different dimensions.
    """
    check_dimensions("features", len(a.mean), len(b.mean))
    # tr (A B)^(1/2) is the sum of the square roots of A B's eigenvalues. With A = F F' and B = G G' these roots are the singular
    # values of F' G: no root is taken of a rounding error, which would turn 1e-16 into 1e-8 as often as a covariance is singular.
    cross = torch.linalg.svdvals(_factor(a.covariance).T @ _factor(b.covariance)).sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * cross
    return max(0.0, distance.item())


def _factor(covariance: Tensor) -> Tensor:
    """Factorise a covariance: F (d, rank) with F F' = covariance.

    An eigenvalue below the rounding of the largest one is a zero that was computed. It is dropped, since its square root in F
    is 1e-8 of the largest: 2048 dimensions less 100 samples leave 1949 of them, which would add up to 1e-6 of the distance.
    """
    values, vectors = torch.linalg.eigh(covariance)
    kept = _kept(values)
    return vectors[:, kept] * values[kept].sqrt()


def _kept(eigenvalues: Tensor) -> Tensor:
    largest = eigenvalues[-1:].clamp(min=0)  # none where there are none; eigh sorts
    return eigenvalues > largest * len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps


def frechet_standard_error(features: Tensor, reference: Moments) -> float:
    """Estimate `frechet_distance`'s standard error over redrawing the evaluated features, the reference fixed (delta method).

    The influence of a feature x is 2 (m - m_r)'(x - m) + (x - m)'(I - T)(x - m) less its mean, where
    T = R^(1/2) (R^(1/2) S R^(1/2))^(-1/2) R^(1/2) with S, R the covariances of features and reference.

    FID's bias, of order 1/n, is not in it: an interval of this width lies around the expected value at this n, not around the
    value of infinitely many samples. First order, so right for n far above d and only a guide otherwise: measured against
    redrawing 64 dimensions at n of 4 d to 16 d, 0.8 to 1.2 times the spread (too small where samples are narrower than the
    reference), 1.5 for equal distributions, up to 1.9 for n < d.

    Args:
        features: (n, d).
        reference: of d dimensions.

    Returns:
        At least 0, in squared units of the features.

    Raises:
        ValueError: for fewer than two features, features of another shape or dtype, not finite, or of another dimension.
    """
    fitted = moments(features)
    check_dimensions("features", len(fitted.mean), len(reference.mean))
    factor = _factor(reference.covariance)  # any factor of R serves in the place of R^(1/2)
    values, vectors = torch.linalg.eigh(factor.T @ fitted.covariance @ factor)
    kept = _kept(values)
    root = factor @ vectors[:, kept] * values[kept].pow(-0.25)  # T = root root'
    shift = fitted.mean - reference.mean

    def influence(rows: Tensor) -> Tensor:
        centred = rows - fitted.mean
        return 2 * centred @ shift + centred.square().sum(1) - (centred @ root).square().sum(1)

    return torch.cat([influence(rows) for rows in features.split(BLOCK)]).std().item() / math.sqrt(len(features))


class FrechetDistance(Metric):
    """Compute `frechet_distance` of batches of features to a reference, over all processes; memory d x d for any n.

    Sums are taken in float64 around the reference's mean: around 0 a large common mean would swallow the covariance's digits.

    Args:
        reference: of the real images' features, see `moments`.
    """

    goal = METRICS["fid"].goal
    higher_is_better = False
    is_differentiable = False
    full_state_update = False
    n: Tensor
    total: Tensor
    outer: Tensor
    centre: Tensor
    covariance: Tensor

    def __init__(self, reference: Moments) -> None:
        super().__init__()
        self.reference_n = reference.n
        self.register_buffer("centre", reference.mean, persistent=False)
        self.register_buffer("covariance", reference.covariance, persistent=False)
        self.add_state("n", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros_like(reference.mean), dist_reduce_fx="sum")
        self.add_state("outer", torch.zeros_like(reference.covariance), dist_reduce_fx="sum")

    def update(self, features: Tensor) -> None:
        """Add a batch of features, (n, d) for any n.

        Raises:
            ValueError: for features of another shape or dtype, not finite, or of another dimension than the reference's.
        """
        check_rows("features", features, at_least=0)
        check_dimensions("features", features.shape[1], len(self.centre))
        centred = features - self.centre
        self.n += len(features)
        self.total += centred.sum(0)
        self.outer += centred.T @ centred

    def compute(self) -> Tensor:
        """Compute the distance of all features so far, a float64 scalar."""
        return torch.tensor(frechet_distance(self.moments(), self.reference()), dtype=torch.float64, device=self.device)

    def moments(self) -> Moments:
        """Of all features so far."""
        n, mean = int(self.n), self.total / self.n
        return Moments(n, self.centre + mean, (self.outer - n * torch.outer(mean, mean)) / (n - 1))

    def reference(self) -> Moments:
        """What the features are compared with."""
        return Moments(self.reference_n, self.centre, self.covariance)
