"""Which way each metric is better. Apart, because the report needs it where no torch is."""

from __future__ import annotations

GOALS = {
    "critic": "maximize",
    "critic_in_training": "maximize",
    "sample_diversity": "match",
    "inception_score": "maximize",
    "cifar10_inception_score": "maximize",
    "fid": "minimize",
    "kid": "minimize",
    "precision": "maximize",
    "recall": "maximize",
    "mode_kl": "minimize",
    "modes_covered": "maximize",
    "recognised_share": "maximize",
    "recognised_modes": "maximize",
    "reconstruction_l1": "minimize",
    "reconstruction_mse": "minimize",
    "reconstruction_ms_ssim": "maximize",
    "code_mean": "minimize",
    "code_correlation": "minimize",
    "code_distance": "minimize",
}
"""Which way each metric is better; match: nearest to the value of held-out images."""
