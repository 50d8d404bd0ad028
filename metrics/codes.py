"""Compare an encoder's codes with the prior: their mean vector and covariance (Rosca et al. 2017, appendix D, figures 11, 12)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from metrics.checks import check_dimensions, check_rows
from metrics.frechet import FrechetDistance, Moments, frechet_distance, moments

REPLICATES = 100


@dataclass(frozen=True)
class CodeMatch:
    """How far codes are from the prior; all goals: minimize, 0 for codes that are prior draws, up to the sampling of n codes.

    All are in units of the prior's standard deviation (pooled over dimensions), so that a normal prior and one on the unit sphere
    compare, and latent sizes too.
    """

    mean: float
    """Root mean square, over dimensions, of the mean code's distance from the prior's mean; sqrt(1/n + 1/m) for n prior draws
    against m others."""
    correlation: float
    """Root mean square of the correlations between different dimensions, in [0, 1]; 1 / sqrt(n) for prior draws. Blind to scale:
    0 for codes that are all equal, too."""
    distance: float
    """Fréchet distance between the Gaussians fitted to codes and prior draws, divided by the number of dimensions."""


def code_match(codes: Moments, prior: Moments) -> CodeMatch:
    """Compare the moments of codes, (n, d), with those of prior draws.

    Raises:
        ValueError: for codes of one dimension less or more than the prior's.
    """
    d = len(prior.mean)
    check_dimensions("codes", len(codes.mean), d)
    scale = prior.covariance.diagonal().mean().sqrt()
    if scale == 0:
        raise ValueError("the prior's draws are all equal")
    spread = codes.covariance.diagonal().sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    correlation = codes.covariance / spread[:, None] / spread
    off_diagonal = correlation[~torch.eye(d, dtype=torch.bool)]
    return CodeMatch(
        mean=((codes.mean - prior.mean) / scale).square().mean().sqrt().item(),
        correlation=off_diagonal.square().mean().sqrt().item() if d > 1 else 0.0,
        distance=frechet_distance(codes, prior) / (d * scale.square().item()),
    )


def code_match_errors(codes: Tensor, prior: Moments, seed: int = 0) -> CodeMatch:
    """Estimate the standard error of each figure of `code_match`, over redrawing the encoded images: 100 bootstrap replicates.

    Args:
        codes: (n, d).
        prior: moments of prior draws, held fixed.
        seed: of the replicates.
    """
    check_rows("codes", codes, at_least=2)
    source = torch.Generator().manual_seed(seed)
    replicates = []
    for _ in range(REPLICATES):
        again = codes[torch.randint(len(codes), (len(codes),), generator=source)]
        match = code_match(moments(again), prior)
        replicates.append([match.mean, match.correlation, match.distance])
    return CodeMatch(*torch.tensor(replicates, dtype=torch.float64).std(0).tolist())


class PriorMatch(FrechetDistance):
    """Compute `code_match` of batches of codes to the prior, as a dictionary; memory d x d for any n.

    Args:
        reference: moments of prior draws.
    """

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Compute mean, correlation and distance of all codes so far, float64 scalars."""
        return {
            name: self.centre.new_tensor(value) for name, value in asdict(code_match(self.moments(), self.reference())).items()
        }
