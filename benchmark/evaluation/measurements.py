"""Measure a generator: what a measurement is, and the built-in ones with what they apply to and by which protocol."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmark.data.cache import root
from benchmark.data.datasets import Dataset
from benchmark.evaluation import critics
from benchmark.evaluation.samplers import BATCH, Sampler, draw, reference_sampler
from benchmark.files import write_atomically
from benchmark.randomness import stream
from benchmark.settings import Evaluation, Settings
from metrics.catalogue import INCEPTION_METRICS, MODE_METRICS, SECOND, MetricInfo
from metrics.evaluators.cifar import load_cifar10_classifier
from metrics.evaluators.digits import RECOGNISED_AT, SHA256, load_digit_classifier, read_digits
from metrics.evaluators.inception import InceptionNetwork, InceptionOutput, cached_output
from metrics.frechet import moments
from metrics.images import as_images
from metrics.reconstruction import reconstruction_errors
from metrics.values import (
    GROUP,
    KID_SEED,
    KID_SUBSETS,
    MANIFOLD,
    NEIGHBOURS,
    Value,
    code_values,
    diversity_value,
    inception_values,
    kid_subset,
    mode_values,
    reconstruction_values,
    score_value,
)

STACKED_MODES = 1000
"""Of three digits as the channels of one image (Metz et al. 2016)."""
NOISE_LEVELS = (0.05, 0.1, 0.2)
"""Standard deviations of the normal noise that is added to test images in [-1, 1] (the paper's baseline of diversity)."""


@dataclass(frozen=True)
class Scope:
    """Hold what is known of a run before anything of it is computed: it decides which measurements apply, by which protocol."""

    dataset: Dataset
    settings: Settings
    reference: str = ""
    """The name of the sanity row, if it is one."""
    autoencoding: bool = False
    device: str = "cpu"
    """The type of device that measures: random streams and rounding are its own."""

    @property
    def evaluation(self) -> Evaluation:
        """How it is measured."""
        return self.settings.evaluation


@dataclass(frozen=True)
class Subject:
    """Hold a generator that is to be measured, and draw from it."""

    scope: Scope
    sampler: Sampler
    device: torch.device
    autoencoder: Any = None
    """With the batch-norm statistics of reconstructions; an `Autoencoder`, where the model is one."""
    folder: Path | None = None
    """Where arrays go that are no rows."""

    def draw(self, n: int, purpose: str) -> Iterator[Tensor]:
        """Draw n samples in batches, from a random stream that is the same for every subject."""
        return draw(self.sampler, n, stream("evaluation", purpose, device=self.device))

    def pixels(self, split: str, n: int) -> Iterator[Tensor]:
        """Give the first n images of a split, (n, c, h, w) in [-1, 1], in batches on the device."""
        return (as_images(pixels.to(self.device)) for pixels in self.scope.dataset[split][:n].split(BATCH))


class Measurement(ABC):
    """Measure metrics that are taken together. A user's own is a subclass with `catalogue`, `details` and `values`.

    Args:
        second: whether this is the second evaluation of a finished run, on other samples and by another critic: the best runs are
            chosen by the first and reported by the second, or the choice would flatter them.
    """

    metrics: ClassVar[tuple[str, ...]]
    """Names of the metrics. Further values, such as lines beside a metric, may have names of their own."""
    catalogue: ClassVar[tuple[MetricInfo, ...]] = ()
    """How a user's own metrics are read, whose names are then `metrics`; the built-in ones stand in `metrics.catalogue`."""
    version = 1
    """Raised whenever the same samples give other numbers."""
    before_training = True
    """Whether a generator is measured before its training, too."""
    without_value = "its measurement gave no value"
    """Why a metric is unavailable that gets no value without an error."""

    def __init__(self, second: bool = False) -> None:
        self.second = second

    def __init_subclass__(cls) -> None:
        if "catalogue" in vars(cls):
            cls.metrics = tuple(metric.name for metric in cls.catalogue)

    @property
    def at_start(self) -> bool:
        return self.before_training and not self.second

    def taken(self, scope: Scope) -> bool:
        """Tell whether it is asked for and means something for such a run."""
        return (scope.evaluation.second_evaluation or not self.second) and self.applies(scope)

    def again(self, purpose: str) -> str:
        """Name a random stream: another one in the second evaluation."""
        return f"{purpose}, {SECOND}" if self.second else purpose

    def applies(self, scope: Scope) -> bool:
        """Tell whether the metrics mean something for such a run."""
        return True

    def unavailable(self, scope: Scope) -> str:
        """Say why the metrics cannot be measured here; empty if they can."""
        return ""

    def protocol(self, scope: Scope) -> dict[str, Any]:
        """Describe everything that decides about the number, beside the model; values of other protocols do not compare."""
        which = {"evaluation": SECOND} if self.second else {}
        common = {"device": scope.device, "torch": torch.__version__, "version": self.version}
        return {**self._own(scope), **self.details(scope), **which, **common}

    def _own(self, scope: Scope) -> dict[str, Any]:
        """What decides about a user's metrics, whose details need not say it: which class, and its generator's batch norm."""
        if not self.catalogue:
            return {}
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return {"measurement": path, "batch_norm_draws": scope.evaluation.batch_norm_draws}

    @abstractmethod
    def details(self, scope: Scope) -> dict[str, Any]:
        """Say what this measurement adds to the protocol, as JSON holds it: numbers of samples, parameters, hashes of weights."""

    @abstractmethod
    def values(self, subject: Subject) -> Iterator[Value]:
        """Measure a generator: yields a value for each of `metrics`; a metric that gets none is unavailable.

        Samples are `subject.draw(n, self.again("a name"))`, images (n, c, h, w) in [-1, 1] batch by batch.
        """


def reads_as_digits(dataset: Dataset) -> bool:
    """Tell whether the images are three stacked digits, whose modes the digit classifier reads; other known modes it cannot."""
    return dataset.n_modes == STACKED_MODES and dataset.image_shape == (3, 28, 28)


class Modes(Measurement):
    """Count ColorMNIST's modes, and the share of samples in which three digits are recognised at all."""

    metrics = MODE_METRICS

    def applies(self, scope: Scope) -> bool:
        return reads_as_digits(scope.dataset)

    def details(self, scope: Scope) -> dict[str, Any]:
        return {
            "classifier": SHA256[:12],
            "samples": scope.evaluation.mode_samples,
            "recognised_at": RECOGNISED_AT,
            "batch_norm_draws": scope.evaluation.batch_norm_draws,
        }

    def values(self, subject: Subject) -> Iterator[Value]:
        classifier = _digit_classifier(str(subject.device))
        read = [
            read_digits(classifier, images) for images in subject.draw(subject.scope.evaluation.mode_samples, self.again("modes"))
        ]
        modes = torch.cat([digits.modes for digits in read]).cpu()
        recognised = torch.cat([digits.recognised for digits in read]).cpu()
        yield from mode_values(modes, recognised)


class PostHocCritic(Measurement):
    """Ask a fresh critic, trained on validation images against this generator alone, about test images."""

    metrics = ("critic", "critic_gap")

    def details(self, scope: Scope) -> dict[str, Any]:
        return critics.protocol(scope.settings, scope.evaluation.critic_steps, "post-hoc", scope.device, seed=int(self.second))

    def values(self, subject: Subject) -> Iterator[Value]:
        scope = subject.scope
        companion = critics.CompanionCritic(
            scope.dataset, scope.settings, scope.evaluation.critic_steps, "post-hoc", subject.device, seed=int(self.second)
        )
        companion.advance(subject.sampler, scope.evaluation.critic_steps)
        yield from companion.values(subject.sampler, "critic")


class Diversity(Measurement):
    """Measure diversity, 1 - MS-SSIM of pairs. The real row is that of test images, with the paper's noise baseline beside it."""

    metrics = ("sample_diversity",)

    def details(self, scope: Scope) -> dict[str, Any]:
        return {
            "groups": scope.evaluation.diversity_groups,
            "group": GROUP,
            "window": 11,
            "sigma": 1.5,
            "scales": 5,
            "reference_split": "test",
            "noise_levels": NOISE_LEVELS,
            "batch_norm_draws": scope.evaluation.batch_norm_draws,
        }

    def values(self, subject: Subject) -> Iterator[Value]:
        n = subject.scope.evaluation.diversity_groups * GROUP
        if subject.scope.reference != "real":
            yield diversity_value(torch.cat(list(subject.draw(n, self.again("diversity")))))
            return
        sampler = reference_sampler("real", subject.scope.dataset, subject.device, "test")
        images = torch.cat(list(draw(sampler, n, stream("evaluation", self.again("diversity"), device=subject.device))))
        yield diversity_value(images)
        source = stream("evaluation", self.again("noise"), device=subject.device)
        noise = torch.randn(images.shape, generator=source, device=subject.device)
        for level in NOISE_LEVELS:
            yield diversity_value((images + level * noise).clamp(-1, 1), f"sample_diversity/noise {level:g}")


class ImageNetInception(Measurement):
    """Measure Inception score, FID, KID, precision and recall by one pass of the network over the samples."""

    metrics = INCEPTION_METRICS
    before_training = False
    without_value = "the network that was given lacks the layers for it"

    def applies(self, scope: Scope) -> bool:
        return not reads_as_digits(scope.dataset)  # stacked digits are nothing that the network has learned of

    def unavailable(self, scope: Scope) -> str:
        if not scope.evaluation.inception_samples:
            return "it takes a second of a core for twelve images; ask for it with --inception-samples N"
        return scope.evaluation.inception.missing

    def details(self, scope: Scope) -> dict[str, Any]:
        evaluation = scope.evaluation
        return {
            "network": "inception-2015-12-05",
            "weights": evaluation.inception.sha256[:12],
            "features": evaluation.inception_width,
            "samples": evaluation.inception_samples,
            "splits": evaluation.score_splits,
            "reference": f"{_reference_size(scope)} test images",
            "resize": "bilinear to 299, as TensorFlow 1",
            "kid_subsets": KID_SUBSETS,
            "kid_seed": KID_SEED,
            "kid_subset": kid_subset(evaluation.inception_samples, _reference_size(scope)),
            "neighbours": NEIGHBOURS,
            "manifold": MANIFOLD,
            "batch_norm_draws": evaluation.batch_norm_draws,
            "torch-fidelity": version("torch-fidelity"),
        }

    def values(self, subject: Subject) -> Iterator[Value]:
        evaluation = subject.scope.evaluation
        network = _inception(
            evaluation.inception.path, evaluation.inception.sha256, evaluation.inception_width, str(subject.device)
        )
        fake = network.over(subject.draw(evaluation.inception_samples, self.again("inception")))
        yield from inception_values(fake, _real_output(network, subject), evaluation.score_splits)


class Cifar10Score(Measurement):
    """Measure the Inception score by the CIFAR-10 classifier."""

    metrics = ("cifar10_inception_score",)
    before_training = False

    def applies(self, scope: Scope) -> bool:
        return scope.dataset.name == "cifar10"

    def unavailable(self, scope: Scope) -> str:
        return (
            scope.evaluation.cifar10.missing
            if scope.evaluation.cifar10_samples
            else "no samples are asked for: --cifar10-samples N"
        )

    def details(self, scope: Scope) -> dict[str, Any]:
        return {
            "network": "cifar10-vgg",
            "weights": scope.evaluation.cifar10.sha256[:12],
            "samples": scope.evaluation.cifar10_samples,
            "splits": scope.evaluation.score_splits,
            "batch_norm_draws": scope.evaluation.batch_norm_draws,
        }

    def values(self, subject: Subject) -> Iterator[Value]:
        evaluation = subject.scope.evaluation
        classifier = _cifar10_classifier(evaluation.cifar10.path, evaluation.cifar10.sha256, str(subject.device))
        with torch.no_grad():
            logits = torch.cat(
                [classifier(images).float().cpu() for images in subject.draw(evaluation.cifar10_samples, self.again("cifar10"))]
            )
        yield score_value(self.metrics[0], logits, evaluation.score_splits)


class _OfImages(Measurement):
    """Measure what an autoencoding model makes of images that it never saw: test images, then validation images."""

    @property
    def split(self) -> str:
        return "validation" if self.second else "test"

    def applies(self, scope: Scope) -> bool:
        return scope.autoencoding

    def details(self, scope: Scope) -> dict[str, Any]:
        return {
            "images": min(scope.evaluation.reconstructions, len(scope.dataset[self.split])),
            "split": self.split,
            "batch_norm_reconstructions": scope.evaluation.batch_norm_draws,
        }

    def images(self, subject: Subject) -> Iterator[Tensor]:
        return subject.pixels(self.split, subject.scope.evaluation.reconstructions)


class Reconstructions(_OfImages):
    """Measure how well images are reconstructed."""

    metrics = ("reconstruction_l1", "reconstruction_mse", "reconstruction_ms_ssim")

    def values(self, subject: Subject) -> Iterator[Value]:
        model, errors_of_images = subject.autoencoder, []
        for images in self.images(subject):
            with torch.no_grad():
                errors = reconstruction_errors(images, model.reconstruct(images))
            errors_of_images.append(torch.stack([errors.l1, errors.mse, errors.ms_ssim]).cpu())
        l1, mse, ms_ssim = torch.cat(errors_of_images, dim=1)
        yield from reconstruction_values({"l1": l1, "mse": mse, "ms_ssim": ms_ssim})


class Codes(_OfImages):
    """Measure how far the codes of images are from the prior (Rosca et al. 2017, appendix D)."""

    metrics = ("code_mean", "code_correlation", "code_distance")

    def values(self, subject: Subject) -> Iterator[Value]:
        model = subject.autoencoder
        with torch.no_grad():
            codes = torch.cat([model.encode(images).double().cpu() for images in self.images(subject)])
            source = stream("evaluation", self.again("codes"), device=subject.device)
            prior = model.prior(len(codes), source).double().cpu()
        yield from code_values(codes, prior)
        if subject.folder is not None and not self.second:
            fitted, buffer = moments(codes), io.BytesIO()
            np.savez_compressed(buffer, mean=fitted.mean.numpy(), covariance=fitted.covariance.numpy())
            write_atomically(subject.folder / "codes.npz", buffer.getvalue())


BUILT_IN: tuple[type[Measurement], ...] = (
    Modes,
    PostHocCritic,
    Diversity,
    ImageNetInception,
    Cifar10Score,
    Reconstructions,
    Codes,
)


def _reference_size(scope: Scope) -> int:
    return min(scope.evaluation.inception_samples, len(scope.dataset["test"]))


def _real_output(network: InceptionNetwork, subject: Subject) -> InceptionOutput:
    """The network's output for the first test images, from the cache."""
    n = _reference_size(subject.scope)
    name = f"{subject.scope.dataset.fingerprint} test {n}"
    return cached_output(root() / "features", network, name, subject.pixels("test", n))


@cache
def _digit_classifier(device: str) -> torch.nn.Module:
    return load_digit_classifier().to(device)


@cache
def _cifar10_classifier(path: str, sha256: str, device: str) -> torch.nn.Module:
    return load_cifar10_classifier(Path(path), sha256)[0].to(device)


@cache
def _inception(path: str, sha256: str, width: int, device: str) -> InceptionNetwork:
    return InceptionNetwork.load(Path(path), sha256, width, device)
