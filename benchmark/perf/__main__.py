"""Run `make perf`: measure the sections that are asked for, print the table, and say whether the goals are met."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from benchmark.cli.main import run_command
from benchmark.cli.options import data_dir_option
from benchmark.cli.variables import VariablesCommand
from benchmark.engines.devices import resolve_device
from benchmark.errors import UserError
from benchmark.files import check_writable
from benchmark.perf import data, metrics, reports, start, sweeps, training
from benchmark.perf.table import FEW, Row, Table, machine

NARROW, FULL = 0.25, 1.0
"""Of the paper's width."""


@dataclass(frozen=True)
class Options:
    """The user's choices."""

    repeats: int
    width: float
    device: str
    data_dir: Path
    seconds: float
    inception_weights: Path | None

    @property
    def conditions(self) -> training.Conditions:
        return training.Conditions(self.repeats, self.width, torch.device(self.device))


Section = Callable[[Options], Iterator[Row | str]]

ON_A_CPU: Mapping[str, Section] = {
    "starting": lambda options: start.rows(options.repeats),
    "training": lambda options: training.rows(options.conditions),
    "data": lambda options: data.rows(options.data_dir, options.seconds, options.repeats),
    "metrics": lambda options: metrics.rows(options.repeats, options.inception_weights),
    "sweeps": lambda options: sweeps.rows(options.repeats),
    "reports": lambda options: reports.rows(options.repeats),
}
ON_A_GPU: Mapping[str, Section] = {
    "training": lambda options: training.rows(options.conditions),
    "sweeps": lambda options: sweeps.gpu_sweep(options.data_dir, options.width, min(options.repeats, FEW)),
}


@click.command(cls=VariablesCommand, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--only", type=click.Choice(list(ON_A_CPU)), help="Measure this section alone.")
@click.option("--repeats", type=click.IntRange(1), default=10, show_default=True, help=f"Of all that is not slow; else {FEW}.")
@click.option("--full", is_flag=True, help="Train networks of the paper's width, not of a quarter of it: 45 minutes.")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="cuda measures what a GPU changes."
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Also write the table to this file.")
@data_dir_option
@click.option("--seconds", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Of each timing of data loading.")
@click.option(
    "--inception-weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="INCEPTION_WEIGHTS",
    help="Also measure the Inception metrics against the bare network, on 2,000 images (ten minutes of a core).",
)
def main(only: str | None, full: bool, device: str, markdown: Path | None, **rest: object) -> None:
    """Measure here and now what costs how much, beside other ways to do the same, and say whether the goals are met.

    Training is timed against a loop without any framework (the floor) and a plain LightningModule; data loading, metrics and
    reports against their peers; starting in seconds. All of it in turns, on one thread, after a warm-up.

    \b
    ours, other   medians over the repeats
    ratio         the median of the ratios, turn by turn
    interval      that the median lies in, with 95 % confidence from six repeats on; else the lowest and the highest
    goal          met, within noise (the interval reaches over it), or MISSED: then the exit code is 1

    Nothing else should run meanwhile. Examples:

    \b
    make perf                                             all of it, a quarter of an hour on two cores
    make perf PERF=full                                   with the paper's networks
    make perf DEVICE=cuda DATA_DIR=/data                  on a GPU
    python -m benchmark.perf --only training --repeats 30 --markdown table.md
    """  # noqa: D301 - the mark is click's, for lines that stay as they are
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that are started
    sections = ON_A_GPU if device == "cuda" else ON_A_CPU
    if only not in (None, *sections):
        raise UserError(f"--device {device} measures {' and '.join(sections)}, not {only}: that does not depend on a GPU")
    options = Options(width=FULL if full else NARROW, device=resolve_device(device), **rest)  # type: ignore[arg-type]
    if markdown is not None:
        check_writable(markdown)  # before a quarter of an hour is spent on it
    table = Table(machine(options.device, options.width))
    for name, section in sections.items():
        if only in (None, name):
            table.extend(name, section(options))
    if markdown is not None:
        table.write(markdown)
    if table.missed:
        click.echo(f"\nMissed: {'; '.join(table.missed)}")
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
