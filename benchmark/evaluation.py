"""How good is a generator? The metrics of a data set, measured on anything that can draw images, as rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache

import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from benchmark import networks
from benchmark.datasets import Dataset
from benchmark.errors import Diverged
from benchmark.gan_module import GANModule
from benchmark.randomness import derive_seed, stream
from benchmark.records import Row
from benchmark.study import Settings
from metrics.digits import RECOGNISED_AT, SHA256, load_digit_classifier, read_digits
from metrics.images import as_images
from metrics.modes import kl_standard_error, mode_coverage
from metrics.wasserstein import CriticNotReady, WassersteinCritic

Sampler = Callable[[int, torch.Generator], Tensor]
"""n and a random stream to n images (n, c, h, w) in [-1, 1], without gradients."""

CRITIC_SEED = 0
"""Of every independent critic's initial weights and draws: the same for all generators, so that they meet the same critic."""

BATCH = 500
"""Images that are evaluated at once; no value depends on it beyond rounding."""


def evaluate(sampler: Sampler, dataset: Dataset, settings: Settings, iteration: int, device: torch.device) -> list[Row]:
    """Every metric of the data set for one generator. Draws from streams of its own: the same for every model and run."""
    return [
        *(evaluate_modes(sampler, settings, iteration, device) if dataset.n_modes else []),
        *post_hoc_critic(sampler, dataset, settings, iteration, device),
    ]


def evaluate_modes(sampler: Sampler, settings: Settings, iteration: int, device: torch.device) -> list[Row]:
    """ColorMNIST's modes, and the share of samples in which three digits are recognised at all."""
    classifier = _digit_classifier(str(device))
    source = stream("evaluation", "modes", device=device)
    read = [read_digits(classifier, images) for images in draw(sampler, settings.samples, source)]
    modes = torch.cat([digits.modes for digits in read]).cpu()
    recognised = torch.cat([digits.recognised for digits in read]).cpu()
    n = len(modes)
    protocol = {"classifier": SHA256[:12], "samples": n, "batch_norm_draws": settings.calibration}
    sure = {**protocol, "recognised_at": RECOGNISED_AT}
    covered, kl = mode_coverage(modes)
    kl_error = 1.96 * kl_standard_error(modes)
    share = recognised.double().mean().item()
    low, high = binomtest(int(recognised.sum()), n).proportion_ci(method="wilson")
    return [
        Row(iteration, "mode_kl", kl, kl - kl_error, kl + kl_error, n, protocol),
        Row(iteration, "modes_covered", float(covered), None, None, n, protocol),
        Row(iteration, "recognised_share", share, low, high, n, sure),
        Row(iteration, "recognised_modes", float(len(modes[recognised].unique())), None, None, n, sure),
    ]


def post_hoc_critic(sampler: Sampler, dataset: Dataset, settings: Settings, iteration: int, device: torch.device) -> list[Row]:
    """A fresh critic, trained on validation images against this generator alone, judged on test images."""
    companion = CompanionCritic(dataset, settings, settings.critic_steps, "post-hoc", device)
    companion.advance(sampler, settings.critic_steps)
    return [companion.score(sampler, iteration, "critic")]


