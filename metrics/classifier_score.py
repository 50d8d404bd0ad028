"""Compute Inception Scores from logits: does a classifier recognise each sample, and many classes among all?

Salimans et al. 2016 (arXiv 1606.03498), section 4.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean, pstdev

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from metrics.catalogue import METRICS
from metrics.checks import check_rows


def inception_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """Compute exp(E_x[KL(p(y|x) || p(y))], with p(y) = E_x[p(y|x)], of consecutive pieces of the samples; Salimans et al. 2016.

    Piece i holds the samples [i n // splits, (i + 1) n // splits) in the order given. In float64, from logarithms: a probability
    too small for a float adds 0.

    Args:
        logits: (n, classes), before the softmax. Of the Inception network, 1008 or 1000 classes.
        splits: how many pieces.

    Returns:
        (mean, std) over the pieces, std of the population; each score in [1, classes], without unit. Goal: maximize. Known
        biases: grows with n / splits, because p(y) of few samples is too far from uniform; one perfect sample per class is the
        maximum, so memorizing is not seen; compares only at equal n, splits and weights (Barratt and Sharma 2018, arXiv
        1801.01973). Samples sorted by class score too low: each piece has its own p(y).

    Raises:
        ValueError: for fewer samples than splits or than two, fewer splits than one, or logits that are no finite (n, classes)
            floats.

    Example:
        >>> certain_of_three_classes = 100 * torch.eye(3)
        >>> mean, std = inception_score(certain_of_three_classes, splits=1)
        >>> round(mean, 4), std
        (3.0, 0.0)
    """
    scores = [math.exp(divergences.mean().item()) for divergences in _divergences(logits, splits)]
    return fmean(scores), pstdev(scores)


def inception_score_standard_error(logits: Tensor, splits: int = 10) -> float:
    """Estimate the standard error of `inception_score`'s mean over redrawing the samples (delta method).

    The influence of a sample on a piece's log score is its KL(p(y|x) || p(y)) less the mean, so a score's error is
    score * std(KL) / sqrt(n of the piece); the pieces are independent. The bias of few samples is not in it, and with a
    handful in a piece it is too small (0.7 times the spread for 5).

    Raises:
        ValueError: as `inception_score` does.
    """
    errors = [kl.mean().exp() * kl.std(correction=0) / math.sqrt(len(kl)) for kl in _divergences(logits, splits)]
    return torch.stack(errors).norm().item() / splits


def _divergences(logits: Tensor, splits: int) -> list[Tensor]:
    """Compute KL(p(y|x) || p(y)) of every sample, in nats, one tensor a piece."""
    if splits < 1:
        raise ValueError(f"the samples are split in one piece or more, not in {splits}")
    check_rows("logits", logits, at_least=max(2, splits))
    bounds = [i * len(logits) // splits for i in range(splits + 1)]
    return [_to_marginal(logits[start:stop].double()) for start, stop in pairwise(bounds)]


def _to_marginal(logits: Tensor) -> Tensor:
    conditional = logits.log_softmax(1)
    marginal = conditional.logsumexp(0) - math.log(len(logits))
    return (conditional.exp() * (conditional - marginal)).sum(1)


class InceptionScore(Metric):
    """Compute `inception_score` of batches of logits, over all processes in the order of their ranks.

    Keeps all n x classes logits, since the pieces depend on the samples' order.

    Args:
        splits: how many pieces.
    """

    goal = METRICS["inception_score"].goal
    higher_is_better = True
    is_differentiable = False
    full_state_update = False
    logits: list[Tensor]

    def __init__(self, splits: int = 10) -> None:
        super().__init__()
        self.splits = splits
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor) -> None:
        """Add a batch of logits, (n, classes) for any n.

        Raises:
            ValueError: for logits of another shape, dtype or not finite.
        """
        self.logits.append(check_rows("logits", logits, at_least=0).detach())

    def compute(self) -> tuple[Tensor, Tensor]:
        """Compute (mean, std) of all logits so far, two float64 scalars."""
        logits = dim_zero_cat(self.logits)
        mean, std = logits.new_tensor(inception_score(logits, self.splits), dtype=torch.float64)
        return mean, std
