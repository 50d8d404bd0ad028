"""A made-up report, and a browser to look at its page with."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageDraw

from benchmark.report.page.content import (
    Box,
    Chart,
    Line,
    Panel,
    Plot,
    Point,
    Report,
    RunDetails,
    RunEntry,
    RunValue,
    Section,
    Table,
)

HOSTILE = "<script>alert(1)</script>"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
METRICS = {"critic": "Independent Wasserstein critic", "sample_diversity": "Sample <b>diversity</b>"}


def chromium() -> str | None:
    """Where the system's Chromium or Chrome is."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium; where there is none the test is skipped, or fails if REQUIRE_BROWSER=1."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return _absent("playwright is not installed")
    path = chromium()
    if path is None:
        return _absent("there is no Chromium or Chrome on the PATH")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=[*OPTIONS, "--disable-sync"])
        yield launched
        launched.close()
    return None


def _absent(reason: str) -> None:
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(f"REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(f"no browser tests: {reason}")


def picture(width: int, height: int, text: str = "") -> bytes:
    """A PNG with a gradient and a word."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    ImageDraw.Draw(image).text((10, 10), text, fill="red")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def run_entries(number: int, metrics: list[str], models: list[str]) -> list[RunEntry]:
    """Runs in turn of each model; every fourth lacks the second metric and what follows it, every sixth diverged."""
    runs = []
    for i in range(number):
        values = {
            metric: RunValue(value=-10.0 + (i * 7919 % 1009) / 100 + k, low=-10.5 + k, high=-9.0 + k, second=-9.9 + k)
            for k, metric in enumerate(metrics)
            if k == 0 or i % 4 != 3
        }
        diverged = i % 6 == 5
        runs.append(
            RunEntry(
                key=f"{models[i % len(models)].strip('<>/()')[:8]}-{i:05d}",
                study="colormnist-mini-quick",
                model=models[i % len(models)],
                setting="colormnist-mini, 180 iterations",
                seed=i % 2,
                status="diverged" if diverged else "done",
                reason="the loss is <i>nan</i>" if diverged else "",
                seconds=12.5 + i,
                hyperparameters={"learning_rate": 1e-4 * (1 + i % 3), "latent": 50 + i, "note": "<img src=x onerror=alert(2)>"},
                values={} if diverged else values,
            )
        )
    return runs


def boxes(runs: list[RunEntry], metric: str, models: list[str]) -> list[Box]:
    """Quartiles, near enough for a picture."""
    boxes_of_models = []
    for model in models:
        values = sorted(run.values[metric].value for run in runs if run.model == model and metric in run.values)
        n = len(values)
        quartiles = [values[round(share * (n - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]
        name = {"alphagan_kl": "α-GAN, empirical KL", "dcgan": "DCGAN"}.get(model, model)
        boxes_of_models.append(Box(model, f"{name}\nn = {n}", *quartiles))
    return boxes_of_models


def panel(runs: list[RunEntry], metric: str, models: list[str], title: str, lines: list[Line] | None = None) -> Panel:
    measured = [run for run in runs if metric in run.values]
    best = sorted(measured, key=lambda run: -run.values[metric].value)[:3]
    return Panel(
        title=title,
        points=[Point(run.key, run.model, run.values[metric].value) for run in measured],
        boxes=boxes(runs, metric, models),
        best=[run.key for run in best],
        lines=lines or [],
    )


def small_report() -> Report:
    """Three models, one with a hostile name, twelve runs, two metrics, two panels, one scatter plot, details of three runs."""
    models = ["alphagan_kl", "dcgan", HOSTILE]
    runs = run_entries(12, list(METRICS), models)
    lines = [Line("real images", -2.0), Line("noise", -60.0), Line("+ noise 0.1", -2.1)]
    other = panel(runs, "critic", models, "the same by another protocol", [Line("real images", 0.0)])
    shifted = Panel(
        other.title,
        [Point(point.run, point.model, point.value + 1.25) for point in other.points],
        other.boxes,
        other.best,
        other.lines,
    )
    both = [run for run in runs if len(run.values) == 2]
    pairs = [Point(run.key, run.model, run.values["sample_diversity"].value, run.values["critic"].value) for run in both]
    curves = {
        name: [(k * 10, (k - 9) ** 2 / 10 + place) for k in range(19)]
        for place, name in enumerate(["loss/generator", "loss/discriminator", "critic_curve/validation", "critic_curve/test"])
    }
    pictures = {"samples": picture(224, 112, "samples"), "reconstructions": picture(224, 112, "reconstructions")}
    sections = [
        Section(
            anchor="critic",
            title="How far are samples from real images?",
            text="A fresh critic is trained after each run.\n\nHigh is better.",
            plots=[
                Plot(
                    name="critic",
                    picture=picture(1000, 520, "static picture of the box plots"),
                    sentence="By the median over its configurations α-GAN, empirical KL is best here (−5.1).",
                    caption="Boxes are quartiles over the sweep, dots single runs, circles the best; lines the sanity rows.",
                    paper="Figure 2",
                    chart=Chart(
                        [panel(runs, "critic", models, "colormnist-mini, 180 iterations", lines), shifted],
                        "minus the distance\n(high is better)",
                    ),
                )
            ],
            tables=[
                Table(
                    ["model", "runs with a value", "best", "median", "lower quartile", "upper quartile", "± of one run", "run"],
                    [
                        ["α-GAN, empirical KL", 3, -5.123456, -6.1, None, -1.5, 0.01, runs[0].key],
                        [HOSTILE, 4, -7.0, None, 1.0, 2.0, 0.1, "–"],
                    ],
                    note="± of one run: half of the 95 % interval of a single value.",
                )
            ],
            notes=["Protocol 1a2b3c: samples 1000, critic steps 500. Numbers of other protocols do not compare with these. " * 5],
        ),
        Section(
            anchor="trade-off",
            title="Diversity against distance",
            plots=[
                Plot(
                    name="scatter",
                    picture=picture(800, 520, "static picture of the scatter plot"),
                    sentence="Runs with a higher critic are also more diverse.",
                    caption="Each dot is a run.",
                    chart=Chart([Panel("", pairs, best=[pairs[0].run])], "sample diversity", "critic"),
                )
            ],
        ),
        Section(
            anchor="pictures",
            title="Samples",
            plots=[
                Plot(f"samples_{k}", picture(224, 224), "", f"{model}: samples", chart=None) for k, model in enumerate(models)
            ],
            notes=["Short."],
        ),
    ]
    details = {run.key: RunDetails(curves, pictures) for run in runs[:3]}
    facts = [
        "Data set colormnist-mini (fingerprint 0123456789ab), preset quick: 180 iterations of batch 64.",
        f"A model is called {HOSTILE}.",
    ]
    return Report("colormnist-mini-quick", facts, sections, runs, METRICS, details)
