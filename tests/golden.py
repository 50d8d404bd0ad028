"""Make the golden records: two small studies whose results can be worked out by hand, and the summary that is expected of them.

Numbers are sums of halves, quarters and sixteenths, which floating point holds exactly. `tests/benchmark/report/test_golden.py`
has the arithmetic. What changes the summary shows itself in the diff of expected_summary.csv: look at it before it is committed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmark.records.rows import Row
from benchmark.report.write import make_report
from tests.benchmark.report.pretended import AGAIN, PROTOCOL, PretendedRun, write_codes, write_grid, write_runs

FOLDER = Path(__file__).with_name("golden")
STUDIES = ("digits", "pictures")
SUMMARY = "expected_summary.csv"
CURVE = {"budget": 10}
OWN = "mypackage.MyGAN"
"""A model that a user added."""

Values = Sequence[float | str | None]
"""None is a value that was not finite, a word one that nobody could measure."""


def make(folder: Path) -> None:
    """Write both studies and the expected summary into a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    make_studies(folder)
    with tempfile.TemporaryDirectory() as place:
        report = make_report([folder / name for name in STUDIES], Path(place) / "report").parent
        shutil.copyfile(report / "summary.csv", folder / SUMMARY)


def make_studies(folder: Path) -> None:
    """Write both studies."""
    write_runs(folder / "digits", digits(), fingerprint="d" * 64)
    write_runs(folder / "pictures", pictures(), iterations=20, dataset="cifar10", fingerprint="c" * 64, settings={"width": 0.5})
    for seed, run in enumerate(("real", "alphagan-0-0", "alphagan-1-0", "dcgan-0-0")):
        write_grid(folder / "digits" / "runs" / run / "samples.png", seed)
    write_grid(folder / "digits" / "runs" / "alphagan-0-0" / "reconstructions.png", 9)
    write_codes(folder / "digits" / "runs" / "alphagan-0-0" / "codes.npz", [0.5, -0.5, 0.25], [1, 0.5, 2])


def digits() -> Iterator[PretendedRun]:
    """Two seeds of each configuration; a model of each kind of end."""
    yield PretendedRun("real", rows=[*ends(10, critic=-0.5, sample_diversity=0.5, mode_kl=0.25), *noise_rows()], name="real")
    yield PretendedRun("noise", rows=ends(10, critic=-20, sample_diversity=0.9375, mode_kl=5), name="noise")
    yield from sweep(
        "alphagan",
        {"learning_rate": [1e-4, 1e-3], "latent_size": [8, 16]},
        critic=[-1, -3, -2, -2, -5, -7, -4, -8],
        again=[-2.5, -3.5, -1.25, -3, -5.5, -7, -4, -8],
        sample_diversity=[0.5, 0.4375, 0.625, 0.3125, 0.75, 0.1875, 0.875, 0.0625],
        mode_kl=[0.5, 3, 1, 1.5, 2, 4, 2.5, 3.5],
        reconstruction_l1=[0.25, 0.5, 0.25, None, 0.5, 0.5, 0.75, 0.25],
    )
    yield from sweep(
        "dcgan",
        {"learning_rate": [1e-4, 5e-4, 1e-3]},
        critic=[-1.5, -2.5, -3, -5, -6, "diverged"],
        again=[-1.75, -2.5, -3, -4, -6, None],
        sample_diversity=[0.375, 0.25, 0.875, 0.125, 1, None],
        mode_kl=[1, 1, 2, 2, 3, None],
    )
    yield from sweep(
        "age",
        {"learning_rate": [1e-4, 5e-4, 1e-3]},
        critic=[-3, -5, "failed", "diverged", "missing", -7],
        again=[-3, -5, None, None, None, -7],
        sample_diversity=[0.5, 0.25, None, None, None, 0.125],
        mode_kl=[4, 5, None, None, None, 6],
        reconstruction_l1=[0.5, 0.5, None, None, None, 1],
    )
    yield from sweep(
        OWN,
        {"layers": [[16, 32], None], "spectral_norm": [True]},
        critic=[-10, -10, -10, -10],
        again=[-10, -10, -10, -10],
        sample_diversity=[0.5, 0.5, None, 0.625],
        mode_kl=[6.5, 6.5, 6.5, 6.5],
    )


