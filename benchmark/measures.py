"""How each metric is read: its title, its unit and which way is better. What the report needs to know, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.goals import GOALS


@dataclass(frozen=True)
class Measure:
    """How a metric is read."""

    metric: str
    title: str
    goal: str
    """maximize, minimize, or match (nearest to the held-out reference)."""
    unit: str
    caution: str = ""
    """What to know before believing it, in a sentence."""

    @property
    def direction(self) -> str:
        """The goal in words."""
        return {"maximize": "higher is better", "minimize": "lower is better", "match": "nearest to real is better"}[self.goal]


SECOND = "second"
"""What the protocol of the second evaluation of a finished run says under "evaluation"."""
ANSWERS_FOR_ANYTHING = "The classifier names a digit in anything, noise too: read this beside the share of recognised samples."
DISTANCE = "E[f(samples)] − E[f(test images)]"
SAMPLE_SIZE = "Depends on the number of samples: compare at equal numbers only."
LATENTS = "A larger latent size reconstructs better: compare at equal sizes."
IN_PRIOR_UNITS = "prior's standard deviations"

MEASURES = {
    metric: Measure(metric, title, GOALS[metric], *rest)
    for metric, title, *rest in (
        ("critic", "Independent Wasserstein critic, trained after the run", DISTANCE),
        ("critic_in_training", "Independent Wasserstein critic, trained beside the run", DISTANCE),
        (
            "sample_diversity",
            "Sample diversity, 1 − MS-SSIM of pairs",
            "1 − mean MS-SSIM",
            "Noise raises it too: more than the test images' own value is no better than less.",
        ),
        ("inception_score", "Inception score, ImageNet network", "exp of nats", SAMPLE_SIZE),
        (
            "cifar10_inception_score",
            "Inception score, CIFAR-10 network",
            "exp of nats",
            SAMPLE_SIZE,
        ),
        ("fid", "Fréchet Inception distance", "squared feature units", SAMPLE_SIZE),
        ("kid", "Kernel Inception distance", "squared MMD"),
        ("precision", "Precision: samples among the test images", "share of samples", SAMPLE_SIZE),
        ("recall", "Recall: test images among the samples", "share of test images", SAMPLE_SIZE),
        ("mode_kl", "KL divergence of the modes to uniform", "nats", ANSWERS_FOR_ANYTHING),
        ("modes_covered", "Modes with at least one sample", "modes of 1000", ANSWERS_FOR_ANYTHING),
        ("recognised_share", "Samples whose three digits are all recognised", "share of samples"),
        ("recognised_modes", "Modes among the recognised samples", "modes of 1000"),
        (
            "reconstruction_l1",
            "Reconstruction error, absolute",
            "mean |x − x̂|, of a range of 2",
            LATENTS,
        ),
        ("reconstruction_mse", "Reconstruction error, squared", "mean (x − x̂)²", LATENTS),
        (
            "reconstruction_ms_ssim",
            "Similarity of reconstructions to their images",
            "MS-SSIM",
            LATENTS,
        ),
        ("code_mean", "Mean code: distance from the prior's mean", IN_PRIOR_UNITS),
        ("code_correlation", "Codes: correlation between dimensions", "root mean square"),
        ("code_distance", "Codes: Fréchet distance to the prior, per dimension", "prior's variances"),
    )
}
