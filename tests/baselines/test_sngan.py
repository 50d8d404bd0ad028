"""Hinge losses, and weights whose largest singular value is 1."""

import pytest
import torch
from torch import nn

from baselines import SNGAN
from tests.support import iterate
from tests.terms import FAKE_LOGITS, IMAGES, REAL_LOGITS, build, judged_terms, pull, samples


def test_losses_at_known_logits():
    real, fake = REAL_LOGITS.numpy(), FAKE_LOGITS.numpy()
    assert judged_terms(build(SNGAN), "discriminator_loss") == pytest.approx(
        {"real": (1 - real).clip(0).mean(), "sample": (1 + fake).clip(0).mean()}
    )
    assert judged_terms(build(SNGAN), "generator_loss") == pytest.approx({"adversarial": -fake.mean()})


@pytest.mark.parametrize(
    ("network", "loss", "term", "on_real", "sign"),
    [
        ("generator", "generator_loss", "adversarial", False, 1),
        ("discriminator", "discriminator_loss", "real", True, 1),
        ("discriminator", "discriminator_loss", "sample", False, -1),
    ],
)
def test_direction(network, loss, term, on_real, sign):
    module = build(SNGAN)
    assert pull(module, network, loss, term, lambda: module.discriminator(IMAGES if on_real else samples(module))) * sign > 0


def largest_singular_values(module) -> list[float]:
    module.discriminator.eval()
    weights = [layer.weight.flatten(1) for layer in module.discriminator if hasattr(layer, "weight")]
    module.discriminator.train()
    return [torch.linalg.svdvals(weight)[0].item() for weight in weights]


@pytest.mark.slow
def test_largest_singular_values_are_1_within_5_percent_after_200_iterations():
    module = build(SNGAN, learning_rate=1e-3)
    iterate(module, 200)
    values = largest_singular_values(module)
    assert len(values) == 6  # five convolutions and the head
    assert values == pytest.approx([1.0] * 6, rel=0.05)
    raw = [layer.parametrizations.weight.original for layer in module.discriminator if hasattr(layer, "parametrizations")]
    assert any(abs(torch.linalg.svdvals(weight.flatten(1))[0] - 1) > 0.2 for weight in raw)  # it is the division that does it


def test_the_discriminator_has_biases_and_no_batch_norm():
    layers = list(build(SNGAN).discriminator)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in layers)
    assert all(layer.bias is not None for layer in layers if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize("updates", [1, 5])
def test_updates_and_optimizers_follow_the_arguments(updates):
    module = build(SNGAN, discriminator_updates=updates, beta2=0.9, learning_rate=3e-4)
    assert [phase.name for phase in module.schedule().updates] == ["discriminator"] * updates + ["generator"]
    for optimizer in module.configure_optimizers():
        assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"]) == (3e-4, (0.5, 0.9))


def test_the_sweep_holds_the_settings_of_the_papers_table_1_with_beta1_of_a_half():
    settings = {(1e-4, 0.9, 5), (1e-4, 0.999, 1), (2e-4, 0.999, 1), (1e-3, 0.9, 5), (1e-3, 0.999, 5)}
    grid = {
        (rate, beta2, updates)
        for rate in SNGAN.sweep["learning_rate"]
        for beta2 in SNGAN.sweep["beta2"]
        for updates in SNGAN.sweep["discriminator_updates"]
    }
    assert settings <= grid
