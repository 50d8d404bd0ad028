"""Keep a report and its figures in their folder; nothing of anybody else's is touched there."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from benchmark.errors import UserError
from benchmark.files import write_atomically
from benchmark.report.drawing.style import save
from benchmark.report.page.content import Chart, Plot

MARK = ".alphagan-report"
"""A file that says that a folder is a report's, and may be written to again."""


def claim(output: Path) -> None:
    """Make a report's folder, or take one that is a report's already.

    Raises:
        UserError: if it holds other things, which a report might overwrite.
    """
    is_ours = (output / MARK).exists() or ((output.parent / "study.json").exists() and output.name == "report")
    if output.exists() and not is_ours and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} holds other things than a report: name a new folder, or an empty one")
    if (output / "figures").is_symlink():
        raise UserError(f"{output / 'figures'} is a link to another place: remove it, or name another folder")
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / MARK, "The benchmark writes its report here, and replaces an earlier one.\n")


class FigureFolder:
    """Writes the figures of a report to OUTPUT/figures."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.written: set[str] = set()

    def plot(self, name: str, figure: Figure, sentence: str, caption: str, paper: str = "", chart: Chart | None = None) -> Plot:
        """Write a figure as PNG and SVG.

        Args:
            name: of its files, without a suffix; no other figure of the report has it.
            figure: what is drawn.
            sentence: what it shows, from the numbers.
            caption: how to read it.
            paper: its number in Rosca et al. 2017, if it has one.
            chart: the same on a screen, if it is to answer to a mouse.

        Returns:
            The figure with its words, for a section.

        Raises:
            ValueError: if the report has a figure of this name already.
        """
        if name in self.written:
            raise ValueError(f"two figures of the report are named {name!r}")
        self.written.add(name)
        return Plot(name, save(figure, self.path / name), sentence, caption, paper, chart)

    def remove_stale(self) -> None:
        """Remove the figures of an earlier report that this one does not have."""
        for path in self.path.iterdir():
            if path.suffix in (".png", ".svg") and path.stem not in self.written and path.is_file():
                path.unlink()
