"""Images compared by features of a network that is nobody's, and a discriminator of reconstructions alone."""

import pytest
import torch
from torch import Tensor, nn

from baselines import DeePSiM
from baselines.comparator import Comparator
from tests.support import PIXELS, iterate
from tests.terms import IMAGES, build, pull, terms

REAL, RECONSTRUCTED = torch.tensor([0.5, -1.5, 2.0]), torch.tensor([-0.75, 1.25, 0.25])


class Judge(nn.Module):
    """Gives known logits to three images each: real, or anything else."""

    def forward(self, images: Tensor) -> Tensor:
        return REAL if torch.equal(images, IMAGES[:3]) else RECONSTRUCTED


def test_losses_at_known_logits():
    module = build(DeePSiM, feature_weight=3.0, image_weight=5.0)
    module.discriminator = Judge()
    images, compare = IMAGES[:3], Comparator("digits")
    codes = module.encoder(images)
    reconstructions = module.generator(codes)
    variance = codes.var(0, correction=0) + 1e-6
    expected = {
        "features": 3 * (compare(images) - compare(reconstructions)).square().mean().item(),
        "image": 5 * (images - reconstructions).square().mean().item(),
        "adversarial": -RECONSTRUCTED.sigmoid().log().mean().item(),
        "kl": 0.5 * (variance + codes.mean(0) ** 2 - variance.log() - 1).mean().item(),
    }
    assert {name: value.item() for name, value in terms(module, "autoencoder_loss", images).items()} == pytest.approx(
        expected, rel=1e-3
    )
    found = {name: value.item() for name, value in terms(module, "discriminator_loss", images).items()}
    expected = {"real": -REAL.sigmoid().log().mean().item(), "reconstruction": -(1 - RECONSTRUCTED.sigmoid()).log().mean().item()}
    assert found == pytest.approx(expected, rel=1e-4)


def real(module: DeePSiM) -> Tensor:
    return module.discriminator(IMAGES)


def reconstructed(module: DeePSiM) -> Tensor:
    return module.discriminator(module.reconstruct(IMAGES))


def feature_error(module: DeePSiM) -> Tensor:
    return (module.comparator(IMAGES) - module.comparator(module.reconstruct(IMAGES))).square()


def image_error(module: DeePSiM) -> Tensor:
    return (IMAGES - module.reconstruct(IMAGES)).square()


@pytest.mark.parametrize(
    ("network", "loss", "term", "measured", "sign"),
    [
        ("encoder", "autoencoder_loss", "adversarial", reconstructed, 1),
        ("generator", "autoencoder_loss", "adversarial", reconstructed, 1),
        ("generator", "autoencoder_loss", "features", feature_error, -1),
        ("encoder", "autoencoder_loss", "features", feature_error, -1),
        ("generator", "autoencoder_loss", "image", image_error, -1),
        ("discriminator", "discriminator_loss", "real", real, 1),
        ("discriminator", "discriminator_loss", "reconstruction", reconstructed, -1),
    ],
)
def test_direction(network, loss, term, measured, sign):
    module = build(DeePSiM)
    assert pull(module, network, loss, term, lambda: measured(module)) * sign > 0


def test_no_sample_of_the_prior_is_in_a_loss():
    module = build(DeePSiM)
    module.prior = None  # would be called
    terms(module, "autoencoder_loss")
    terms(module, "discriminator_loss")


def test_the_comparator_stays_what_it_is_and_out_of_the_checkpoint():
    module = build(DeePSiM)
    before = {name: value.clone() for name, value in module.comparator.named_buffers()}
    iterate(module, 2, PIXELS)
    assert all(torch.equal(value, before[name]) for name, value in module.comparator.named_buffers())
    assert not [name for name in module.state_dict() if "comparator" in name]


def test_which_comparator():
    assert torch.equal(build(DeePSiM).comparator.weight0, Comparator("digits").weight0)
    assert torch.equal(build(DeePSiM, comparator="objects").comparator.weight0, Comparator("objects").weight0)
    assert torch.equal(DeePSiM((1, 32, 32), 4, width=0.125).comparator.weight0, Comparator("objects").weight0)


def test_updates():
    assert [phase.name for phase in build(DeePSiM).schedule().updates] == ["autoencoder", "discriminator"]
