"""Options that several commands share. Heavy imports stay inside functions, so that `--help` answers at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmark.engines.options import Working


def results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--results, for the commands that read or write there."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        envvar="RESULTS",
        help="Folder of all studies.",
    )(command)


def data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--data-dir, for the commands that look for data sets."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("data"),
        show_default=True,
        envvar="DATA_DIR",
        help="Where data sets are looked for, and downloaded to.",
    )(command)


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--device, for the commands that compute."""
    return click.option("--device", default="auto", show_default=True, help="cpu, cuda, or auto: a GPU where there is one.")(
        command
    )


def output_option(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--output, for the commands that write one file."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(name),
        show_default=True,
        help="The file to write.",
    )


def evaluation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How runs are measured, for the commands that measure."""
    for option in (
        click.option(
            "--inception-weights",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="INCEPTION_WEIGHTS",
            help="The ImageNet network's weights.  [default: torch's cache, or downloaded]",
        ),
        click.option(
            "--inception-samples", type=click.IntRange(0), help="Images for Inception score, FID, KID, precision, recall."
        ),
        click.option(
            "--inception-width",
            type=click.Choice([64, 192, 768, 2048]),
            help="Of the features of FID, KID, precision and recall: 64, 192, 768 or 2048.",
        ),
        click.option(
            "--cifar10-weights",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="CIFAR10_WEIGHTS",
            help="The CIFAR-10 classifier's weights.  [default: the pinned ones]",
        ),
        click.option("--cifar10-samples", type=click.IntRange(0), help="Images for the CIFAR-10 Inception score."),
        click.option("--score-splits", type=click.IntRange(1), help="Pieces over which Inception scores are averaged."),
        click.option("--mode-samples", type=click.IntRange(2), help="Images whose digits are counted."),
        click.option("--diversity-groups", type=click.IntRange(1), help="Groups of 64 images whose pairs are compared."),
        click.option("--reconstructions", type=click.IntRange(2), help="Test images that autoencoding models give back."),
        click.option("--critic-steps", type=click.IntRange(1), help="Training steps of the critic after the run."),
        click.option("--critic-images", type=click.IntRange(2), help="Images on each side on which critics are asked."),
        click.option(
            "--second-evaluation/--no-second-evaluation",
            default=None,
            help="Whether finished runs are measured twice: the best are chosen by one evaluation and reported by the other.",
        ),
    )[::-1]:
        command = option(command)
    return command


class _NumberOrAuto(click.IntRange):
    """A number, or "auto": None."""

    name = "number or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value == "auto" else super().convert(value, param, ctx)


def working_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How runs are done, for the commands that do them; the command gets them as one `working`."""

    @functools.wraps(command)
    def collected(**values: Any) -> Any:
        working = Working(**{name: values.pop(name) for name in Working.__dataclass_fields__})
        return command(working=working, **values)

    wrapped: Callable[..., Any] = collected
    for option in (
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or tasks of a Ray cluster (RAY_ADDRESS; without it a local one).",
        ),
        click.option("--workers", type=click.IntRange(1), help="Runs at once.  [default: what cores, memory and GPUs bear]"),
        device_option,
        click.option(
            "--runs-per-gpu",
            type=_NumberOrAuto(1),
            default="auto",
            show_default=True,
            help="Runs that share one GPU; auto: as many as pay in a short probe of the study's first model (with Ray: 1).",
        ),
        click.option(
            "--run-memory",
            type=click.FloatRange(0, min_open=True),
            help="GiB that a run may take before it is ended.  [default: its share of the machine's]",
        ),
        click.option(
            "--run-timeout",
            type=click.FloatRange(0, min_open=True),
            help="Seconds that an attempt at a run may take before the run is given up as failed.  [default: no limit]",
        ),
        click.option(
            "--retries",
            type=click.IntRange(0),
            default=2,
            show_default=True,
            help="Attempts more at a run that was killed or crashed; each goes on from its last checkpoint.",
        ),
        click.option(
            "--storage", help="Where Ray's runs save themselves to be resumed on another node: a path or a URL of fsspec."
        ),
        click.option(
            "--checkpoints/--no-checkpoints",
            default=True,
            show_default=True,
            help="Whether trained weights come back from Ray's nodes; without them runs cannot be measured again.",
        ),
        click.option("--tensorboard", is_flag=True, help="Write losses and metrics for TensorBoard too, in each run's folder."),
    )[::-1]:
        wrapped = option(wrapped)
    return wrapped
