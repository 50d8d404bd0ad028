import math

import pytest
import torch

from metrics.codes import code_match, code_match_errors
from metrics.frechet import Moments, moments


def gaussian(mean, covariance) -> Moments:
    return Moments(1000, torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64))


STANDARD = gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])


def test_by_hand():
    same = code_match(STANDARD, STANDARD)
    assert (same.mean, same.correlation) == (0, 0)
    assert same.distance == pytest.approx(0, abs=1e-12)
    moved = code_match(gaussian([3.0, 4.0], [[1.0, 0.0], [0.0, 1.0]]), STANDARD)
    assert moved.mean == pytest.approx(math.sqrt((9 + 16) / 2))
    assert moved.distance == pytest.approx(25 / 2)
    mixed = code_match(gaussian([0.0, 0.0], [[4.0, 1.0], [1.0, 1.0]]), STANDARD)
    assert mixed.correlation == pytest.approx(0.5)
    wide = code_match(gaussian([0.0, 0.0], [[9.0, 0.0], [0.0, 1.0]]), STANDARD)
    assert wide.distance == pytest.approx((3 - 1) ** 2 / 2)


def test_units_are_the_priors():
    """Codes and prior scaled alike compare alike: a prior on the sphere is as good as a normal one."""
    codes, prior = gaussian([1.0, 0.0], [[2.0, 0.3], [0.3, 1.0]]), STANDARD
    small = Moments(1000, codes.mean / 8, codes.covariance / 64), Moments(1000, prior.mean / 8, prior.covariance / 64)
    for name in ("mean", "correlation", "distance"):
        assert getattr(code_match(*small), name) == pytest.approx(getattr(code_match(codes, prior), name))


def test_standard_errors_against_redrawing():
    source = torch.Generator().manual_seed(0)
    mix = torch.tensor([[1.0, 0.6, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    prior = moments(torch.randn(4000, 3, generator=source, dtype=torch.float64))

    def codes():
        return torch.randn(300, 3, generator=source, dtype=torch.float64) @ mix + 0.5

    found = [code_match(moments(codes()), prior) for _ in range(300)]
    errors = code_match_errors(codes(), prior)
    for name in ("mean", "correlation", "distance"):
        spread = torch.tensor([getattr(match, name) for match in found]).std().item()
        assert getattr(errors, name) == pytest.approx(spread, rel=0.3)


def test_dead_and_single_dimensions():
    dead = code_match(gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 0.0]]), STANDARD)
    assert dead.correlation == 0
    assert dead.distance == pytest.approx(0.5)
    one = gaussian([0.0], [[1.0]])
    assert code_match(one, one).correlation == 0
    with pytest.raises(ValueError, match="codes have 2 dimensions, the reference has 1"):
        code_match(STANDARD, one)
    with pytest.raises(ValueError, match="draws are all equal"):
        code_match(one, gaussian([0.0], [[0.0]]))
