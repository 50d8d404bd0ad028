"""Pairs of an image and a sample, and penalties on both."""

import pytest
import torch

from baselines import R1GAN, R3GAN
from tests.baselines.test_r1gan import squared_gradient
from tests.terms import FAKE_LOGITS, IMAGES, REAL_LOGITS, build, judged_terms, pull, samples, terms


def test_losses_at_known_logits_are_of_pairs():
    right = (REAL_LOGITS - FAKE_LOGITS).sigmoid()  # of the n-th image and the n-th sample
    expected = {"relativistic": -right.log().mean().item(), "r1": 0.0, "r2": 0.0}
    assert judged_terms(build(R3GAN), "discriminator_loss") == pytest.approx(expected)
    wrong = 1 - right
    assert judged_terms(build(R3GAN), "generator_loss") == pytest.approx({"relativistic": -wrong.log().mean().item()})


def test_both_penalties_are_half_gamma_times_a_squared_gradient():
    module = build(R3GAN, penalty_weight=3.0)
    found = terms(module, "discriminator_loss")
    assert found["r1"].item() == pytest.approx(1.5 * squared_gradient(module, IMAGES), rel=1e-4)
    assert found["r2"].item() == pytest.approx(1.5 * squared_gradient(module, samples(module)), rel=1e-4)
    assert found["r1"].item() != pytest.approx(found["r2"].item(), rel=0.01)


@pytest.mark.parametrize(("network", "sign"), [("discriminator", 1), ("generator", -1)])
def test_the_players_pull_the_pairs_apart_and_together(network, sign):
    module = build(R3GAN)

    def apart() -> torch.Tensor:
        return module.discriminator(IMAGES) - module.discriminator(samples(module))

    assert pull(module, network, f"{network}_loss", "relativistic", apart) * sign > 0


@pytest.mark.parametrize("term", ["r1", "r2"])
def test_a_step_down_a_penalty_makes_the_discriminator_flatter_there(term):
    module = build(R3GAN)
    places = {"r1": IMAGES, "r2": samples(module).detach()}
    flatness = lambda: torch.tensor(squared_gradient(module, places[term]))  # noqa: E731 - as short as can be
    assert pull(module, "discriminator", "discriminator_loss", term, flatness) < 0


def test_it_is_r1gan_with_another_loss_and_other_defaults():
    module = build(R3GAN)
    assert R3GAN.sweep == R1GAN.sweep
    assert [phase.name for phase in module.schedule().updates] == ["discriminator", "generator"]
    assert (module.hparams.learning_rate, module.hparams.penalty_weight, module.hparams.beta2) == (2e-4, 1.0, 0.99)
    assert module.configure_optimizers()[0].param_groups[0]["betas"] == (0.0, 0.99)
