"""Turn logits, features, modes, codes and errors into values of metrics, each with its 95 % interval over redrawing samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from scipy.stats import binomtest
from torch import Tensor

from metrics.classifier_score import inception_score, inception_score_standard_error
from metrics.codes import code_match, code_match_errors
from metrics.evaluators.inception import InceptionOutput
from metrics.frechet import frechet_distance, frechet_standard_error, moments
from metrics.kernel import kernel_distance, kernel_standard_error
from metrics.manifold import precision_recall
from metrics.modes import covered_standard_error, kl_standard_error, mode_coverage
from metrics.similarity import diversity

GROUP = 64
"""Images of which all pairs are compared for diversity."""
KID_SUBSET = 1000
"""Features in a subset; fewer where there are fewer."""
KID_SUBSETS, KID_SEED = 100, 2020
NEIGHBOURS = 3
MANIFOLD = 10_000
"""Images, at most, whose neighbours are looked for: that costs their number squared."""


class Value(NamedTuple):
    """Hold one measured number: the metric's name, the value, its 95 % interval and the number of samples or images."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def around(metric: str, value: float, standard_error: float, n: int, least: float = -math.inf, most: float = math.inf) -> Value:
    """Make a value with the 95 % interval of its standard error, cut to the metric's range [least, most].

    Example:
        >>> around("fid", 1.0, standard_error=1.0, n=100, least=0.0)
        Value(metric='fid', value=1.0, low=0.0, high=2.96, n=100)
    """
    half = 1.96 * standard_error
    return Value(metric, value, max(least, value - half), min(most, value + half), n)


def share(metric: str, hits: int, n: int) -> Value:
    """Make the value of a share, hits / n, with Wilson's 95 % interval."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson")
    return Value(metric, hits / n, low, high, n)


def mode_values(modes: Tensor, recognised: Tensor) -> Iterator[Value]:
    """Compute the metrics of modes from what `read_digits` says of stacked digits.

    Args:
        modes: (n,), integers in [0, 1000), on the CPU.
        recognised: (n,) bool: whether all three digits were recognised.
    """
    covered, kl = mode_coverage(modes)
    n, most = len(modes), min(len(modes), 1000)
    yield around("mode_kl", kl, kl_standard_error(modes), n, least=0.0)
    yield around("modes_covered", covered, covered_standard_error(modes), n, 1.0, most)
    yield share("recognised_share", int(recognised.sum()), len(modes))
    sure = modes[recognised]
    yield around("recognised_modes", len(sure.unique()), covered_standard_error(sure), n, 0.0, most)


def diversity_value(images: Tensor, metric: str = "sample_diversity") -> Value:
    """Compute 1 - mean pairwise MS-SSIM of images (n, c, h, w) in [-1, 1], in groups of 64."""
    result = diversity(images, GROUP)
    return around(metric, result.value, result.standard_error, result.n)


def score_value(metric: str, logits: Tensor, splits: int) -> Value:
    """Compute an Inception score from logits (n, classes)."""
    return around(metric, inception_score(logits, splits)[0], inception_score_standard_error(logits, splits), len(logits))


def kid_subset(n: int, reference: int) -> int:
    """Choose how many features are in a subset of the kernel distance, for so many samples and reference images."""
    return min(KID_SUBSET, n, reference)


def inception_values(fake: InceptionOutput, real: InceptionOutput, splits: int) -> Iterator[Value]:
    """Compute Inception score, FID, KID, precision and recall from the network's output for samples, and for real images.

    There is no Inception score where the network has no logits. Recall's interval is over redrawing the real images, the
    others' over redrawing the samples.
    """
    n = len(fake.features)
    if fake.logits is not None:
        yield score_value("inception_score", fake.logits, splits)
    reference = moments(real.features)
    distance = frechet_distance(moments(fake.features), reference)
    yield around("fid", distance, frechet_standard_error(fake.features, reference), n, least=0.0)
    subset = kid_subset(n, len(real.features))
    distance, _ = kernel_distance(fake.features, real.features, KID_SUBSETS, subset, KID_SEED)
    yield around("kid", distance, kernel_standard_error(fake.features, real.features, KID_SUBSETS, subset), n)
    near, known = fake.features[:MANIFOLD], real.features[:MANIFOLD]
    precision, recall = precision_recall(near, known, NEIGHBOURS)
    yield share("precision", round(precision * len(near)), len(near))
    yield share("recall", round(recall * len(known)), len(known))


def code_values(codes: Tensor, prior: Tensor) -> Iterator[Value]:
    """Compute how far codes are from prior draws, both (n, d) float64; Rosca et al. 2017, appendix D."""
    reference = moments(prior)
    match, errors = code_match(moments(codes), reference), code_match_errors(codes, reference)
    for name in ("mean", "correlation", "distance"):
        yield around(f"code_{name}", getattr(match, name), getattr(errors, name), len(codes))


def reconstruction_values(errors: dict[str, Tensor]) -> Iterator[Value]:
    """Average the errors of every image, (n,) each, by name."""
    for name, each in errors.items():
        yield around(f"reconstruction_{name}", each.mean().item(), (each.std() / len(each) ** 0.5).item(), len(each))
