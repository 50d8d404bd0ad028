"""Which gradient goes where, and what images are compared by."""

import pytest
import torch
from torch import Tensor, nn

from baselines import VAEGAN
from tests.terms import IMAGES, SEED, build, pull, terms

WEIGHT = 0.01


def module_with(**options) -> VAEGAN:
    return build(VAEGAN, feature_weight=WEIGHT, **options)


def fakes(module: VAEGAN) -> tuple[Tensor, Tensor]:
    """Reconstructions and samples with the draws of `SEED`, in the order in which losses draw."""
    source = torch.Generator().manual_seed(SEED)
    mean, log_variance = module.posterior(IMAGES)
    codes = mean + (log_variance / 2).exp() * torch.randn(16, 6, generator=source)
    return module.generator(codes), module.generator(torch.randn(16, 6, generator=source))


def judged(module: VAEGAN, part: int) -> Tensor:
    """Logits of real images (0), reconstructions (1) or samples (2), judged in one batch."""
    return module.discriminator(torch.cat([IMAGES, *fakes(module)])).chunk(3)[part]


def test_adversarial_losses_are_those_of_the_logits_of_one_batch():
    module = module_with()
    real, reconstruction, sample = (judged(module, part).sigmoid() for part in range(3))
    found = {name: value.item() for name, value in terms(module, "discriminator_loss").items()}
    expected = {
        "real": -real.log().mean().item(),
        "reconstruction": -(1 - reconstruction).log().mean().item() / 2,
        "sample": -(1 - sample).log().mean().item() / 2,
    }
    assert found == pytest.approx(expected, rel=1e-4)
    found = {name: value.item() for name, value in terms(module, "generator_loss").items()}
    assert found["adversarial_reconstruction"] == pytest.approx(-reconstruction.log().mean().item() / 2, rel=1e-4)
    assert found["adversarial_sample"] == pytest.approx(-sample.log().mean().item() / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("network", "loss", "term", "part", "sign"),
    [
        ("generator", "generator_loss", "adversarial_reconstruction", 1, 1),
        ("generator", "generator_loss", "adversarial_sample", 2, 1),
        ("discriminator", "discriminator_loss", "real", 0, 1),
        ("discriminator", "discriminator_loss", "reconstruction", 1, -1),
        ("discriminator", "discriminator_loss", "sample", 2, -1),
    ],
)
def test_direction(network, loss, term, part, sign):
    module = module_with()
    assert pull(module, network, loss, term, lambda: judged(module, part)) * sign > 0


def test_features_are_what_the_convolution_to_7_pixels_gives_before_its_batch_norm():
    module = module_with()
    convolutions = [number for number, layer in enumerate(module.discriminator) if isinstance(layer, nn.Conv2d)]
    reconstructions, _ = fakes(module)
    seen = module.discriminator[: convolutions[3] + 1](torch.cat([IMAGES, reconstructions]))
    assert seen.shape[2:] == (7, 7)
    assert isinstance(module.discriminator[convolutions[3] + 1], nn.BatchNorm2d)
    real, reconstructed = seen.chunk(2)
    expected = 0.5 * (real - reconstructed).square().sum((1, 2, 3)).mean().item()
    assert terms(module, "encoder_loss")["features"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("side", "numbers"), [(32, 128 * 64), (64, 256 * 64)])
def test_features_at_other_sizes_are_maps_of_8_pixels(side, numbers):
    module = VAEGAN((3, side, side), latent_dim=4)
    features, _ = module.judge(torch.randn(2, 3, side, side))
    assert features[0].shape == (2, numbers)


def test_the_features_weigh_gamma_for_the_generator_and_one_for_the_encoder():
    module = module_with()
    module.discriminator.eval()  # the two phases judge batches of different sizes
    weighted = terms(module, "generator_loss")["features"].item()
    assert weighted == pytest.approx(WEIGHT * terms(module, "encoder_loss")["features"].item(), rel=1e-4)


@pytest.mark.parametrize(("network", "loss"), [("encoder", "encoder_loss"), ("generator", "generator_loss")])
def test_reconstructions_features_come_nearer(network, loss):
    module = module_with()
    assert pull(module, network, loss, "features", lambda: terms(module, loss)["features"], 1e-5) < 0


def test_the_encoder_has_no_adversary_and_the_discriminator_no_features():
    module = module_with()
    assert set(terms(module, "encoder_loss")) == {"kl", "features"}
    assert set(terms(module, "discriminator_loss")) == {"real", "reconstruction", "sample"}


def test_each_player_moves_once():
    assert [phase.name for phase in module_with().schedule().updates] == ["encoder", "generator", "discriminator"]
