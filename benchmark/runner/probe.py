"""Estimate how long a run takes: each model works for some seconds by the code that trains and measures, scaled up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytorch_lightning as pl
import torch
from tqdm import tqdm

from benchmark.data.datasets import Dataset
from benchmark.errors import UserError
from benchmark.evaluation.critics import CURVE_IMAGES, CompanionCritic
from benchmark.evaluation.evaluate import evaluate, reference_subject, subject_of
from benchmark.evaluation.measurements import (
    Cifar10Score,
    Codes,
    Diversity,
    ImageNetInception,
    Measurement,
    Modes,
    PostHocCritic,
    Reconstructions,
    Subject,
)
from benchmark.evaluation.samplers import Sampler, TrainingGenerator, evaluation_copy, reconstruction_copy
from benchmark.evaluation.study_metrics import measurements_of
from benchmark.model.gan_module import GANModule
from benchmark.model.train import CHUNK, train
from benchmark.studies.run import Run
from benchmark.trial.attempt import scope_of
from benchmark.trial.callbacks import CURVE_POINTS
from benchmark.trial.load import build_model

LONG_ENOUGH, LONG_ENOUGH_FOR_TRAINING = 0.2, 0.8
"""Seconds from which on a timing is believed; a shorter one is taken again, with more to do. Training is most of a run."""
FEW = 4
"""Images, steps or iterations that a timing begins with, after as many untimed ones."""
INCEPTION_SAMPLES = (4, 24)
"""Two numbers of images, for a line through both: a Fréchet distance takes seconds however few the images are."""

COUNTS: dict[type[Measurement], str] = {
    Modes: "mode_samples",
    PostHocCritic: "critic_images",
    Diversity: "diversity_groups",
    Cifar10Score: "cifar10_samples",
    Reconstructions: "reconstructions",
    Codes: "reconstructions",
}
"""The value of `Evaluation` to which a measurement's time is proportional, once the critic is trained. Others are timed whole."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one run."""

    iteration: float
    """One iteration of the model; 0 for a sanity row."""
    training: float
    critic: float
    """The critic beside the training, and its learning curves."""
    measuring: float

    @property
    def total(self) -> float:
        return self.training + self.critic + self.measuring


