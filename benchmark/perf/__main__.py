"""`make perf`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import torch

from benchmark.cli import data_dir_option, run_command
from benchmark.perf import data, metrics, reports, sweeps

SECTIONS = {"data", "metrics", "reports", "sweeps"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@data_dir_option
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Of each measurement of data loading."
)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Of each measurement of a metric.")
@click.option("--only", type=click.Choice(sorted(SECTIONS)), help="Measure this alone.")
@click.option(
    "--inception-weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="INCEPTION_WEIGHTS",
    help="Also measure the Inception metrics against the bare network, on 2,000 images (ten minutes of a core).",
)
def main(data_dir: Path, seconds: float, repeats: int, only: str | None, inception_weights: Path | None) -> None:
    """Measure data loading and metrics against their peers, what a sweep costs beside its runs, and a large report.

    Everything is interleaved and repeated, on one thread; printed are medians, the spread and the ratio. Exit code 1 if a goal is
    missed.
    """
    torch.set_num_threads(1)
    missed = False
    if only in (None, "data"):
        missed |= data.measure(data_dir, seconds)
    if only in (None, "metrics"):
        missed |= metrics.measure(repeats, inception_weights)
    if only in (None, "sweeps"):
        missed |= sweeps.measure(repeats)
    if only in (None, "reports"):
        missed |= reports.measure(repeats)
    sys.exit(missed)


if __name__ == "__main__":
    run_command(main)
