"""Draw pictures (Rosca et al. 2017, figures 3, 4, 6 to 10 and 14), from the files that runs leave.

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
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmark.model.registry import title
from benchmark.report.drawing.style import STYLE

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


@dataclass
class _RunFiles(Generic[T]):
    """What was read of the runs that have it, and what was not."""

    values: list[tuple[Shown, T]] = field(default_factory=list)
    missing: list[Shown] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def gallery(self, figure: Callable[[list[tuple[Shown, T]]], Figure]) -> Gallery:
        with mpl.rc_context(STYLE):
            return Gallery(figure(self.values) if self.values else None, self.missing, self.damaged)


def samples(runs: Sequence[Shown], rows: int = 8, columns: int = 8) -> Gallery:
    """Draw figures 3, 4, 6, 7: the first samples of each run, a panel a run."""
    return read_files(runs, "samples.png", _cells).gallery(
        lambda grids: _panels([(title(run.model), run.label, _tiled(cells[:rows, :columns])) for run, cells in grids])
    )


def best_by_metric(best: Sequence[tuple[str, Shown]], rows: int = 6, columns: int = 6) -> Gallery:
    """Draw figure 14: a panel a metric with the first samples of the run that it ranks best.

    Args:
        best: a metric's title and the best run by it.
        rows: of samples.
        columns: of samples.
    """
    files = read_files([run for _, run in best], "samples.png", _cells)
    cells = dict(files.values)
    panels = [(metric, named(run), _tiled(cells[run][:rows, :columns])) for metric, run in best if run in cells]
    return files.gallery(lambda _: _panels(panels))


def reconstructions(runs: Sequence[Shown], pairs: int = 3, columns: int = 8) -> Gallery:
    """Draw figures 8, 9: test images, right below them what each model makes of them.

    Runs that were shown other test images each have theirs above.

    Args:
        runs: of autoencoding models; others are left out.
        pairs: how many blocks of a row of test images and its reconstructions.
        columns: test images a block.
    """
    return read_files(runs, "reconstructions.png", _pairs).gallery(lambda grids: _strips(_blocks(grids, pairs, columns)))


def named(run: Shown) -> str:
    """Name a run by its model's title and its label."""
    return title(run.model) + (f" ({run.label})" if run.label else "")


def read_files(runs: Sequence[Shown], name: str, read: Callable[[Path], T]) -> _RunFiles[T]:
    """Read a file of each run that has it; damaged ones are named, and cost nothing else."""
    files: _RunFiles[T] = _RunFiles()
    for run in dict.fromkeys(runs):
        path = run.folder / name
        try:
            files.values.append((run, read(path)))
        except FileNotFoundError:
            files.missing.append(run)
        except DAMAGED as error:
            reason = str(error).replace(str(path), name) or type(error).__name__
            files.damaged.append(f"{run.folder.name}/{name} cannot be read: {reason}")
    return files


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


def _tiled(cells: Pixels) -> Pixels:
    """Cells (rows, columns, h, w, 3) as one image with white between them, not around."""
    rows, columns, height, width, _ = cells.shape
    canvas = np.full((rows, height + PADDING, columns, width + PADDING, 3), 255, np.uint8)
    canvas[:, :height, :, :width] = cells.swapaxes(1, 2)
    return canvas.reshape(rows * (height + PADDING), columns * (width + PADDING), 3)[:-PADDING, :-PADDING]


def figure_of(width: float, height: float, **layout: Any) -> Figure:
    """Make a figure of this size in inches."""
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
    above = 32 * max(map(len, headings)) + (26 if any(line for _, line, _ in panels) else 0) + 8
    width = round(scale * side)
    height = above + GAP + max(round(image.shape[0] * width / image.shape[1]) for *_, image in panels)
    figure = figure_of((across * (width + GAP) + GAP) / DPI, -(-number // across) * height / DPI)
    for place, (heading, (_, line, image)) in enumerate(zip(headings, panels, strict=True)):
        row, column = divmod(place, across)
        free = max(0, (row + 1) * across - number)  # places without a panel: the last row is centred
        corner = GAP + column * (width + GAP) + free * (width + GAP) // 2, above + row * height
        caption(_picture(figure, image, corner, width / image.shape[1]), heading, line)
    return figure


def _picture(figure: Figure, image: Pixels, corner: tuple[int, int], scale: float) -> Axes:
    """An image, (h, w, 3), at its upper left corner in dots, a pixel `scale` dots wide."""
    width, height = (round(DPI * inches) for inches in figure.get_size_inches())
    h, w = round(scale * image.shape[0]), round(scale * image.shape[1])
    axes = figure.add_axes((corner[0] / width, 1 - (corner[1] + h) / height, w / width, h / height))
    axes.imshow(image, interpolation="none", aspect="auto")  # "none": an SVG holds the pixels themselves
    axes.set_axis_off()
    return axes


def caption(axes: Axes, heading: Sequence[str], line: str) -> None:
    """Write a heading above axes, and a line in small type below it."""
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


def _blocks(pictures: Sequence[tuple[Shown, Pixels]], pairs: int, columns: int) -> list[list[tuple[str, str, Pixels]]]:
    """Rows of pictures under their names, by blocks."""
    grids = [(run, grid[:pairs, :, :columns]) for run, grid in pictures]
    same = all(np.array_equal(grid[:, 0], following[:, 0]) for (_, grid), (_, following) in pairwise(grids))
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
    figure = figure_of((left + width + GAP // 2) / DPI, (y - GAP) / DPI)
    for name, line, image, top in places:
        axes = _picture(figure, image, (left, top), width / image.shape[1])
        style: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
        va = "bottom" if line else "center"
        axes.annotate("\n".join(_wrapped(name, 20)), (0, 0.5), xytext=(-5, 0), va=va, **style)
        axes.annotate(line, (0, 0.5), xytext=(-5, -1), va="top", fontsize=7, color="#555555", **style)
    return figure
