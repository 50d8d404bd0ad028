"""List every metric: its title, which way is better, its unit and what to know before believing it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


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
    metric: Measure(metric, title, goal, *rest)
    for metric, title, goal, *rest in (
        ("critic", "Independent Wasserstein critic, trained after the run", "maximize", DISTANCE),
        ("critic_in_training", "Independent Wasserstein critic, trained beside the run", "maximize", DISTANCE),
        (
            "sample_diversity",
            "Sample diversity, 1 − MS-SSIM of pairs",
            "match",
            "1 − mean MS-SSIM",
            "Noise raises it too: more than the test images' own value is no better than less.",
        ),
        ("inception_score", "Inception score, ImageNet network", "maximize", "exp of nats", SAMPLE_SIZE),
        (
            "cifar10_inception_score",
            "Inception score, CIFAR-10 network",
            "maximize",
            "exp of nats",
            SAMPLE_SIZE,
        ),
        ("fid", "Fréchet Inception distance", "minimize", "squared feature units", SAMPLE_SIZE),
        ("kid", "Kernel Inception distance", "minimize", "squared MMD"),
        ("precision", "Precision: samples among the test images", "maximize", "share of samples", SAMPLE_SIZE),
        ("recall", "Recall: test images among the samples", "maximize", "share of test images", SAMPLE_SIZE),
        ("mode_kl", "KL divergence of the modes to uniform", "minimize", "nats", ANSWERS_FOR_ANYTHING),
        ("modes_covered", "Modes with at least one sample", "maximize", "modes of 1000", ANSWERS_FOR_ANYTHING),
        ("recognised_share", "Samples whose three digits are all recognised", "maximize", "share of samples"),
        ("recognised_modes", "Modes among the recognised samples", "maximize", "modes of 1000"),
        (
            "reconstruction_l1",
            "Reconstruction error, absolute",
            "minimize",
            "mean |x − x̂|, of a range of 2",
            LATENTS,
        ),
        ("reconstruction_mse", "Reconstruction error, squared", "minimize", "mean (x − x̂)²", LATENTS),
        (
            "reconstruction_ms_ssim",
            "Similarity of reconstructions to their images",
            "maximize",
            "MS-SSIM",
            LATENTS,
        ),
        ("code_mean", "Mean code: distance from the prior's mean", "minimize", IN_PRIOR_UNITS),
        ("code_correlation", "Codes: correlation between dimensions", "minimize", "root mean square"),
        ("code_distance", "Codes: Fréchet distance to the prior, per dimension", "minimize", "prior's variances"),
    )
}
