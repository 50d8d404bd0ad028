"""The independent Wasserstein critic with its data: beside a training, or after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmark import networks
from benchmark.data.datasets import Dataset
from benchmark.evaluation.samplers import BATCH, Sampler, draw
from benchmark.model.graph import Repeated, Work, graphs_of
from benchmark.randomness import derive_seed, stream
from benchmark.records.rows import Row
from benchmark.settings import Settings
from metrics.critic import CriticNotReady, WassersteinCritic
from metrics.images import as_images

SEED = 0
"""Of every independent critic's initial weights and draws: the same for all generators, so that they meet the same critic."""


LEARNING_RATE, PENALTY_WEIGHT = 1e-4, 10.0


def protocol(settings: Settings, budget: int, schedule: str, device: str, every: int = 1, seed: int = SEED) -> dict[str, Any]:
    """How a critic of this budget is trained and asked; values of different protocols do not compare."""
    return {
        "schedule": schedule,
        "steps": budget,
        "steps_between_samples": every,
        "batch_size": settings.batch_size,
        "width": settings.evaluation.critic_width,
        "images": settings.evaluation.critic_images,
        "batch_norm_draws": settings.evaluation.batch_norm_draws,
        "penalty_weight": PENALTY_WEIGHT,
        "learning_rate": LEARNING_RATE,
        "seed": seed,
        "trained_on": "validation",
        "asked_on": "test",
        "device": device,
        "torch": torch.__version__,
    }


class CompanionCritic:
    """An independent critic with its data: takes steps against any generator it is shown, scores it on held-out images."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        budget: int,
        schedule: str,
        device: torch.device,
        every: int = 1,
        seed: int = SEED,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("critic", schedule, seed))
            network = networks.discriminator(dataset.image_shape, settings.evaluation.critic_width, batch_norm=False)
        self.dataset, self.settings, self.schedule, self.device, self.seed = dataset, settings, schedule, device, seed
        self.source = torch.Generator(device)
        self.validation = dataset["validation"].to(device)
        network.to(device).to(memory_format=torch.channels_last)
        self.critic = WassersteinCritic(network, budget, PENALTY_WEIGHT, LEARNING_RATE, self.source)
        self._loop: tuple[Sampler, Repeated] | None = None
        self.protocol = protocol(settings, budget, schedule, device.type, every, seed)

    def advance(self, sampler: Sampler, steps: int) -> None:
        """Take steps on validation images; every draw is a function of the step's number.

        On a GPU a step is captured as a graph, as long as the sampler is the same one.
        """
        if self._loop is None or self._loop[0] is not sampler:
            self._loop = sampler, self._make_loop(sampler)
        for _ in range(steps):
            self._loop[1]()
            self.critic.steps += 1

    def _make_loop(self, sampler: Sampler) -> Repeated:
        def begin() -> None:
            self.source.manual_seed(derive_seed("critic", self.schedule, self.seed, self.critic.steps))

        def update() -> None:
            size, pixels = self.settings.batch_size, self.validation
            chosen = torch.randint(len(pixels), (size,), generator=self.source, device=self.device)
            real = as_images(pixels[chosen])
            self.critic.update(real, sampler(size, self.source))

        state = self.critic.optimizer.state
        work = Work(begin, update, self.critic.parameters, [self.source], lambda: {"the critic's optimizer": [*state.values()]})
        return Repeated(work, graphs_of(self.device))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the critic's `state_dict()`."""
        self.critic.load_state_dict(state)
        self._loop = None  # the optimizer's tensors are other ones now

    def score(self, sampler: Sampler, iteration: int, metric: str) -> Row:
        """The critic's value on test images; not available before its budget."""
        fake, real = self._both_sides(sampler, "test", self.settings.evaluation.critic_images)
        try:
            result = self.critic.value(fake, real)
        except CriticNotReady as reason:
            return Row(iteration, metric, None, protocol={**self.protocol, "not_available": str(reason)})
        return Row(iteration, metric, result.value, *result.interval, result.n, self.protocol)

    def gap(self, iteration: int, metric: str) -> Row:
        """How much higher the critic scores its training images than test images; more than 0 where it overfits."""
        if self.critic.steps < self.critic.budget:
            reason = "the critic has not had its budget of steps"
            return Row(iteration, metric, None, protocol={**self.protocol, "not_available": reason})
        n = self.settings.evaluation.critic_images
        seen, unseen = (self.critic.scores(self._images(split, n)) for split in ("validation", "test"))
        error = 1.96 * math.sqrt(seen.var().item() / len(seen) + unseen.var().item() / len(unseen))
        value = (seen.mean() - unseen.mean()).item()
        return Row(iteration, metric, value, value - error, value + error, min(len(seen), len(unseen)), self.protocol)

    def curve(self, sampler: Sampler, iteration: int, images: int = 500) -> list[Row]:
        """The difference of mean scores on either held-out split: points of a learning curve, not scores (appendix E)."""
        rows = []
        for split in ("validation", "test"):
            fake, real = self._both_sides(sampler, split, images)
            value = (self.critic.scores(fake).mean() - self.critic.scores(real).mean()).item()
            protocol = {**self.protocol, "images": images}
            rows.append(
                Row(iteration, f"critic_curve/{split}", value, n=min(images, len(self.dataset[split])), protocol=protocol)
            )
        return rows

    def _both_sides(self, sampler: Sampler, split: str, n: int) -> tuple[Iterator[Tensor], Iterator[Tensor]]:
        n = min(n, len(self.dataset[split]))
        others = [self.seed] if self.seed != SEED else []
        return draw(sampler, n, stream("critic", "score", split, *others, device=self.device)), self._images(split, n)

    def _images(self, split: str, n: int) -> Iterator[Tensor]:
        return (as_images(some.to(self.device)) for some in self.dataset[split][:n].split(BATCH))
