"""The figures of pictures and of codes (Rosca et al. 2017), from the files that runs leave.

Pictures are laid out in whole dots of `DPI`, one source pixel a square of dots, and embedded as they are in an SVG.
"""

from __future__ import annotations

import textwrap
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmark.model.registry import title
from benchmark.report.drawing.style import STYLE, Colours

T = TypeVar("T")
Pixels: TypeAlias = NDArray[np.uint8]

COLUMNS = 10
PADDING = 2
"""How runs lay out their pictures: images a row, white pixels around each."""
DPI = 200
WIDTH = 7 * DPI
"""The widest that a figure may be, in dots."""
GAP = 24
"""Between panels, in dots."""
ALIKE = 0.05
"""Numbers on codes that differ by less than this share are not told apart."""
DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
)
"""What Pillow and NumPy raise for files that are cut off or overwritten."""


@dataclass(frozen=True)
class Shown:
    """A run whose pictures are shown."""

    folder: Path
    model: str
    label: str = ""
    """Below the model's title, such as "critic −0.61"."""


@dataclass(frozen=True)
class Gallery:
    """A figure, and the runs that are not in it."""

    figure: Figure | None
    """None where no run is left to be shown."""
    missing: Sequence[Shown] = ()
    """Runs without the file; a model that does not encode never writes one of codes."""
    damaged: Sequence[str] = ()
    """One line for each file that cannot be read: which, and why."""


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


@dataclass
class _Found(Generic[T]):
    """What was read of the runs that have it, and what was not."""

    values: list[tuple[Shown, T]] = field(default_factory=list)
    missing: list[Shown] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def gallery(self, figure: Callable[[list[tuple[Shown, T]]], Figure]) -> Gallery:
        with mpl.rc_context(STYLE):
            return Gallery(figure(self.values) if self.values else None, self.missing, self.damaged)


def samples(runs: Sequence[Shown], rows: int = 8, columns: int = 8) -> Gallery:
    """Figures 3, 4, 6, 7: the first samples of each run, a panel a run."""
    return _read(runs, "samples.png", _cells).gallery(
        lambda found: _panels([(title(run.model), run.label, _tiled(cells[:rows, :columns])) for run, cells in found])
    )


def best_by_metric(best: Sequence[tuple[str, Shown]], rows: int = 6, columns: int = 6) -> Gallery:
    """Figure 14: a panel a metric with the first samples of the run that it ranks best.

    Args:
        best: a metric's title and the best run by it.
        rows: of samples.
        columns: of samples.
    """
    found = _read([run for _, run in best], "samples.png", _cells)
    cells = dict(found.values)
    panels = [(metric, _named(run), _tiled(cells[run][:rows, :columns])) for metric, run in best if run in cells]
    return found.gallery(lambda _: _panels(panels))


def reconstructions(runs: Sequence[Shown], pairs: int = 3, columns: int = 8) -> Gallery:
    """Figures 8, 9: test images, right below them what each model makes of them.

    Runs that were shown other test images each have theirs above.

    Args:
        runs: of autoencoding models; others are left out.
        pairs: how many blocks of a row of test images and its reconstructions.
        columns: test images a block.
    """
    return _read(runs, "reconstructions.png", _pairs).gallery(lambda found: _strips(_blocks(found, pairs, columns)))


