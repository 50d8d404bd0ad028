"""Tabulate what was measured: our values, a peer's, their ratio, the goal beside it and whether it is met."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import comb
from pathlib import Path
from typing import Literal

import click
import torch

from benchmark.engines.local import cores
from benchmark.files import write_atomically
from benchmark.records.run_folder import environment

CONFIDENCE = 0.95
"""Of the interval around a median."""

FEW = 3
"""Repeats of what takes tens of seconds."""

MET, MISSED, WITHIN_NOISE = "met", "MISSED", "within noise"


@dataclass(frozen=True)
class Goal:
    """Say what a measured value is to be."""

    side: Literal["at most", "at least"]
    value: float

    def holds(self, value: float) -> bool:
        return value <= self.value if self.side == "at most" else value >= self.value

    def __str__(self) -> str:
        return f"{self.side} {self.value:g}"


@dataclass(frozen=True)
class Row:
    """One measurement over its repeats: alone, or side by side with a peer's, repeat by repeat."""

    title: str
    values: Sequence[float]
    """Ours, one a repeat."""
    unit: str
    goal: Goal | None = None
    """For the ratio where there is a peer, else for our value."""
    peer: str = ""
    """What ours is compared with."""
    peer_values: Sequence[float] = ()
    inverse: bool = False
    """Whether the ratio is the peer's value over ours, as in "so many times as fast", and not ours over the peer's."""

    def __post_init__(self) -> None:
        if not self.values or (self.peer_values and len(self.values) != len(self.peer_values)):
            raise ValueError(f"{self.title}: {len(self.values)} of ours, {len(self.peer_values)} of theirs")

    @property
    def judged(self) -> list[float]:
        """Compute what the goal is about, one value a repeat: the ratio, or our value where there is no peer."""
        if not self.peer_values:
            return list(self.values)
        pairs = (self.peer_values, self.values) if self.inverse else (self.values, self.peer_values)
        return [above / below for above, below in zip(*pairs, strict=True)]

    @property
    def median(self) -> float:
        return statistics.median(self.judged)

    @property
    def interval(self) -> tuple[float, float]:
        return interval(self.judged)

    @property
    def verdict(self) -> str:
        """Whether the goal is met; empty without one. It is missed only where the whole interval lies on its wrong side."""
        if self.goal is None:
            return ""
        if self.goal.holds(self.median):
            return MET
        return WITHIN_NOISE if any(map(self.goal.holds, self.interval)) else MISSED


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Find two of the sorted values between which the median lies with at least 95 % confidence, whatever the distribution.

    With k values on each side left out it misses the median with probability 2 P(Bin(n, 1/2) <= k). Below six values nothing
    reaches that confidence, and it is from the lowest to the highest.
    """
    ordered, n = sorted(values), len(values)
    left_out, tail = 0, 2 / 2**n
    while (tail := tail + 2 * comb(n, left_out + 1) / 2**n) <= 1 - CONFIDENCE:
        left_out += 1
    return ordered[left_out], ordered[-1 - left_out]


HEADS = ("what", "ours", "other", "unit", "ratio", "interval", "n", "goal", "")
WIDTHS = (64, -8, -8, 11, 17, 16, -3, 14, 12)
"""Of the columns on the screen; negative ones are numbers, which stand at the right."""


class Table:
    """Rows and remarks of all sections, printed as they come."""

    def __init__(self, head: str) -> None:
        self.head = head
        self.sections: dict[str, list[Row | str]] = {}
        click.echo(head)

    def extend(self, section: str, entries: Iterable[Row | str]) -> None:
        """Print what a section measures: rows, and remarks that are no rows."""
        printed = self.sections.setdefault(section, [])
        click.echo(f"\n{section}\n{_line(HEADS)}")
        for entry in entries:
            printed.append(entry)
            click.echo(f"  {entry}" if isinstance(entry, str) else _line(_cells(entry)))

    @property
    def missed(self) -> list[str]:
        """List the titles of the rows that miss their goals."""
        rows = (entry for entries in self.sections.values() for entry in entries if isinstance(entry, Row))
        return [_cells(row)[0] for row in rows if row.verdict == MISSED]

    def markdown(self) -> str:
        """Write the same as Markdown."""
        lines = [self.head]
        for section, entries in self.sections.items():
            rows = [_cells(entry) for entry in entries if isinstance(entry, Row)]
            lines += ["", f"## {section}", ""]
            if rows:
                marks = ["---:" if width < 0 else "---" for width in WIDTHS]
                lines += [f"| {' | '.join(cells)} |" for cells in (HEADS, marks, *rows)]
            lines += [f"\n{entry}" for entry in entries if isinstance(entry, str)]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write the Markdown to a file."""
        write_atomically(path, self.markdown())


def _cells(row: Row) -> tuple[str, ...]:
    title = f"{row.title}, against {row.peer}" if row.peer_values else row.title
    low, high = row.interval
    spread = f"{number(low)} to {number(high)}" if len(row.values) > 1 else ""
    peer = number(statistics.median(row.peer_values)) if row.peer_values else ""
    ratio = f"{'other/ours' if row.inverse else 'ours/other'} {number(row.median)}" if row.peer_values else ""
    goal = str(row.goal or "")
    return title, number(statistics.median(row.values)), peer, row.unit, ratio, spread, str(len(row.values)), goal, row.verdict


def _line(cells: Sequence[str]) -> str:
    padded = (f"{cell:>{-width}}" if width < 0 else f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return "  ".join(padded).rstrip()


def number(value: float) -> str:
    """Write a value with about four digits: 0.0123, 1.034, 12.34, 123.4, 12,345."""
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    if abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 4 - len(str(int(abs(value)))))}f}"


def machine(device: str, width: float) -> str:
    """Say where and with what the table was measured, in one line."""
    facts = environment()
    gpu = [torch.cuda.get_device_name()] if device == "cuda" else []
    parts = [
        f"{_processor()} ({facts['instruction_set']}), {cores()} cores",
        *gpu,
        f"Python {facts['python']}, torch {facts['torch']}, Lightning {facts['pytorch-lightning']}",
        f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}",
        f"networks at {width:g} of the paper's width",
        f"{datetime.now(UTC):%Y-%m-%d}",
    ]
    return "; ".join(parts)


def _processor() -> str:
    """Name the processor where Linux tells it, else its architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), environment()["machine"])