class CompanionCritic:
    """An independent critic with its data: takes steps against any generator it is shown, scores it on held-out images."""

    def __init__(
        self, dataset: Dataset, settings: Settings, budget: int, schedule: str, device: torch.device, every: int = 1
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("critic", schedule, CRITIC_SEED))
            network = networks.discriminator(dataset.image_shape, settings.critic_width, batch_norm=False)
        self.dataset, self.settings, self.schedule, self.device = dataset, settings, schedule, device
        self.source = torch.Generator(device)
        self.validation = dataset["validation"].to(device)
        network.to(device).to(memory_format=torch.channels_last)
        self.critic = WassersteinCritic(network, budget, generator=self.source)
        self.protocol = {
            "schedule": schedule,
            "steps": budget,
            "steps_between_samples": every,
            "batch_size": settings.batch_size,
            "width": settings.critic_width,
            "images": settings.critic_images,
            "batch_norm_draws": settings.calibration,
            "penalty_weight": self.critic.penalty_weight,
            "learning_rate": self.critic.optimizer.defaults["lr"],
            "seed": CRITIC_SEED,
        }

    def advance(self, sampler: Sampler, steps: int) -> None:
        """Take steps on validation images; every draw is a function of the step's number."""
        pixels = self.validation
        for _ in range(steps):
            self.source.manual_seed(derive_seed("critic", self.schedule, CRITIC_SEED, self.critic.steps))
            size = self.settings.batch_size
            chosen = torch.randint(len(pixels), (size,), generator=self.source, device=self.device)
            real = as_images(pixels[chosen])
            self.critic.step(real, sampler(size, self.source))

    def score(self, sampler: Sampler, iteration: int, metric: str) -> Row:
        """The critic's value on test images; not available before its budget."""
        fake, real = self._both_sides(sampler, "test", self.settings.critic_images)
        try:
            result = self.critic.value(fake, real)
        except CriticNotReady as reason:
            return Row(iteration, metric, None, protocol={**self.protocol, "not_available": str(reason)})
        return Row(iteration, metric, result.value, *result.interval, result.n, self.protocol)

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
        pixels = self.dataset[split][:n]
        real = (as_images(some.to(self.device)) for some in pixels.split(BATCH))
        return draw(sampler, len(pixels), stream("critic", "score", split, device=self.device)), real


def draw(sampler: Sampler, n: int, source: torch.Generator) -> Iterator[Tensor]:
    """Draw n images, batch by batch."""
    for start in range(0, n, BATCH):
        yield sampler(min(BATCH, n - start), source)


def reference_sampler(name: str, dataset: Dataset, device: torch.device) -> Sampler:
    """A sanity row's generator: "real" draws training images, "noise" uniform noise in [-1, 1]."""
    pixels = dataset["train"].to(device)

    def real(n: int, source: torch.Generator) -> Tensor:
        chosen = torch.randint(len(pixels), (n,), generator=source, device=device)
        return as_images(pixels[chosen])

    def noise(n: int, source: torch.Generator) -> Tensor:
        return torch.rand(n, *dataset.image_shape, generator=source, device=device) * 2 - 1

    return {"real": real, "noise": noise}[name]


def evaluation_copy(module: GANModule, draws: int) -> GANModule:
    """A copy in eval mode whose generator's batch-norm statistics come from prior draws, not from moving averages.

    Moving averages blend reconstructions and samples, in autoencoding models only; so every model's are computed anew from the
    same number of draws. Networks that sampling does not pass through keep theirs.
    """
    twin = copy.deepcopy(module)
    norms = [layer for layer in twin.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    before = {layer: {name: buffer.clone() for name, buffer in layer.named_buffers()} for layer in norms}
    twin.eval()
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative average over all batches
        layer.train()
    with torch.no_grad():
        for _ in draw(twin.sample, draws, stream("evaluation", "batch norm", device=twin.device)):
            pass
    for layer in norms:
        if layer.num_batches_tracked == 0:
            for name, buffer in layer.named_buffers():
                buffer.copy_(before[layer][name])
    return twin.eval().requires_grad_(False)


def generator_of(module: GANModule, draws: int) -> Sampler:
    """The sampler that is evaluated: that of an evaluation copy."""
    return sampler_of(evaluation_copy(module, draws))


def sampler_of(twin: GANModule) -> Sampler:
    """The sampler of an evaluation copy, without gradients; a `Diverged` is raised for samples that are not finite."""

    def sampler(n: int, source: torch.Generator) -> Tensor:
        with torch.no_grad():
            images = twin.sample(n, source)
        if not images.isfinite().all():
            raise Diverged("samples are not finite")
        return images

    return sampler


def training_generator(module: GANModule) -> Sampler:
    """The generator of the moment for the critic beside a training: a copy in eval mode, batch norm going by the batch.

    A copy, so that nothing of the training moves; batch statistics, because calibrating anew every few iterations would cost more
    than the training.
    """
    twin = copy.deepcopy(module).eval().requires_grad_(False)
    for layer in twin.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.train()

    def sampler(n: int, source: torch.Generator) -> Tensor:
        with torch.no_grad():
            return twin.sample(n, source)

    return sampler


@cache
def _digit_classifier(device: str) -> nn.Module:
    return load_digit_classifier().to(device)
