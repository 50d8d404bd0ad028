"""Where a report's figures go."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from benchmark.report.content import Chart, Plot
from benchmark.report.style import save


class FigureFolder:
    """report/figures; what an earlier report left there goes."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        for stale in path.iterdir():
            stale.unlink()
        self.path = path

    def plot(self, name: str, figure: Figure, sentence: str, caption: str, paper: str = "", chart: Chart | None = None) -> Plot:
        """Write a figure as PNG and SVG, and give it with its words."""
        return Plot(name, save(figure, self.path / name), sentence, caption, paper, chart)
