"""The balance k and its rule, the errors that it weighs, and which way the players pull."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from baselines import BEGAN
from benchmark.model.train import CheckpointKeeper, Watcher, train
from tests.support import PIXELS, iterate
from tests.terms import IMAGES, build, pull, samples, terms


class Halves(nn.Module):
    """An autoencoder whose error is known: half of each pixel."""

    def forward(self, images):
        return images / 2


def test_losses_at_known_errors():
    module = build(BEGAN, diversity_ratio=0.7)
    module.discriminator = Halves()
    module.k.fill_(0.25)
    real, sample = (images.abs().mean().item() / 2 for images in (IMAGES, samples(module)))
    of_discriminator = {name: value.item() for name, value in terms(module, "discriminator_loss").items()}
    assert of_discriminator == pytest.approx({"real": real, "sample": -0.25 * sample}, rel=1e-5)
    of_generator = {name: value.item() for name, value in terms(module, "generator_loss").items()}
    expected = {"sample": sample, "k": 0.25, "convergence": real + abs(0.7 * real - sample)}
    assert of_generator == pytest.approx(expected, rel=1e-5)


def test_what_is_only_logged_has_no_gradient():
    found = terms(build(BEGAN), "generator_loss")
    assert {name for name, value in found.items() if value.requires_grad} == {"sample"}


def test_k_is_not_differentiated():
    assert not build(BEGAN).k.requires_grad
    assert "k" not in dict(build(BEGAN).named_parameters())


@pytest.mark.parametrize(
    ("network", "loss", "term", "on_real", "sign"),
    [
        ("discriminator", "discriminator_loss", "real", True, -1),
        ("discriminator", "discriminator_loss", "sample", False, 1),
        ("generator", "generator_loss", "sample", False, -1),
    ],
)
def test_direction_of_errors(network, loss, term, on_real, sign):
    module = build(BEGAN)
    module.k.fill_(0.5)
    assert pull(module, network, loss, term, lambda: module.error(IMAGES if on_real else samples(module))) * sign > 0


@pytest.mark.parametrize(
    ("k", "real", "sample", "expected"),
    [
        (0.5, 0.4, 0.1, 0.5 + 0.01 * (0.7 * 0.4 - 0.1)),
        (0.5, 0.1, 0.4, 0.5 + 0.01 * (0.7 * 0.1 - 0.4)),
        (0.0, 0.1, 0.4, 0.0),
        (0.9999, 0.4, 0.1, 1.0),
    ],
)
def test_k_moves_by_its_rule_and_stays_in_0_to_1(k, real, sample, expected):
    module = build(BEGAN, diversity_ratio=0.7, balance_rate=0.01)
    for name, value in (("k", k), ("real_error", real), ("sample_error", sample)):
        getattr(module, name).fill_(value)
    module.balance()
    assert module.k.item() == pytest.approx(expected, abs=1e-7)


def test_in_training_k_follows_the_errors_of_both_updates():
    module = build(BEGAN, balance_rate=0.1)
    k, errors = 0.0, []
    error = module.error
    module.error = lambda images: errors.append(error(images)) or errors[-1]  # real, sample; sample
    for _ in range(12):
        errors.clear()
        iterate(module)
        real, _, sample = (value.item() for value in errors)
        k = min(max(k + 0.1 * (0.5 * real - sample), 0.0), 1.0)
        assert module.k.item() == pytest.approx(k, abs=1e-6)
    assert k > 0


def test_k_goes_on_where_it_was_after_a_checkpoint(tmp_path):
    def trained(iterations, **arguments):
        module = build(BEGAN, balance_rate=0.1, learning_rate=1e-3)
        callbacks = [CheckpointKeeper(tmp_path / "checkpoint.ckpt", 10, Watcher())] if iterations == 10 else []
        train(module, PIXELS, iterations, 8, callbacks, **arguments)
        return SimpleNamespace(k=module.k.item(), error=module.real_error.item())

    whole, half = trained(20), trained(10)
    assert trained(20, checkpoint=tmp_path / "checkpoint.ckpt") == whole
    assert 0 < half.k != whole.k


def test_an_images_error_does_not_depend_on_the_rest_of_the_batch():
    module = build(BEGAN)
    with torch.no_grad():
        assert torch.allclose(module.discriminator(IMAGES)[:3], module.discriminator(IMAGES[:3]), atol=1e-5)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in module.generator)


def test_updates_and_published_settings():
    module = build(BEGAN)
    assert [phase.name for phase in module.schedule().updates] == ["discriminator", "generator"]
    settings = module.hparams
    assert (settings.learning_rate, settings.diversity_ratio, settings.balance_rate, settings.code_dim) == (1e-4, 0.5, 1e-3, 64)
