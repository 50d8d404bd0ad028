import pytest
import torch

from metrics.reconstruction import ReconstructionError, reconstruction_errors
from metrics.similarity import ms_ssim


def images(seed: int) -> torch.Tensor:
    return torch.rand(5, 3, 28, 28, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_by_hand():
    black, grey = torch.full((1, 3, 16, 16), -1.0), torch.zeros(1, 3, 16, 16)
    white = torch.full((1, 3, 16, 16), 1.0)
    assert reconstruction_errors(black, grey).l1.tolist() == [1]
    assert reconstruction_errors(black, white).l1.tolist() == [2]
    assert reconstruction_errors(black, white).mse.tolist() == [4]
    half = torch.cat([black[..., :8], grey[..., 8:]], dim=3)
    assert reconstruction_errors(half, grey).mse.tolist() == [0.5]
    same = reconstruction_errors(images(0), images(0))
    assert same.l1.abs().max() == same.mse.abs().max() == 0
    assert torch.allclose(same.ms_ssim, torch.ones(5, dtype=torch.float64), atol=1e-5)
    assert torch.equal(reconstruction_errors(images(0), images(1)).ms_ssim, ms_ssim(images(0), images(1)))


def test_the_metric_gives_the_same_for_any_batches():
    whole, parts = ReconstructionError(), ReconstructionError()
    whole.update(images(0), images(1))
    for part in ((0, 1), (1, 4), (4, 5)):
        parts.update(images(0)[slice(*part)], images(1)[slice(*part)])
    errors = reconstruction_errors(images(0), images(1))
    for name, value in whole.compute().items():
        assert value == pytest.approx(parts.compute()[name].item(), rel=1e-6)
        assert value == pytest.approx(getattr(errors, name).mean().item(), rel=1e-9)


def test_refuses():
    with pytest.raises(ValueError, match="pair up"):
        reconstruction_errors(images(0), images(0)[:2])
    with pytest.raises(ValueError, match="pixels / 127"):
        reconstruction_errors(images(0), torch.zeros(5, 3, 28, 28, dtype=torch.uint8))
