"""Draw the moments of codes (Rosca et al. 2017, figures 11 and 12), from the files that runs leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.model.registry import title
from benchmark.report.drawing.galleries import Gallery, Shown, caption, figure_of, named, read_files
from benchmark.report.drawing.style import Colours

ALIKE = 0.05
"""Numbers on codes that differ by less than this share are not told apart."""


@dataclass(frozen=True)
class _Codes:
    """Mean (d,) and covariance (d, d) of codes, in the prior's standard deviations and variances."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def from_zero(self) -> float:
        return float(np.sqrt((self.mean**2).mean()))

    @property
    def correlation(self) -> float:
        """Root mean square over pairs of dimensions; 0 where a dimension does not vary."""
        d, spread = len(self.mean), np.sqrt(self.covariance.diagonal())
        scale = np.outer(spread, spread)
        correlation = np.divide(self.covariance, scale, out=np.zeros_like(scale), where=scale > 0)
        return float(np.sqrt((correlation[~np.eye(d, dtype=bool)] ** 2).mean())) if d > 1 else 0.0


def code_means(runs: Sequence[Shown], palette: Colours) -> Gallery:
    """Draw figure 11: the mean of each dimension of the codes of test images, a curve a run.

    Dimensions are sorted by their mean and spread evenly over the axis, so that latent spaces of other sizes compare.

    Args:
        runs: one of each model, or several.
        palette: a colour a model.
    """

    def figure(codes_of: list[tuple[Shown, _Codes]]) -> Figure:
        drawn = figure_of(4.2, 2.5 + 0.15 * len(codes_of), layout="constrained")
        axes = drawn.add_subplot()
        axes.axhline(0, color="#222222", linestyle="--", linewidth=0.9, label="prior", zorder=1)
        for run, codes in codes_of:
            d = len(codes.mean)
            axes.plot(
                (np.arange(d) + 0.5) / d,
                np.sort(codes.mean),
                color=palette[run.model],
                label=f"{named(run)}: {d} dimensions",
                marker="o",
                markersize=2.2,
                linewidth=0.8,
            )
        axes.set(
            xlim=(0, 1), xlabel="latent dimensions, sorted by mean", ylabel="mean of the codes\n(prior's standard deviations)"
        )
        axes.set_xticks([0, 0.5, 1], ["lowest", "median", "highest"])
        drawn.legend(loc="outside lower center", frameon=False, fontsize=7, handlelength=1.8, labelspacing=0.3)
        return drawn

    return read_files(runs, "codes.npz", _codes).gallery(figure)


