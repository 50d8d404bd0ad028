"""The penalty on the gradient at real images, its weight and its place."""

import pytest
import torch

from baselines import R1GAN
from tests.terms import FAKE_LOGITS, IMAGES, REAL_LOGITS, build, judged_terms, pull, samples, terms


def squared_gradient(module, images) -> float:
    """Image by image, summed over pixels; the mean over images."""
    gradients = [torch.autograd.functional.jacobian(module.discriminator, image[None])[0, 0] for image in images.detach()]
    return sum(gradient.square().sum().item() for gradient in gradients) / len(gradients)


def test_losses_at_known_logits():
    module = build(R1GAN)
    expected = {
        "real": -REAL_LOGITS.sigmoid().log().mean().item(),
        "sample": -(1 - FAKE_LOGITS.sigmoid()).log().mean().item(),
        "r1": 0.0,  # these logits do not depend on images
    }
    assert judged_terms(module, "discriminator_loss") == pytest.approx(expected)
    assert judged_terms(module, "generator_loss") == pytest.approx({"adversarial": -FAKE_LOGITS.sigmoid().log().mean().item()})


def test_the_penalty_is_half_gamma_times_the_squared_gradient_at_real_images():
    module = build(R1GAN, penalty_weight=3.0)
    found = terms(module, "discriminator_loss")
    assert found["r1"].item() == pytest.approx(1.5 * squared_gradient(module, IMAGES), rel=1e-4)
    assert found["real"].item() == pytest.approx(-module.discriminator(IMAGES).sigmoid().log().mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("network", "loss", "term", "on_real", "sign"),
    [
        ("generator", "generator_loss", "adversarial", False, 1),
        ("discriminator", "discriminator_loss", "real", True, 1),
        ("discriminator", "discriminator_loss", "sample", False, -1),
    ],
)
def test_direction(network, loss, term, on_real, sign):
    module = build(R1GAN)
    assert pull(module, network, loss, term, lambda: module.discriminator(IMAGES if on_real else samples(module))) * sign > 0


def test_a_step_down_the_penalty_makes_the_discriminator_flatter():
    module = build(R1GAN)
    assert pull(module, "discriminator", "discriminator_loss", "r1", lambda: torch.tensor(squared_gradient(module, IMAGES))) < 0


def test_updates_and_optimizers():
    module = build(R1GAN)
    assert [phase.name for phase in module.schedule().updates] == ["discriminator", "generator"]
    for optimizer in module.configure_optimizers():
        assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"]) == (1e-4, (0.0, 0.99))
    assert module.hparams.penalty_weight == 10