def pictures() -> Iterator[PretendedRun]:
    """One seed; sweeps of four, three and two configurations; no weights for the Fréchet distance."""
    yield PretendedRun("real", rows=ends(20, critic=-0.25, inception_score=10), name="real-pictures")
    yield from sweep("alphagan", {"latent_size": [8, 16, 32, 64]}, 20, 1, critic=[-1, -2, -3, -4], inception_score=[4, 3, 2, 1])
    yield from sweep("dcgan", {"learning_rate": [1e-4, 5e-4, 1e-3]}, 20, 1, critic=[-2, -4, -6], inception_score=[4, None, 5])
    yield from sweep("age", {"learning_rate": [1e-4, 1e-3]}, 20, 1, critic=[-1, "failed"], inception_score=[2, None])
    yield from sweep(OWN, {"depth": [2, 3]}, 20, 1, critic=[-3, -5], inception_score=[3, "unmeasured"])


def sweep(
    model: str,
    grid: dict[str, list[Any]],
    iterations: int = 10,
    seeds: int = 2,
    *,
    critic: list[Any],
    again: Values = (),
    **values: Values,
) -> Iterator[PretendedRun]:
    """A model's runs, configuration by configuration; in place of a value of the critic stands how a run without one ended."""
    cells = [dict(zip(grid, cell, strict=True)) for cell in product(*grid.values())]
    for number, (hyperparameters, seed) in enumerate(product(cells, range(seeds))):
        name = f"{model.rpartition('.')[2].lower()}-{number // seeds}-{seed}" + ("" if iterations == 10 else "-pictures")
        ended = critic[number] if isinstance(critic[number], str) else "done"
        reason = {"failed": "RuntimeError: a bug in the model", "diverged": "the loss generator/total is nan"}.get(ended, "")
        rows = [Row(0, "critic", -9.0, n=5, protocol=PROTOCOL), Row(0, "mode_kl", 7.0, n=5, protocol=PROTOCOL)]
        if ended == "done":
            own = {metric: numbers[number] for metric, numbers in values.items()}
            rows = [*rows, *curves(iterations, seed), *ends(iterations, critic=critic[number], **own)]
            if again:
                rows.append(Row(iterations, "critic", again[number], protocol=AGAIN))
            if iterations == 20:
                rows.append(Row(iterations, "fid", None, protocol=PROTOCOL, missing="unavailable", reason="no weights"))
        yield PretendedRun(model, ended, rows, hyperparameters, seed, reason, name)


def ends(iteration: int, **values: float | str | None) -> list[Row]:
    """The rows at a training's end; the critic with an interval and with its gap, which is too large in runs that reach -2."""
    rows = []
    for metric, given in values.items():
        value = None if isinstance(given, str) else given
        half = 0.25 if metric == "critic" else None
        low, high = (None, None) if value is None or half is None else (value - half, value + half)
        row = Row(iteration, metric, value, low, high, 5, PROTOCOL)
        if value is None:
            missing, reason = ("not_finite", "the value is nan") if given is None else ("unavailable", "no weights")
            row = replace(row, missing=missing, reason=reason)
        rows.append(row)
        if metric == "critic":
            rows.append(Row(iteration, "critic_gap", 0.25, 0.125, 0.375, 5, PROTOCOL))
    return rows


def noise_rows() -> list[Row]:
    """The diversity of test images with noise."""
    return [
        Row(10, f"sample_diversity/noise {level:g}", value, n=5, protocol=PROTOCOL)
        for level, value in ((0.05, 0.5625), (0.1, 0.625), (0.2, 0.75))
    ]


def curves(iterations: int, seed: int) -> list[Row]:
    """Losses of every run, and of the first seeds the critic along training."""
    rows = [Row(step, "loss/generator/total", 4 / step) for step in (iterations // 2, iterations)]
    if seed == 0:
        rows += [
            Row(step, f"critic_curve/{split}", value, protocol=CURVE)
            for step, value in ((iterations // 2, -4.0), (iterations, -2.0))
            for split in ("validation", "test")
        ]
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they go; what is there goes  [default: %(default)s]")
    make(parser.parse_args().folder)


if __name__ == "__main__":
    main()
