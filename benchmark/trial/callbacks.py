"""Record losses, and train the independent critic, while a run trains: between chunks of iterations."""

from __future__ import annotations

import time
from typing import Any, cast

import pytorch_lightning as pl

from benchmark.errors import Diverged, UserError
from benchmark.evaluation.critics import CompanionCritic
from benchmark.evaluation.samplers import TrainingGenerator, generator_of
from benchmark.model.gan_module import GANModule
from benchmark.model.train import CHUNK, AfterChunk, is_due
from benchmark.records.rows import make_rows
from benchmark.records.run_folder import RunFolder
from benchmark.trial.attempt import Attempt
from metrics.values import Value

CURVE_POINTS = 10
"""How often losses and learning curves are recorded in a run."""


class Recorder(AfterChunk):
    """Record the loss terms, tell the progress, and stop a run whose losses are not finite."""

    def __init__(self, attempt: Attempt) -> None:
        self.records, self.iterations, self.watcher = attempt.records, attempt.run.settings.iterations, attempt.watcher
        self.run_folder, self.seconds, self.began = RunFolder(attempt.folder), attempt.seconds, time.monotonic()
        self.sums: dict[str, float] = {}
        self.chunks = 0
        self.rows: int | None = None
        """How many rows the checkpoint knows of, where there is one."""

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        iteration = pl_module.iteration
        for name, value in pl_module.take_mean_terms().items():
            if not abs(value) < float("inf"):
                raise Diverged(f"loss {name} is {value} by iteration {iteration}")
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.chunks += 1
        self.run_folder.advance(iteration)
        self.watcher.advanced(iteration)
        if is_due(iteration, self.iterations, CURVE_POINTS):
            means = [Value(f"loss/{name}", total / self.chunks) for name, total in self.sums.items()]
            self.records.append(make_rows(iteration, means, protocol={}))
            self.sums, self.chunks = {}, 0

    def state_dict(self) -> dict[str, Any]:
        training = self.seconds.get("training", 0.0) + time.monotonic() - self.began
        seconds = {**self.seconds, "training": training}
        return {"sums": self.sums, "chunks": self.chunks, "rows": len(self.records.read()), "seconds": seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums, self.chunks = state_dict["sums"], state_dict["chunks"]
        self.rows = state_dict["rows"]
        self.seconds.update(state_dict["seconds"])  # what earlier attempts took of them is part of the run's cost

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        is_trained = cast(GANModule, pl_module).iteration == self.iterations  # then the rows after it are its evaluation: kept
        if self.rows is not None and len(self.records.read()) < self.rows:
            raise UserError(f"{self.records.path} lacks rows of its checkpoint: remove that, and the run starts anew")
        if self.rows is not None and not is_trained:
            self.records.rewind(self.rows)


def in_training_companion(attempt: Attempt) -> CompanionCritic:
    """Make the critic of a training: it takes one step for each of the model's iterations in its second half."""
    settings = attempt.run.settings
    budget = settings.iterations - settings.iterations // 2
    return CompanionCritic(attempt.dataset, settings, budget, "in training", attempt.device, every=CHUNK)


class InTrainingCritic(AfterChunk):
    """Train the independent critic beside the model from half way on, and record its learning curves."""

    def __init__(self, attempt: Attempt) -> None:
        self.companion = in_training_companion(attempt)
        self.iterations = attempt.run.settings.iterations
        self.first_iteration = self.iterations // 2
        self.batch_norm_draws = attempt.run.settings.evaluation.batch_norm_draws
        self.attempt = attempt
        self.generator: TrainingGenerator | None = None
        self.is_too_late = False
        attempt.seconds["critic_in_training"] = 0.0

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        due = pl_module.iteration - self.first_iteration - self.companion.critic.steps
        if due <= 0 or self.is_too_late:
            return
        with self.attempt.timed("critic_in_training"):
            self.generator = self.generator or TrainingGenerator(pl_module)
            self.companion.advance(self.generator.follow(pl_module), due)
            if is_due(pl_module.iteration, self.iterations, CURVE_POINTS):
                points = self.companion.curve(generator_of(pl_module, self.batch_norm_draws))
                self.attempt.records.append(make_rows(pl_module.iteration, points, self.companion.curve_protocol))

    def state_dict(self) -> dict[str, Any]:
        return {"begin": self.first_iteration, "critic": self.companion.critic.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["begin"] == self.first_iteration:
            self.companion.load_state_dict(state_dict["critic"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A shorter run that is continued past the middle of a longer one: the generators that it should have met are gone.
        self.is_too_late = cast(GANModule, pl_module).iteration > self.first_iteration and not self.companion.critic.steps
