"""Compute precision and recall of samples: the share of them among the real images, and of the real images among them.

Kynkäänniemi et al. 2019 (arXiv 1904.06991).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from metrics.catalogue import METRICS
from metrics.checks import check_dimensions, check_rows

CELLS = 2**24
"""Distances in a block: 128 MB."""


def precision_recall(features: Tensor, reference: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """Compute the shares inside the union of balls around the other side's points; Kynkäänniemi et al. 2019, equations 1 and 2.

    The ball around a point reaches to its k-th nearest neighbour on its own side, itself not counted; its surface is inside.
    precision = share of features in a ball of the reference, recall = share of the reference in a ball of the features.

    In float64 and in blocks. Distances are |x|^2 + |y|^2 - 2 x·y, around the reference's mean: five times faster than from
    differences, and in float64 the rounding matters for nothing but ties, which a slack of that rounding decides as equal; in
    float32 it can swallow distances that are small against the norms.

    Args:
        features: (n, d), evaluated.
        reference: (m, d), of real images; the paper has n = m = 50,000.
        neighbours: k.

    Returns:
        (precision, recall), each in [0, 1]. Goal: maximize both. Known biases: both depend on n, m and d, are below 1 for equal
        distributions, and compare only at equal numbers; one outlier's large ball can hold many points (Naeem et al. 2020,
        arXiv 2002.09797).

    Raises:
        ValueError: unless both sides have more than `neighbours` points, for fewer neighbours than one, different dimensions,
            another shape or dtype, or values that are not finite.
    """
    _check(features, reference, neighbours)
    centre = reference.mean(0, dtype=torch.float64)
    x, y = features - centre, reference - centre
    largest = max(side.square().sum(1).max().item() for side in (x, y))
    slack = largest * x.shape[1] * torch.finfo(torch.float64).eps
    return _share_inside(x, y, neighbours, slack), _share_inside(y, x, neighbours, slack)


def _share_inside(points: Tensor, centres: Tensor, neighbours: int, slack: float) -> float:
    at_once = max(1, CELLS // len(centres))
    # A point is its own nearest neighbour, at distance 0.
    squared_radii = torch.cat([_squared(rows, centres).kthvalue(neighbours + 1).values for rows in centres.split(at_once)])
    inside = [(_squared(rows, centres) <= squared_radii + slack).any(1).sum().item() for rows in points.split(at_once)]
    return sum(inside) / len(points)


def _squared(x: Tensor, y: Tensor) -> Tensor:
    """Compute squared distances (len(x), len(y))."""
    return x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T


def _check(features: Tensor, reference: Tensor, neighbours: int) -> None:
    if neighbours < 1:
        raise ValueError(f"at least 1 neighbour is needed, not {neighbours}")
    check_rows("reference features", reference, at_least=neighbours + 1)
    check_rows("features", features, at_least=neighbours + 1)
    _check_dimensions(features, reference)


def _check_dimensions(features: Tensor, reference: Tensor) -> None:
    check_dimensions("features", features.shape[1], reference.shape[1])


class PrecisionRecall(Metric):
    """Compute `precision_recall` of batches of features to a reference, over all processes. Keeps all n x d features.

    Args:
        reference: (m, d), of real images.
        neighbours: k.

    Raises:
        ValueError: for a reference that `precision_recall` would not take.
    """

    goal = METRICS["precision"].goal
    higher_is_better = True
    is_differentiable = False
    full_state_update = False
    features: list[Tensor]
    reference: Tensor

    def __init__(self, reference: Tensor, neighbours: int = 3) -> None:
        super().__init__()
        _check(reference, reference, neighbours)
        self.neighbours = neighbours
        self.register_buffer("reference", reference.detach(), persistent=False)
        self.add_state("features", [], dist_reduce_fx="cat")

    def update(self, features: Tensor) -> None:
        """Add a batch of features, (n, d) for any n.

        Raises:
            ValueError: for features of another shape or dtype, not finite, or of another dimension than the reference's.
        """
        check_rows("features", features, at_least=0)
        _check_dimensions(features, self.reference)
        self.features.append(features.detach())

    def compute(self) -> tuple[Tensor, Tensor]:
        """Compute (precision, recall) of all features so far, two float64 scalars."""
        features = dim_zero_cat(self.features)
        shares = precision_recall(features, self.reference, self.neighbours)
        precision, recall = features.new_tensor(shares, dtype=torch.float64)
        return precision, recall
