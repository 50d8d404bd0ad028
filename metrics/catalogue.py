"""List every metric: its title, which way is better, its unit, what to know before believing it. No other table says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Goal = Literal["maximize", "minimize", "match"]
Kind = Literal["samples", "autoencoder"]


@dataclass(frozen=True)
class MetricInfo:
    """Say how a metric is read."""

    name: str
    """As records have it: letters, digits and underscores."""
    title: str
    goal: Goal
    """maximize, minimize, or match (nearest to the value of held-out images)."""
    unit: str
    caution: str = ""
    """What to know before believing it, in a sentence."""
    headline: bool = False
    """Whether a study is judged by it: the metrics of the paper, and one of each further kind."""
    figure: str = ""
    """The figure of Rosca et al. 2017 that shows it, in words."""
    kind: Kind = "samples"
    """What it is about: samples, which every model has, or reconstructions and codes, which need an encoder."""

    @property
    def direction(self) -> str:
        """The goal in words."""
        return {"maximize": "higher is better", "minimize": "lower is better", "match": "nearest to real is better"}[self.goal]

    @property
    def problem(self) -> str:
        """What is wrong with it, in words; empty if nothing is. For metrics that are not in this file."""
        if not (isinstance(self.name, str) and re.fullmatch(r"[A-Za-z]\w*", self.name, re.ASCII)):
            return f"the name {self.name!r} is no word of letters, digits and underscores"
        if self.name in METRICS or self.name.startswith(NOT_SCORES):
            return f"the name {self.name!r} is taken"
        for field, choices in (("goal", get_args(Goal)), ("kind", get_args(Kind)), ("headline", (True, False))):
            if getattr(self, field) not in choices:
                return f"the {field} of {self.name!r} is {getattr(self, field)!r}; known are {', '.join(map(str, choices))}"
        for field in ("title", "unit", "caution", "figure"):
            if not isinstance(getattr(self, field), str):
                return f"the {field} of {self.name!r} is no text"
        return "" if self.title else f"{self.name!r} has no title"


SECOND = "second"
"""What the protocol of the second evaluation of a finished run says under "evaluation"."""
INCEPTION_METRICS = ("inception_score", "fid", "kid", "precision", "recall")
"""What one pass of the ImageNet network gives together."""
MODE_METRICS = ("mode_kl", "modes_covered", "recognised_share", "recognised_modes")
"""What one pass of the digit classifier gives together."""
NOT_SCORES = ("loss/", "critic_curve/", "sample_diversity/noise ", "critic_gap", "critic_in_training_gap")
"""How the names of rows begin that are curves or companions of metrics, and no metrics."""

ANSWERS_FOR_ANYTHING = "The classifier names a digit in anything, noise too: read this beside the share of recognised samples."
DISTANCE = "E[f(samples)] − E[f(test images)]"
SAMPLE_SIZE = "Depends on the number of samples: compare at equal numbers only."
LATENTS = "A larger latent size reconstructs better: compare at equal sizes."
IN_PRIOR_UNITS = "prior's standard deviations"


def by_name(metrics: Iterable[MetricInfo]) -> dict[str, MetricInfo]:
    """Index metrics by their names, in order."""
    return {metric.name: metric for metric in metrics}


METRICS = by_name(
    (
        MetricInfo(
            "critic",
            "Independent Wasserstein critic, trained after the run",
            "maximize",
            DISTANCE,
            headline=True,
            figure="Figure 2 of the paper, with a critic that is trained after the run",
        ),
        MetricInfo(
            "critic_in_training",
            "Independent Wasserstein critic, trained beside the run",
            "maximize",
            DISTANCE,
            figure="Figure 2 of the paper",
        ),
        MetricInfo(
            "sample_diversity",
            "Sample diversity, 1 − MS-SSIM of pairs",
            "match",
            "1 − mean MS-SSIM",
            "Noise raises it too: more than the test images' own value is no better than less.",
            headline=True,
            figure="Figure 5 (a) of the paper",
        ),
        MetricInfo(
            "inception_score",
            "Inception score, ImageNet network",
            "maximize",
            "exp of nats",
            SAMPLE_SIZE,
            headline=True,
            figure="Figure 5 (b) of the paper",
        ),
        MetricInfo(
            "cifar10_inception_score",
            "Inception score, CIFAR-10 network",
            "maximize",
            "exp of nats",
            SAMPLE_SIZE,
            headline=True,
            figure="Figure 5 (c) of the paper",
        ),
        MetricInfo("fid", "Fréchet Inception distance", "minimize", "squared feature units", SAMPLE_SIZE, headline=True),
        MetricInfo("kid", "Kernel Inception distance", "minimize", "squared MMD"),
        MetricInfo("precision", "Precision: samples among the test images", "maximize", "share of samples", SAMPLE_SIZE),
        MetricInfo("recall", "Recall: test images among the samples", "maximize", "share of test images", SAMPLE_SIZE),
        MetricInfo("mode_kl", "KL divergence of the modes to uniform", "minimize", "nats", ANSWERS_FOR_ANYTHING, headline=True),
        MetricInfo("modes_covered", "Modes with at least one sample", "maximize", "modes of 1000", ANSWERS_FOR_ANYTHING),
        MetricInfo("recognised_share", "Samples whose three digits are all recognised", "maximize", "share of samples"),
        MetricInfo("recognised_modes", "Modes among the recognised samples", "maximize", "modes of 1000"),
        MetricInfo(
            "reconstruction_l1",
            "Reconstruction error, absolute",
            "minimize",
            "mean |x − x̂|, of a range of 2",
            LATENTS,
            headline=True,
            kind="autoencoder",
        ),
        MetricInfo(
            "reconstruction_mse", "Reconstruction error, squared", "minimize", "mean (x − x̂)²", LATENTS, kind="autoencoder"
        ),
        MetricInfo(
            "reconstruction_ms_ssim",
            "Similarity of reconstructions to their images",
            "maximize",
            "MS-SSIM",
            LATENTS,
            kind="autoencoder",
        ),
        MetricInfo("code_mean", "Mean code: distance from the prior's mean", "minimize", IN_PRIOR_UNITS, kind="autoencoder"),
        MetricInfo(
            "code_correlation", "Codes: correlation between dimensions", "minimize", "root mean square", kind="autoencoder"
        ),
        MetricInfo(
            "code_distance",
            "Codes: Fréchet distance to the prior, per dimension",
            "minimize",
            "prior's variances",
            kind="autoencoder",
        ),
    )
)
