"""Train the independent Wasserstein critic against a generator, beside its training or after it, and ask it for its values."""

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
from benchmark.settings import Settings
from metrics.critic import WassersteinCritic
from metrics.images import as_images
from metrics.values import Value

SEED = 0
"""Of every independent critic's initial weights and draws: the same for all generators, so that they meet the same critic."""
LEARNING_RATE, PENALTY_WEIGHT = 1e-4, 10.0
CURVE_IMAGES = 500
"""Images of a point of the learning curve, on each side."""


def protocol(settings: Settings, budget: int, schedule: str, device: str, every: int = 1, seed: int = SEED) -> dict[str, Any]:
    """Describe how a critic of this budget is trained and asked; values of different protocols do not compare."""
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
    """Train an independent critic against any generator it is shown, and let it score the generator on held-out images.

    Args:
        dataset: whose validation images it learns from, and whose test images it is asked about.
        settings: of the run: its batch size, and the critic's width and images.
        budget: training steps before it may be asked.
        schedule: "in training" or "post-hoc"; part of the protocol and of its random streams.
        device: where it is trained.
        every: iterations of the model between two generators that it meets.
        seed: of its weights and draws.
    """

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
        """Take training steps on validation images and samples; every draw is a function of the step's number.

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

    def values(self, sampler: Sampler, metric: str) -> list[Value]:
        """Measure the critic's value of a generator on test images, and its gap.

        The gap is how much higher the critic scores the validation images that it was trained on than test images: more than 0
        where it overfits. Both are in score units.

        Args:
            sampler: of the generator.
            metric: the value's name; the gap's is that and "_gap".

        Raises:
            CriticNotReady: before the critic's budget of steps: its value would be near 0, which looks perfect.
        """
        n = self.settings.evaluation.critic_images
        fake, real = self._both_sides(sampler, "test", n)
        result = self.critic.value(fake, real)
        return [Value(metric, result.value, *result.interval, result.n), self._gap(f"{metric}_gap", n)]

    def _gap(self, metric: str, n: int) -> Value:
        seen, unseen = (self.critic.scores(self._images(split, n)) for split in ("validation", "test"))
        error = 1.96 * math.sqrt(seen.var().item() / len(seen) + unseen.var().item() / len(unseen))
        value = (seen.mean() - unseen.mean()).item()
        return Value(metric, value, value - error, value + error, min(len(seen), len(unseen)))

    def curve(self, sampler: Sampler, images: int = CURVE_IMAGES) -> list[Value]:
        """Measure the difference of mean scores on either held-out split: points of a learning curve, not values (appendix E)."""
        values = []
        for split in ("validation", "test"):
            fake, real = self._both_sides(sampler, split, images)
            value = (self.critic.scores(fake).mean() - self.critic.scores(real).mean()).item()
            values.append(Value(f"critic_curve/{split}", value, n=min(images, len(self.dataset[split]))))
        return values

    @property
    def curve_protocol(self) -> dict[str, Any]:
        """Describe how the points of the learning curve are measured."""
        return {**self.protocol, "images": CURVE_IMAGES}

    def _both_sides(self, sampler: Sampler, split: str, n: int) -> tuple[Iterator[Tensor], Iterator[Tensor]]:
        n = min(n, len(self.dataset[split]))
        others = [self.seed] if self.seed != SEED else []
        return draw(sampler, n, stream("critic", "score", split, *others, device=self.device)), self._images(split, n)

    def _images(self, split: str, n: int) -> Iterator[Tensor]:
        return (as_images(pixels.to(self.device)) for pixels in self.dataset[split][:n].split(BATCH))
