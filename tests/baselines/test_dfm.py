"""What the denoiser learns, what the generator gets from it, and who gets no gradient."""

import pytest
import torch
from torch import nn

from baselines import DenoisingFeatureMatching
from tests.terms import IMAGES, SEED, build, pull, samples, terms


def features_of(module, images) -> torch.Tensor:
    """What the head is given, layer by layer."""
    for layer in list(module.discriminator)[:-2]:
        images = layer(images)
    return images


def noise(shape) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))


@pytest.mark.parametrize("deviation", [0.0, 1.0, 0.5])
def test_the_denoiser_is_given_noisy_features_and_is_to_find_the_clean_ones(deviation):
    module = build(DenoisingFeatureMatching, noise=deviation)
    clean = features_of(module, IMAGES)
    guess = module.denoiser(clean + deviation * noise(clean.shape))
    expected = (guess - clean).square().mean().item()
    assert terms(module, "denoiser_loss")["denoising"].item() == pytest.approx(expected, rel=1e-5)


def test_the_generators_losses():
    module = build(DenoisingFeatureMatching, denoising_weight=0.3)
    features = features_of(module, samples(module))  # without noise
    expected = {
        "denoising": 0.3 * (features - module.denoiser(features)).square().mean().item(),
        "adversarial": -module.discriminator(samples(module)).sigmoid().log().mean().item(),
    }
    found = {name: value.item() for name, value in terms(module, "generator_loss").items()}
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_denoiser_gets_no_gradient_in_the_generators_phase():
    module = build(DenoisingFeatureMatching)
    loss = sum(terms(module, "generator_loss").values())
    gradients = torch.autograd.grad(loss, list(module.denoiser.parameters()), allow_unused=True)
    assert gradients == (None,) * len(gradients)


def test_what_the_denoiser_says_is_a_constant_to_the_generator():
    """Else the generator would look for fixed points of the denoiser instead of following it."""
    module = build(DenoisingFeatureMatching, denoising_weight=0.3)
    weights = list(module.generator.parameters())
    features = features_of(module, samples(module))
    with torch.no_grad():
        difference = features - module.denoiser(features)
    expected = torch.autograd.grad(features, weights, 2 * 0.3 * difference / features.numel())
    for gradient, reference in zip(
        torch.autograd.grad(terms(module, "generator_loss")["denoising"], weights), expected, strict=True
    ):
        assert torch.allclose(gradient, reference, rtol=1e-4, atol=1e-8)


def test_a_step_of_the_generator_moves_features_to_where_the_denoiser_puts_them():
    module = build(DenoisingFeatureMatching, denoising_weight=1.0)
    target = module.denoiser(features_of(module, samples(module))).detach()

    def distance() -> torch.Tensor:
        return (features_of(module, samples(module)) - target).square()

    assert pull(module, "generator", "generator_loss", "denoising", distance) < 0


def test_a_step_of_the_denoiser_makes_it_better():
    module = build(DenoisingFeatureMatching)
    assert pull(module, "denoiser", "denoiser_loss", "denoising", lambda: terms(module, "denoiser_loss")["denoising"]) < 0


@pytest.mark.parametrize(
    ("network", "loss", "term", "on_real", "sign"),
    [
        ("generator", "generator_loss", "adversarial", False, 1),
        ("discriminator", "discriminator_loss", "real", True, 1),
        ("discriminator", "discriminator_loss", "sample", False, -1),
    ],
)
def test_direction_of_logits(network, loss, term, on_real, sign):
    module = build(DenoisingFeatureMatching)
    assert pull(module, network, loss, term, lambda: module.discriminator(IMAGES if on_real else samples(module))) * sign > 0


def test_the_discriminators_losses_are_dcgans():
    module = build(DenoisingFeatureMatching)
    found = {name: value.item() for name, value in terms(module, "discriminator_loss").items()}
    expected = {
        "real": -module.discriminator(IMAGES).sigmoid().log().mean().item(),
        "sample": -(1 - module.discriminator(samples(module)).sigmoid()).log().mean().item(),
    }
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("size", "expected"), [(28, 64 * 4 * 4), (32, 256 * 4 * 4), (64, 512 * 4 * 4)])
def test_the_denoiser_maps_features_to_features_with_batch_norm_but_at_its_end(size, expected):
    network = DenoisingFeatureMatching((1, size, size), 4).denoiser
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [1024] * 5 + [expected]
    assert linear[0].in_features == expected
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in network) == 5
    assert network[-1] is linear[-1]


def test_updates_and_published_settings():
    module = build(DenoisingFeatureMatching)
    assert [phase.name for phase in module.schedule().updates] == ["discriminator", "denoiser", "generator"]
    assert [optimizer.param_groups[0]["lr"] for optimizer in module.configure_optimizers()] == [1e-4] * 3
    assert (module.hparams.noise, module.hparams.denoising_weight) == (1.0, 0.03)
