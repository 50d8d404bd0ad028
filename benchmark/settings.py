"""Settings of a study: what determines a run's weights, how it is measured, and the presets that pick the values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.errors import UserError, unknown


@dataclass(frozen=True)
class Evaluator:
    """A pretrained network that metrics are made of, as a study found it."""

    path: str = ""
    sha256: str = ""
    missing: str = "nobody looked for it"
    """Why there is none; empty where there is one."""


@dataclass(frozen=True)
class Evaluation:
    """How finished runs are measured. No part of what a run is: measured otherwise it gets more rows, and is not trained anew."""

    batch_norm_draws: int
    """Draws from which the generator's batch-norm statistics are computed anew before an evaluation."""
    mode_samples: int
    """Images whose digits are counted."""
    diversity_groups: int
    """Groups of 64 images inside which all pairs are compared."""
    reconstructions: int
    """Test images that autoencoding models encode and give back."""
    critic_steps: int
    """Training steps of the post-hoc critic."""
    critic_images: int
    """Images on each side on which a critic is evaluated."""
    critic_width: float
    score_splits: int
    """Pieces of the samples, over which Inception scores are averaged."""
    inception_samples: int
    """Images that pass through the ImageNet network; 0 spares its scores and distances."""
    inception_width: int
    """Of the features that distances are measured on."""
    cifar10_samples: int
    """Images that pass through the CIFAR-10 classifier; 0 spares its score."""
    inception: Evaluator = Evaluator()
    cifar10: Evaluator = Evaluator()
    second_evaluation: bool = False
    """Whether finished runs are measured a second time, on other samples and by another critic."""
    metrics: tuple[str, ...] = ()
    """Dotted paths of a user's own measurements, which are taken beside ours."""

    def __post_init__(self) -> None:
        least = max(2 * self.score_splits, 4)  # as many as the nearest neighbours of precision and recall take
        for name in ("inception_samples", "cifar10_samples"):
            if 0 < getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}: {self.score_splits} splits need at least {least} samples")


@dataclass(frozen=True)
class Settings:
    """What a preset picks. Small and large studies differ in these values and in nothing else."""

    iterations: int
    width: float
    """Factor on every hidden number of feature maps. Learning rates are divided by it (see `_grid`)."""
    budget: int | None
    """Configurations of each model; None takes the whole grid."""
    seeds: int
    batch_size: int
    threads: int
    """Of each run. Sums differ between one thread and two, so this is part of a run's identity."""
    precision: Literal["float32"]
    """Of training: float32 without the shortcuts that some GPUs take in its products (TF32)."""
    evaluation: Evaluation

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """The settings that `asdict` wrote; a TypeError or KeyError for anything else."""
        content = {"precision": "float32", **content}  # studies of earlier versions had no other
        evaluation: dict[str, Any] = dict(content["evaluation"])
        if "calibration" in evaluation:  # its name in studies of earlier versions
            evaluation["batch_norm_draws"] = evaluation.pop("calibration")
        evaluation |= {name: Evaluator(**evaluation[name]) for name in ("inception", "cifar10")}
        evaluation["metrics"] = tuple(evaluation.get("metrics", ()))
        return cls(**{**content, "evaluation": Evaluation(**evaluation)})


# What determines the weights of a run; the rest is about its evaluation.
TRAINING_SETTINGS = ("iterations", "width", "batch_size", "threads", "precision")

# What determines how many runs a study has, and nothing about any of them.
EXTENT = ("budget", "seeds")

PRESETS = ("quick", "paper")


def preset(name: str, image_size: int, paper_iterations: int) -> Settings:
    """Pick the values of a preset for images of `image_size` pixels that the paper trained for `paper_iterations`.

    Raises:
        UserError: for a name that is none.
    """
    if name == "quick":
        small = image_size <= 32  # 64 pixels cost four times as much
        return Settings(
            iterations=180 if small else 120,
            width=0.25 if small else 0.125,
            budget=4,
            seeds=1,
            batch_size=64,
            threads=1,
            precision="float32",
            evaluation=Evaluation(
                batch_norm_draws=1_000,
                mode_samples=2_000,
                diversity_groups=2,
                reconstructions=500,
                critic_steps=100,
                critic_images=2_000 if small else 1_000,
                critic_width=0.25 if small else 0.125,
                score_splits=1,
                inception_samples=0,
                inception_width=2048,
                cifar10_samples=1_000,
                second_evaluation=True,
            ),
        )
    if name == "paper":
        return Settings(
            iterations=paper_iterations,
            width=1.0,
            budget=None,
            seeds=1,
            batch_size=64,
            threads=1,
            precision="float32",
            evaluation=Evaluation(
                batch_norm_draws=10_000,
                mode_samples=26_000,
                diversity_groups=5,
                reconstructions=10_000,
                critic_steps=10_000,
                critic_images=10_000,
                critic_width=1.0,
                score_splits=10,
                inception_samples=50_000,
                inception_width=2048,
                cifar10_samples=50_000,
                second_evaluation=True,
            ),
        )
    raise unknown("preset", name, PRESETS)