def code_covariances(runs: Sequence[Shown]) -> Gallery:
    """Draw figure 12: the covariance of the codes of test images, a heat map a run, on one scale; the prior's is the identity."""

    def figure(codes_of: list[tuple[Shown, _Codes]]) -> Figure:
        across = 2 if len(codes_of) == 4 else min(len(codes_of), 3)
        down = -(-len(codes_of) // across)
        limit = _limit([codes.covariance for _, codes in codes_of])
        drawn = figure_of(2.05 * across + 0.75, 2.35 * down, layout="compressed")
        axes = list(drawn.subplots(down, across, squeeze=False).flat)
        for spare in axes[len(codes_of) :]:
            spare.remove()
        for panel, (run, codes) in zip(axes, codes_of, strict=False):
            _heat_map(panel, codes.covariance, limit)
            caption(panel, [title(run.model)], run.label)
        beyond = any(np.abs(codes.covariance).max() > limit for _, codes in codes_of)
        bar = drawn.colorbar(
            axes[0].images[0],
            ax=axes[: len(codes_of)],
            label="covariance (prior's variances)",
            extend="both" if beyond else "neither",
            aspect=25,
        )
        bar.set_ticks([-limit, -limit / 2, 0, limit / 2, limit])
        bar.outline.set_visible(False)
        return drawn

    return read_files(runs, "codes.npz", _codes).gallery(figure)


def sentence_on_codes(runs: Sequence[Shown]) -> str:
    """Say what the codes' moments are, and whether the paper's claim on the code discriminator holds; "" for no codes."""
    codes_of = read_files(runs, "codes.npz", _codes).values
    if not codes_of:
        return ""
    models = [run.model for run, _ in codes_of]
    names = [title(run.model) if models.count(run.model) == 1 else named(run) for run, _ in codes_of]
    means, correlations = [codes.from_zero for _, codes in codes_of], [codes.correlation for _, codes in codes_of]
    numbers = [
        f"{name}: {mean:.3g} and {correlation:.3g} ({len(codes.mean)} dimensions)"
        for name, mean, correlation, (_, codes) in zip(names, means, correlations, codes_of, strict=True)
    ]
    sentences = [
        "Root mean squares, over the codes of test images in one run each, of the dimensions' means (in the prior's standard "
        f"deviations) and of the correlations between dimensions: {'; '.join(numbers)}."
    ]
    if len(codes_of) > 1:
        nearest, least = _least(names, means), _least(names, correlations)
        sentences.append(f"The means are nearest to 0 for {nearest}; the codes are least correlated for {least}.")
    by_model = {run.model: codes for run, codes in reversed(codes_of)}
    if "alphagan" in by_model and "alphagan_kl" in by_model:
        sentences.append(_against_the_paper(by_model["alphagan"], by_model["alphagan_kl"]))
    return " ".join(sentences)


def _against_the_paper(discriminator: _Codes, empirical_kl: _Codes) -> str:
    nearer = _verdict(empirical_kl.from_zero, discriminator.from_zero)
    decorrelated = _verdict(discriminator.correlation, empirical_kl.correlation)
    return (
        "The paper has the means nearer to 0 with the empirical KL, and the codes less correlated with the code discriminator: "
        f"here the first {nearer}, the second {decorrelated}."
    )


def _verdict(low: float, high: float) -> str:
    """Whether the claim low < high holds."""
    if abs(low - high) <= ALIKE * max(low, high):
        return f"cannot be told ({low:.3g} and {high:.3g})"
    return f"{'holds' if low < high else 'does not hold'} ({low:.3g} against {high:.3g})"


def _least(names: Sequence[str], values: Sequence[float]) -> str:
    """The name of the lowest value, with those that cannot be told from it."""
    return " and ".join(name for name, value in zip(names, values, strict=True) if value - min(values) <= ALIKE * value)


def _codes(path: Path) -> _Codes:
    """The moments of a run's codes, in the units of its prior.

    Codes of length one have the uniform distribution on the sphere as prior, as in AGE: zero mean, variances 1 / d. They are
    known by E|z|² = tr Σ + |μ|² = 1, a little more with the covariance's n - 1.
    """
    with np.load(path) as file:
        mean, covariance = np.asarray(file["mean"], np.float64), np.asarray(file["covariance"], np.float64)
    d = mean.size
    if not d or mean.shape != (d,) or covariance.shape != (d, d):
        raise ValueError(f"no mean and covariance: {mean.shape} and {covariance.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all() and (covariance.diagonal() >= 0).all()):
        raise ValueError("mean and covariance are not finite, or a variance is negative")
    variance = 1 / d if 0.999 < np.trace(covariance) + mean @ mean < 1.05 else 1.0
    return _Codes(mean / variance**0.5, covariance / variance)


def _heat_map(axes: Axes, covariance: NDArray[np.float64], limit: float) -> None:
    d = len(covariance)
    axes.imshow(
        covariance,
        cmap=sns.color_palette("vlag", as_cmap=True),
        vmin=-limit,
        vmax=limit,
        interpolation="none",
        extent=(0.5, d + 0.5, d + 0.5, 0.5),
    )
    step = 25 * -(-d // 125)
    ticks = [1, *range(step, int(0.9 * d), step), d]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=7, length=2)
    axes.set(xlabel="latent dimension", ylabel="latent dimension")


def _limit(covariances: Sequence[NDArray[np.float64]]) -> float:
    """The end of the colours: 1, the prior's variance, unless many covariances are well beyond."""
    high = max(float(np.quantile(np.abs(covariance), 0.99)) for covariance in covariances)
    return 1.0 if high <= 2 else float(np.ceil(high))