def probe(runs: Sequence[Run], dataset: Dataset, device: torch.device) -> dict[str, Cost]:
    """Estimate what a run of each model takes on this machine, by the model's first one among the runs. Nothing is kept.

    Timed are iterations, steps of the critic and every measurement, with small numbers, which are then scaled to the study's.
    The start of a process, its checkpoints and its pictures are left out.

    Raises:
        UserError: if a model cannot be built, trained or measured.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.model, run)
    inception, costs = 0.0, dict[str, Cost]()
    threads = torch.get_num_threads()
    try:
        for name, run in tqdm(first.items(), desc="probing", disable=None, leave=False, delay=1):
            torch.set_num_threads(run.settings.threads)
            timing = _Probe(run, dataset, device)
            inception = inception or timing.inception()  # its network takes nearly all of its time, whatever the model
            costs[name] = timing.cost(inception)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{name} failed in the probe: {type(error).__name__}: {error}") from error
    finally:
        torch.set_num_threads(threads)
    return costs


class _Probe:
    """The timing of one run."""

    def __init__(self, run: Run, dataset: Dataset, device: torch.device) -> None:
        self.run, self.dataset, self.device = run, dataset, device
        self.evaluation = run.settings.evaluation
        few = replace(self.evaluation, batch_norm_draws=min(self.evaluation.batch_norm_draws, 64), critic_steps=0, score_splits=1)
        self.settings = replace(run.settings, evaluation=few)
        self.scope = replace(scope_of(run, dataset, device.type), settings=self.settings)
        self.companion = CompanionCritic(dataset, self.settings, 0, "in training", device, every=CHUNK)

    def cost(self, inception: float) -> Cost:
        """Estimate the cost of the run, if the Inception metrics take so many seconds."""
        return self._cost_of_reference(inception) if self.run.is_reference else self._cost_of_model(inception)

    def inception(self) -> float:
        """Estimate the seconds that the Inception metrics of a sanity row take; 0 where there are none."""
        measurement = ImageNetInception()
        if not measurement.applies(self.scope) or measurement.unavailable(self.scope):
            return 0.0
        subject, (few, more) = reference_subject("noise", self.scope, self.device), INCEPTION_SAMPLES

        def seconds(n: int) -> float:
            self._measure(measurement, subject, inception_samples=n)  # the test images' features are computed once and kept
            return self._time(lambda: self._measure(measurement, subject, inception_samples=n))

        least, most = seconds(few), seconds(more)
        once = least + max(most - least, 0.0) / (more - few) * (self.evaluation.inception_samples - few)
        return 2 * once if self.evaluation.second_evaluation else once

    def _cost_of_reference(self, inception: float) -> Cost:
        subject = reference_subject(self.run.model, self.scope, self.device)
        step = self._critic_step(lambda: subject.sampler)
        return Cost(0, 0, self._critic_steps * step, sum(self._measuring(subject, step).values()) + inception)

    def _cost_of_model(self, inception: float) -> Cost:
        module = build_model(self.run).to(self.device)
        iteration = self._iteration(module)
        generator = TrainingGenerator(module)
        step = self._critic_step(lambda: generator.follow(module))
        copy = self._scaled(lambda n: evaluation_copy(module, n), self.evaluation.batch_norm_draws)
        both = copy + (self._reconstruction_copy(module) if self.scope.autoencoding else 0)
        subject = subject_of(module, self.scope, self.device)
        point = copy + self._scaled(lambda n: self.companion.curve(subject.sampler, n), CURVE_IMAGES)
        parts = self._measuring(subject, step)
        before = sum(parts[measurement] for measurement in parts if measurement is not None and measurement.at_start)
        return Cost(
            iteration=iteration,
            training=self.settings.iterations * iteration,
            critic=self._critic_steps * step + CURVE_POINTS // 2 * point,
            measuring=before + sum(parts.values()) + 2 * both + inception,
        )

    @property
    def _critic_steps(self) -> int:
        """Steps of the critic beside the training."""
        return self.settings.iterations - self.settings.iterations // 2

    def _iteration(self, module: GANModule) -> float:
        pixels = self.dataset["train"]
        untimed = CHUNK if self.device.type == "cuda" else 0  # there the first chunk captures a graph, once in a training

        def seconds(n: int) -> float:
            module.iteration = 0
            watch = _Stopwatch(self.device, untimed)
            train(module, pixels, untimed + n, self.settings.batch_size, [watch])
            return watch.seconds

        return _scaled(seconds, self.settings.iterations, LONG_ENOUGH_FOR_TRAINING) / self.settings.iterations

    def _critic_step(self, sampler: Callable[[], Sampler]) -> float:
        """One step of the critic, against a sampler that is brought up to date for every chunk."""

        def steps(n: int) -> None:
            for start in range(0, n, CHUNK):
                self.companion.advance(sampler(), min(CHUNK, n - start))

        return self._scaled(steps, self._critic_steps) / self._critic_steps

    def _reconstruction_copy(self, module: GANModule) -> float:
        return self._scaled(lambda n: reconstruction_copy(module, self.dataset["train"][:n]), self.evaluation.batch_norm_draws)

    def _measuring(self, subject: Subject, step: float) -> dict[Measurement | None, float]:
        """Seconds of each measurement but the Inception metrics; under None those that the critic of the training is asked."""
        parts: dict[Measurement | None, float] = {}
        for measurement in measurements_of(self.evaluation):
            if (
                measurement.taken(self.scope)
                and not measurement.unavailable(self.scope)
                and not isinstance(measurement, ImageNetInception)
            ):
                parts[measurement] = self._measurement(measurement, subject)
                if isinstance(measurement, PostHocCritic):
                    parts[None] = parts[measurement]
                    parts[measurement] += self.evaluation.critic_steps * step
        return parts

    def _measurement(self, measurement: Measurement, subject: Subject) -> float:
        name = COUNTS.get(type(measurement))
        if name is None:
            return self._time(lambda: self._measure(measurement, subject))
        return self._scaled(lambda n: self._measure(measurement, subject, **{name: n}), getattr(self.evaluation, name))

    def _measure(self, measurement: Measurement, subject: Subject, **counts: Any) -> None:
        settings = replace(self.settings, evaluation=replace(self.settings.evaluation, **counts))
        for _ in evaluate(replace(subject, scope=replace(self.scope, settings=settings)), 0, [measurement]):
            pass

    def _scaled(self, work: Callable[[int], object], full: int) -> float:
        return _scaled(lambda n: self._time(lambda: work(n)), full, LONG_ENOUGH)

    def _time(self, work: Callable[[], object]) -> float:
        start = now(self.device)
        work()
        return now(self.device) - start


def _scaled(seconds: Callable[[int], float], full: int, long_enough: float) -> float:
    """How long something takes `full` times, if it can be told how long it takes n times; the first answer is not believed."""
    n = min(FEW, full)
    seconds(n)
    while (measured := seconds(n)) < long_enough and n < full:
        n = min(math.ceil(n * min(1.2 * long_enough / measured, 10)) + 1, full)
    return measured * full / n


class _Stopwatch(pl.Callback):
    """The time from the start of a training, or the end of its first, untimed iterations, to the end of its last chunk."""

    def __init__(self, device: torch.device, untimed: int) -> None:
        self.device, self.untimed, self.begin, self.seconds = device, untimed, 0.0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin = now(self.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if cast(GANModule, pl_module).iteration <= self.untimed:
            self.begin = now(self.device)
        else:
            self.seconds = now(self.device) - self.begin


def now(device: torch.device) -> float:
    """Read the clock, in seconds, when the device has done all that it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
