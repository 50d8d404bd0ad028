"""How each metric is read: its title, its unit and which way is better. What the report needs to know, and no more."""

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


ANSWERS_FOR_ANYTHING = "The classifier names a digit in anything, noise too: read this beside the share of recognised samples."
DISTANCE = "E[f(samples)] − E[f(test images)]"

MEASURES = {
    measure.metric: measure
    for measure in (
        Measure("critic", "Independent Wasserstein critic, trained after the run", "maximize", DISTANCE),
        Measure("critic_in_training", "Independent Wasserstein critic, trained beside the run", "maximize", DISTANCE),
        Measure("mode_kl", "KL divergence of the modes to uniform", "minimize", "nats", ANSWERS_FOR_ANYTHING),
        Measure("modes_covered", "Modes with at least one sample", "maximize", "modes of 1000", ANSWERS_FOR_ANYTHING),
        Measure("recognised_share", "Samples whose three digits are all recognised", "maximize", "share of samples"),
        Measure("recognised_modes", "Modes among the recognised samples", "maximize", "modes of 1000"),
    )
}
