"""Record losses and the critic beside the training, between chunks of iterations."""

from __future__ import annotations

import time
from typing import Any, cast

import pytorch_lightning as pl

from benchmark.errors import Diverged, UserError
from benchmark.evaluation.critics import CompanionCritic
from benchmark.evaluation.samplers import TrainingGenerator, generator_of
from benchmark.model.gan_module import GANModule
from benchmark.model.train import CHUNK, _AfterChunk, _is_due
from benchmark.records.rows import make_rows
from benchmark.records.run_folder import RunFolder
from benchmark.trial.attempt import Attempt, _timed
from metrics.values import Value

CURVE_POINTS = 10
"""How often losses and learning curves are recorded in a run."""


class Recorder(_AfterChunk):
    """Records the loss terms, tells the progress, and stops a run whose losses are not finite."""

    def __init__(self, attempt: Attempt) -> None:
        self.records, self.iterations, self.watcher = attempt.records, attempt.run.settings.iterations, attempt.watcher
        self.ledger, self.seconds, self.began = RunFolder(attempt.folder), attempt.seconds, time.monotonic()
        self.sums: dict[str, float] = {}
        self.chunks = 0
        self.rows: int | None = None

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        iteration = pl_module.iteration
        for name, value in pl_module.take_mean_terms().items():
            if not abs(value) < float("inf"):
                raise Diverged(f"loss {name} is {value} by iteration {iteration}")
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.chunks += 1
        self.ledger.advance(iteration)
        self.watcher.advanced(iteration)
        if _is_due(iteration, self.iterations, CURVE_POINTS):
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
        trained = cast(GANModule, pl_module).iteration == self.iterations  # then what came after is its evaluation, and is kept
        if self.rows is not None and len(self.records.read()) < self.rows:
            raise UserError(f"{self.records.path} lacks rows of its checkpoint: remove that, and the run starts anew")
        if self.rows is not None and not trained:
            self.records.rewind(self.rows)


def in_training_companion(attempt: Attempt) -> CompanionCritic:
    """The critic of a training: one step for each of the model's iterations in its second half."""
    settings = attempt.run.settings
    budget = settings.iterations - settings.iterations // 2
    return CompanionCritic(attempt.dataset, settings, budget, "in training", attempt.device, every=CHUNK)


class InTrainingCritic(_AfterChunk):
    """Trains the independent critic beside the model from half way on, and records its learning curves."""

    def __init__(self, attempt: Attempt) -> None:
        self.companion = in_training_companion(attempt)
        self.iterations = attempt.run.settings.iterations
        self.begin = self.iterations // 2
        self.batch_norm_draws = attempt.run.settings.evaluation.batch_norm_draws
        self.records, self.seconds = attempt.records, attempt.seconds
        self.generator: TrainingGenerator | None = None
        self.missed_its_begin = False
        attempt.seconds["critic_in_training"] = 0.0

    def after_chunk(self, trainer: pl.Trainer, pl_module: GANModule) -> None:
        due = pl_module.iteration - self.begin - self.companion.critic.steps
        if due <= 0 or self.missed_its_begin:
            return
        with _timed(self.seconds, "critic_in_training"):
            self.generator = self.generator or TrainingGenerator(pl_module)
            self.companion.advance(self.generator.follow(pl_module), due)
            if _is_due(pl_module.iteration, self.iterations, CURVE_POINTS):
                points = self.companion.curve(generator_of(pl_module, self.batch_norm_draws))
                self.records.append(make_rows(pl_module.iteration, points, self.companion.curve_protocol))

    def state_dict(self) -> dict[str, Any]:
        return {"begin": self.begin, "critic": self.companion.critic.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["begin"] == self.begin:
            self.companion.load_state_dict(state_dict["critic"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A shorter run that is continued past the middle of a longer one: the generators that it should have met are gone.
        self.missed_its_begin = cast(GANModule, pl_module).iteration > self.begin and not self.companion.critic.steps
