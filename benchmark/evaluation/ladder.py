"""Measure real images under growing noise, blur and dropped classes: does every metric order what is known to be worse?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur
from tqdm import tqdm

from benchmark.data.cifar10 import labelled_cifar10
from benchmark.data.datasets import Dataset
from benchmark.evaluation.evaluate import evaluate
from benchmark.evaluation.measurements import Diversity, Scope, Subject, reads_as_digits
from benchmark.evaluation.samplers import Sampler, reference_sampler
from benchmark.evaluation.study_metrics import catalogue_of
from benchmark.records.rows import Row
from benchmark.settings import Evaluation, Settings
from metrics.catalogue import METRICS, MetricInfo
from metrics.classifier_score import inception_score
from metrics.evaluators.cifar import classify, error_rate, load_cifar10_classifier
from metrics.images import as_images

NOISE = (0.05, 0.1, 0.2, 0.4)
"""Standard deviation of normal noise, of a range of 2."""
BLUR = (0.5, 1.0, 2.0)
"""Standard deviation of a Gaussian blur, in pixels."""
DROPPED = (2, 5, 8)
"""Of ten classes, or of the ten digits of the first channel."""


ARROWS = {"maximize": "↑", "minimize": "↓", "match": "="}


@dataclass(frozen=True)
class Corruption:
    """Training images made worse."""

    family: str
    name: str
    sampler: Sampler


def corruptions(dataset: Dataset, classes: Tensor | None, device: torch.device) -> Iterator[Corruption]:
    """Make training images worse in several ways by growing amounts; the first are as they are.

    Args:
        dataset: the images.
        classes: (n,) in [0, 10), of the training images; None where they have none.
        device: where images are made.
    """
    real = reference_sampler("real", dataset, device)
    yield Corruption("", "training images", real)
    for level in NOISE:
        yield Corruption("noise", f"noise {level:g}", _noisy(real, level))
    for sigma in BLUR:
        yield Corruption("blur", f"blur {sigma:g} px", _blurred(real, sigma))
    if classes is not None:
        for dropped in DROPPED:
            yield Corruption("classes", f"{dropped} of 10 classes dropped", _of_classes(dataset, classes >= dropped, device))
    yield Corruption("", "uniform noise", reference_sampler("noise", dataset, device))


def _noisy(sampler: Sampler, level: float) -> Sampler:
    def noisy(n: int, source: torch.Generator) -> Tensor:
        images = sampler(n, source)
        beside = torch.Generator(images.device).set_state(source.get_state())  # every amount of noise gets the same images
        return (images + level * torch.randn(images.shape, generator=beside, device=images.device)).clamp(-1, 1)

    return noisy


def _blurred(sampler: Sampler, sigma: float) -> Sampler:
    width = 2 * round(3 * sigma) + 1
    return lambda n, source: gaussian_blur(sampler(n, source), [width, width], [sigma, sigma])


def _of_classes(dataset: Dataset, kept: Tensor, device: torch.device) -> Sampler:
    places = kept.nonzero().flatten()

    def sampler(n: int, source: torch.Generator) -> Tensor:
        chosen = torch.randint(len(places), (n,), generator=source, device=device).cpu()
        return as_images(dataset["train"][places[chosen]].to(device))

    return sampler


def classes_of(dataset: Dataset, data_dir: Path) -> Tensor | None:
    """Find ten classes of the training images, (n,) in [0, 10), where they are known."""
    if reads_as_digits(dataset):
        return dataset.modes["train"] * 10 // dataset.n_modes
    if dataset.name == "cifar10":
        return torch.from_numpy(labelled_cifar10(data_dir)["train"][1][: len(dataset["train"])])
    return None


def calibrate(dataset: Dataset, settings: Settings, classes: Tensor | None, device: torch.device) -> pd.DataFrame:
    """Measure every corruption by every metric of the settings' evaluation.

    Returns:
        Columns family, corruption, metric, value, low, high; in the order of the corruptions.
    """
    rows: list[tuple[str, str, Row]] = []
    for corruption in tqdm([*corruptions(dataset, classes, device)], desc="calibrating", disable=None):
        subject = Subject(Scope(dataset, settings, "noise", device=device.type), corruption.sampler, device)
        rows += [(corruption.family, corruption.name, row) for row in chain.from_iterable(evaluate(subject, 0))]
    test = Subject(Scope(dataset, settings, "real", device=device.type), reference_sampler("real", dataset, device), device)
    rows += [("", "test images", row) for row in chain.from_iterable(evaluate(test, 0, [Diversity()]))]
    catalogue = catalogue_of(settings.evaluation)
    rows = [row for row in rows if row[2].metric in catalogue]
    values = [(family, name, row.metric, row.value, row.low, row.high) for family, name, row in rows if row.value is not None]
    return pd.DataFrame(values, columns=["family", "corruption", "metric", "value", "low", "high"])


def in_order(table: pd.DataFrame, catalogue: Mapping[str, MetricInfo] = METRICS) -> pd.DataFrame:
    """Judge whether each metric gets worse at every step of each family.

    Args:
        table: as `calibrate` gives it.
        catalogue: how its metrics are read, by name.

    Returns:
        Columns metric, family, verdict: "yes"; "within error" where some steps are no worse, but none is better by more than both
        values' intervals; else "no".
    """
    verdicts = []
    for metric, values in table.groupby("metric", sort=False):
        badness = _badness(values, catalogue[str(metric)].goal)
        error = ((values.high - values.low) / 2).fillna(0.0)
        for family in ("noise", "blur", "classes"):
            chosen = (values.corruption == "training images") | (values.family == family)
            if chosen.sum() > 1:
                steps = [*pairwise(zip(badness[chosen], error[chosen], strict=True))]
                worse = all(a < b for (a, _), (b, _) in steps)
                better = any(a - b > e + f for (a, e), (b, f) in steps)
                verdicts.append((metric, family, "yes" if worse else "no" if better else "within error"))
    return pd.DataFrame(verdicts, columns=["metric", "family", "verdict"])


def _badness(values: pd.DataFrame, goal: str) -> pd.Series:
    """Larger is worse; `match` is the distance from the test images' value."""
    if goal == "match":
        return (values.value - values.loc[values.corruption == "test images", "value"].iloc[0]).abs()
    return -values.value if goal == "maximize" else values.value