def code_means(runs: Sequence[Shown], palette: Colours) -> Gallery:
    """Figure 11: the mean of each dimension of the codes of test images, a curve a run.

    Dimensions are sorted by their mean and spread evenly over the axis, so that latent spaces of other sizes compare.

    Args:
        runs: one of each model, or several.
        palette: a colour a model.
    """

    def figure(found: list[tuple[Shown, _Codes]]) -> Figure:
        drawn = _figure(4.2, 2.5 + 0.15 * len(found), layout="constrained")
        axes = drawn.add_subplot()
        axes.axhline(0, color="#222222", linestyle="--", linewidth=0.9, label="prior", zorder=1)
        for run, codes in found:
            d = len(codes.mean)
            axes.plot(
                (np.arange(d) + 0.5) / d,
                np.sort(codes.mean),
                color=palette[run.model],
                label=f"{_named(run)}: {d} dimensions",
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

    return _read(runs, "codes.npz", _codes).gallery(figure)


def code_covariances(runs: Sequence[Shown]) -> Gallery:
    """Figure 12: the covariance of the codes of test images, a heat map a run, one scale for all; the prior's is the identity."""

    def figure(found: list[tuple[Shown, _Codes]]) -> Figure:
        across = 2 if len(found) == 4 else min(len(found), 3)
        down = -(-len(found) // across)
        limit = _limit([codes.covariance for _, codes in found])
        drawn = _figure(2.05 * across + 0.75, 2.35 * down, layout="compressed")
        axes = list(drawn.subplots(down, across, squeeze=False).flat)
        for each in axes[len(found) :]:
            each.remove()
        for each, (run, codes) in zip(axes, found, strict=False):
            _heat_map(each, codes.covariance, limit)
            _caption(each, [title(run.model)], run.label)
        beyond = any(np.abs(codes.covariance).max() > limit for _, codes in found)
        bar = drawn.colorbar(
            axes[0].images[0],
            ax=axes[: len(found)],
            label="covariance (prior's variances)",
            extend="both" if beyond else "neither",
            aspect=25,
        )
        bar.set_ticks([-limit, -limit / 2, 0, limit / 2, limit])
        bar.outline.set_visible(False)
        return drawn

    return _read(runs, "codes.npz", _codes).gallery(figure)


def sentence_on_codes(runs: Sequence[Shown]) -> str:
    """What the codes' moments say, and whether the paper's claim on the code discriminator holds; "" for no codes."""
    found = _read(runs, "codes.npz", _codes).values
    if not found:
        return ""
    models = [run.model for run, _ in found]
    names = [title(run.model) if models.count(run.model) == 1 else _named(run) for run, _ in found]
    means, correlations = [codes.from_zero for _, codes in found], [codes.correlation for _, codes in found]
    numbers = [
        f"{name}: {mean:.3g} and {correlation:.3g} ({len(codes.mean)} dimensions)"
        for name, mean, correlation, (_, codes) in zip(names, means, correlations, found, strict=True)
    ]
    sentences = [
        "Root mean squares, over the codes of test images in one run each, of the dimensions' means (in the prior's standard "
        f"deviations) and of the correlations between dimensions: {'; '.join(numbers)}."
    ]
    if len(found) > 1:
        nearest, least = _least(names, means), _least(names, correlations)
        sentences.append(f"The means are nearest to 0 for {nearest}; the codes are least correlated for {least}.")
    by_model = {run.model: codes for run, codes in reversed(found)}
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


def _named(run: Shown) -> str:
    return title(run.model) + (f" ({run.label})" if run.label else "")


def _read(runs: Sequence[Shown], name: str, read: Callable[[Path], T]) -> _Found[T]:
    found: _Found[T] = _Found()
    for run in dict.fromkeys(runs):
        path = run.folder / name
        try:
            found.values.append((run, read(path)))
        except FileNotFoundError:
            found.missing.append(run)
        except DAMAGED as error:
            reason = str(error).replace(str(path), name) or type(error).__name__
            found.damaged.append(f"{run.folder.name}/{name} cannot be read: {reason}")
    return found


def _cells(path: Path) -> Pixels:
    """The images of a grid, (rows, 10, size, size, 3), without the white between them.

    Raises:
        ValueError: for a picture that is no such grid.
    """
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    height, width = pixels.shape[:2]
    cell = (width - PADDING) // COLUMNS
    rows = (height - PADDING) // max(cell, 1)
    if cell <= PADDING or rows < 1 or (height, width) != (rows * cell + PADDING, COLUMNS * cell + PADDING):
        raise ValueError(f"{width}x{height} pixels are no rows of {COLUMNS} square images")
    cells = pixels[PADDING:, PADDING:].reshape(rows, cell, COLUMNS, cell, 3).swapaxes(1, 2)
    size = cell - PADDING
    around = (pixels[:PADDING], pixels[:, :PADDING], cells[:, :, size:], cells[:, :, :, size:])
    if any((white != 255).any() for white in around):
        raise ValueError(f"the lines between its {COLUMNS} columns of images are not white")
    return cells[:, :, :size, :size]


def _pairs(path: Path) -> Pixels:
    """Test images and reconstructions, (blocks, 2, 10, size, size, 3)."""
    cells = _cells(path)
    if len(cells) % 2:
        raise ValueError(f"{len(cells)} rows are no pairs of rows")
    return cells.reshape(-1, 2, *cells.shape[1:])


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


def _tiled(cells: Pixels) -> Pixels:
    """Cells (rows, columns, h, w, 3) as one image with white between them, not around."""
    rows, columns, height, width, _ = cells.shape
    canvas = np.full((rows, height + PADDING, columns, width + PADDING, 3), 255, np.uint8)
    canvas[:, :height, :, :width] = cells.swapaxes(1, 2)
    return canvas.reshape(rows * (height + PADDING), columns * (width + PADDING), 3)[:-PADDING, :-PADDING]


def _figure(width: float, height: float, **layout: Any) -> Figure:
    """A figure of this size in inches."""
    figure = Figure(figsize=(width, height), **layout)
    FigureCanvasAgg(figure)
    return figure


def _panels(panels: Sequence[tuple[str, str, Pixels]]) -> Figure:
    """Images of one size or several under their captions: a heading, a line in small type."""
    number, side = len(panels), max(image.shape[1] for *_, image in panels)

    def room(across: int) -> int:
        return (WIDTH - (across + 1) * GAP) // across

    wide = number not in (1, 2, 4) and room(3) >= 2 * side
    across = 3 if wide else min(number, 2)
    scale = room(max(across, 2)) // side or room(max(across, 2)) / side
    headings = [_wrapped(heading, max(12, int(scale * side / 14))) for heading, *_ in panels]
    caption = 32 * max(map(len, headings)) + (26 if any(line for _, line, _ in panels) else 0) + 8
    width = round(scale * side)
    height = caption + GAP + max(round(image.shape[0] * width / image.shape[1]) for *_, image in panels)
    figure = _figure((across * (width + GAP) + GAP) / DPI, -(-number // across) * height / DPI)
    for place, (heading, (_, line, image)) in enumerate(zip(headings, panels, strict=True)):
        row, column = divmod(place, across)
        free = max(0, (row + 1) * across - number)  # places without a panel: the last row is centred
        corner = GAP + column * (width + GAP) + free * (width + GAP) // 2, caption + row * height
        _caption(_picture(figure, image, corner, width / image.shape[1]), heading, line)
    return figure


def _picture(figure: Figure, image: Pixels, corner: tuple[int, int], scale: float) -> Axes:
    """An image, (h, w, 3), at its upper left corner in dots, a pixel `scale` dots wide."""
    width, height = (round(DPI * inches) for inches in figure.get_size_inches())
    h, w = round(scale * image.shape[0]), round(scale * image.shape[1])
    axes = figure.add_axes((corner[0] / width, 1 - (corner[1] + h) / height, w / width, h / height))
    axes.imshow(image, interpolation="none", aspect="auto")  # "none": an SVG holds the pixels themselves
    axes.set_axis_off()
    return axes


def _caption(axes: Axes, heading: Sequence[str], line: str) -> None:
    axes.set_title("\n".join(heading), pad=12 if line else 4)
    axes.annotate(
        line,
        (0.5, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=7,
        color="#555555",
    )


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, break_on_hyphens=False)


def _blocks(found: Sequence[tuple[Shown, Pixels]], pairs: int, columns: int) -> list[list[tuple[str, str, Pixels]]]:
    """Rows of pictures under their names, by blocks."""
    grids = [(run, grid[:pairs, :, :columns]) for run, grid in found]
    same = all(np.array_equal(one[:, 0], other[:, 0]) for (_, one), (_, other) in pairwise(grids))
    blocks = []
    for block in range(max(len(grid) for _, grid in grids)):
        rows = []
        for number, (run, grid) in enumerate((run, grid) for run, grid in grids if block < len(grid)):
            if number == 0 or not same:
                rows.append(("test images", "", _tiled(grid[block, :1])))
            rows.append((title(run.model), "" if block else run.label, _tiled(grid[block, 1:])))
        blocks.append(rows)
    return blocks


def _strips(blocks: Sequence[Sequence[tuple[str, str, Pixels]]]) -> Figure:
    """Rows of pictures below each other, their names at the left."""
    side = max(image.shape[1] for rows in blocks for *_, image in rows)
    left, room = 290, 820
    width = side * (room // side or 1) if side <= WIDTH - left - GAP else WIDTH - left - GAP
    places, y = [], GAP // 2
    for rows in blocks:
        for name, line, image in rows:
            places.append((name, line, image, y))
            y += round(image.shape[0] * width / image.shape[1]) + 6
        y += GAP
    figure = _figure((left + width + GAP // 2) / DPI, (y - GAP) / DPI)
    for name, line, image, top in places:
        axes = _picture(figure, image, (left, top), width / image.shape[1])
        style: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
        va = "bottom" if line else "center"
        axes.annotate("\n".join(_wrapped(name, 20)), (0, 0.5), xytext=(-5, 0), va=va, **style)
        axes.annotate(line, (0, 0.5), xytext=(-5, -1), va="top", fontsize=7, color="#555555", **style)
    return figure


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
