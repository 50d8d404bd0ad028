from functools import partial

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from benchmark import losses

LOGITS = torch.linspace(-8, 8, 33, dtype=torch.float64)


def test_reverse_kl_is_minus_log_d_plus_log_one_minus_d():
    d = LOGITS.sigmoid()
    assert losses.reverse_kl(LOGITS).item() == pytest.approx((-d.log() + (1 - d).log()).mean().item(), abs=1e-12)


def test_discriminator_losses_are_binary_cross_entropy():
    bce = torch.nn.functional.binary_cross_entropy
    assert losses.real_loss(LOGITS).item() == pytest.approx(bce(LOGITS.sigmoid(), torch.ones_like(LOGITS)).item(), rel=1e-9)
    assert losses.fake_loss(LOGITS).item() == pytest.approx(bce(LOGITS.sigmoid(), torch.zeros_like(LOGITS)).item(), rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "sign"),
    [
        (losses.real_loss, -1),
        (losses.fake_loss, 1),
        (losses.reverse_kl, -1),
        (losses.non_saturating, -1),
        (partial(losses.least_squares, target=1.0), -1),
        (partial(losses.least_squares, target=-1.0), 1),
        (losses.hinge_real, -1),
        (losses.hinge_fake, 1),
    ],
)
def test_directions(loss, sign):
    """Minimizing makes logits rise where "real" is wanted, and fall where "fake" is."""
    logits = torch.zeros(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(logits), logits)
    assert (gradient.sign() == sign).all()


def test_least_squares_by_hand():
    assert losses.least_squares(torch.tensor([3.0, -1.0]), 1.0).item() == pytest.approx((4 / 2 + 4 / 2) / 2)


def test_hinges_are_an_image_at_a_time_and_end_at_their_margins():
    logits = torch.tensor([-3.0, 0.5, 2.0])
    assert losses.hinge_real(logits).item() == pytest.approx((4 + 0.5 + 0) / 3)
    assert losses.hinge_fake(logits).item() == pytest.approx((0 + 1.5 + 3) / 3)


def test_losses_stay_finite_for_extreme_logits():
    for loss in (losses.real_loss, losses.fake_loss, losses.reverse_kl, losses.non_saturating):
        assert loss(torch.tensor([-1e4, 1e4])).isfinite()


def test_l1_is_a_mean_over_pixels():
    assert losses.l1(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), -0.5)).item() == 0.5


def test_empirical_kl_against_torch_distributions():
    codes = torch.randn(64, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.7 + 0.3
    fitted = Normal(codes.mean(0), codes.std(0, correction=0))
    reference = kl_divergence(fitted, Normal(0.0, 1.0)).sum().item()
    assert losses.empirical_kl(codes).item() == pytest.approx(reference, rel=1e-5)


def test_empirical_kl_by_hand():
    codes = torch.tensor([[-1.0, 3.0], [1.0, 3.0 + 2e-4]])  # N(0, 1), and a mean of 3 with next to no variance
    expected = 0 + 0.5 * (9 + 1e-6 - torch.tensor(1e-6 + 1e-8).log().item() - 1)
    assert losses.empirical_kl(codes).item() == pytest.approx(expected, rel=1e-3)


def test_empirical_kl_has_gradients_for_codes_that_collapsed():
    codes = torch.zeros(8, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.empirical_kl(codes + torch.tensor([1.0, 0.0])), codes)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_gaussian_kl_is_torchs_own_summed_over_latents():
    mean, log_variance = torch.randn(2, 16, 5, generator=torch.Generator().manual_seed(0))
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert losses.gaussian_kl(mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.gaussian_kl(torch.zeros(3, 5), torch.zeros(3, 5)) == 0


def test_l2_is_the_mean_of_squares():
    assert losses.l2(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).item() == pytest.approx((1 + 4) / 2)