def as_markdown(table: pd.DataFrame, dataset: Dataset, evaluation: Evaluation) -> str:
    """Write the table for people: a row a corruption, a column a metric, and below it which orders hold."""
    metrics, catalogue = list(table.metric.unique()), catalogue_of(evaluation)
    cells = {(row.corruption, row.metric): _cell(row.value, row.low, row.high) for row in table.itertuples()}
    lines = [
        f"| {dataset.name} | " + " | ".join(f"{name} ({ARROWS[catalogue[name].goal]})" for name in metrics) + " |",
        "|---" * (len(metrics) + 1) + "|",
    ]
    lines += [
        f"| {corruption} | " + " | ".join(cells.get((corruption, name), "") for name in metrics) + " |"
        for corruption in table.corruption.unique()
    ]
    orders = in_order(table, catalogue)
    for family in orders.family.unique():
        verdicts = orders[orders.family == family].set_index("metric").verdict
        words = " | ".join(verdicts[name].replace("no", "**no**") for name in metrics)
        lines.append(f"| *worse with every step of {family}?* | {words} |")
    used = (
        f"critics of {evaluation.critic_steps} steps at {evaluation.critic_width:g} of the width, asked on "
        f"{evaluation.critic_images} images a side, {evaluation.diversity_groups} groups of 64 for diversity"
    )
    if "mode_kl" in metrics:
        used += f", {evaluation.mode_samples} samples for the modes"
    if "fid" in metrics:
        used += (
            f", {evaluation.inception_samples} images through the ImageNet network {evaluation.inception.sha256[:12]} "
            f"({evaluation.inception_width} features)"
        )
    if "cifar10_inception_score" in metrics:
        used += f", {evaluation.cifar10_samples} through the CIFAR-10 classifier {evaluation.cifar10.sha256[:12]}"
    return "\n".join(
        [*lines, "", f"Measured with {used}; ± half of the 95 % interval over redrawing; torch {torch.__version__}."]
    )


def _cell(value: float, low: float | None, high: float | None) -> str:
    """The value with half of its 95 % interval."""
    return f"{value:.4g}" if pd.isna(low) else f"{value:.4g} ± {(high - low) / 2:.1g}"  # type: ignore[operator]


def describe_classifier(evaluation: Evaluation, data_dir: Path) -> str:
    """Measure the CIFAR-10 classifier itself on the 10,000 test images, and say what came out."""
    classifier, digest = load_cifar10_classifier(Path(evaluation.cifar10.path), evaluation.cifar10.sha256)
    images, labels = (torch.from_numpy(array) for array in labelled_cifar10(data_dir)["test"])
    logits = classify(classifier, images)
    score, _ = inception_score(logits, 1)
    return (
        f"The CIFAR-10 classifier {digest[:12]} classifies {1 - error_rate(logits, labels):.2%} of the 10,000 test images right; "
        f"its Inception score of them, the ceiling, is {score:.3f} (one piece)."
    )
