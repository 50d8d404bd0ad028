"""Energies and their hinge, image by image, and the pull-away term."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines import EBGAN
from baselines.ebgan import energies, pull_away
from tests.terms import IMAGES, build, pull, samples, terms


class FixedCodes(nn.Module):
    def forward(self, images):
        return torch.arange(3.0 * len(images)).reshape(-1, 3).cos()


class Grey(nn.Module):
    """Reconstructs everything as uniform grey, so that an energy is the image's own root mean square."""

    def forward(self, codes):
        return torch.zeros(len(codes), *IMAGES.shape[1:])


def root_mean_squares(images) -> torch.Tensor:
    return torch.stack([image.square().mean().sqrt() for image in images.detach()])


def with_known_energies(**options):
    module = build(EBGAN, **options)
    module.discriminator = nn.Sequential(FixedCodes(), Grey())
    return module


def spread_out(module) -> None:
    """Let the generator's samples have very different energies."""
    contrast = torch.linspace(0.02, 1, len(IMAGES))[:, None, None, None]
    module.sample = lambda n: IMAGES[:n].flip(0) * contrast[:n]


def test_losses_at_known_energies():
    module = with_known_energies(margin=0.3, pull_away_weight=0.1)
    spread_out(module)
    real, fake = root_mean_squares(IMAGES), root_mean_squares(module.sample(len(IMAGES)))
    found = {name: value.item() for name, value in terms(module, "discriminator_loss").items()}
    assert found == pytest.approx({"real": real.mean().item(), "sample": (0.3 - fake).clamp(min=0).mean().item()}, rel=1e-5)
    cosines = F.cosine_similarity(*(FixedCodes()(IMAGES).unsqueeze(side) for side in (0, 1)), dim=2)
    others = cosines[~torch.eye(len(IMAGES), dtype=torch.bool)]
    found = {name: value.item() for name, value in terms(module, "generator_loss").items()}
    expected = {"energy": fake.mean().item(), "pull_away": 0.1 * others.square().mean().item()}
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_hinge_is_one_per_image():
    module = with_known_energies(margin=0.25)
    spread_out(module)
    fake = root_mean_squares(module.sample(len(IMAGES)))
    assert (fake < 0.25).any()
    assert fake.mean() > 0.25  # so the hinge of the mean would be 0
    assert terms(module, "discriminator_loss")["sample"] > 0.01


def test_beyond_the_margin_samples_move_the_discriminator_no_more():
    for margin, moves in ((0.0, False), (10.0, True)):
        module = build(EBGAN, margin=margin)
        gradients = torch.autograd.grad(terms(module, "discriminator_loss")["sample"], list(module.discriminator.parameters()))
        assert any(gradient.any() for gradient in gradients) == moves


def energy_of(module, images) -> torch.Tensor:
    return energies(images, module.discriminator(images))


@pytest.mark.parametrize(
    ("network", "loss", "term", "on_real", "sign"),
    [
        ("discriminator", "discriminator_loss", "real", True, -1),
        ("discriminator", "discriminator_loss", "sample", False, 1),
        ("generator", "generator_loss", "energy", False, -1),
    ],
)
def test_direction_of_energies(network, loss, term, on_real, sign):
    module = build(EBGAN, margin=10.0)
    assert pull(module, network, loss, term, lambda: energy_of(module, IMAGES if on_real else samples(module))) * sign > 0


def test_pulling_away_makes_the_samples_codes_more_orthogonal():
    module = build(EBGAN, pull_away_weight=0.1)
    assert (
        pull(module, "generator", "generator_loss", "pull_away", lambda: pull_away(module.discriminator[0](samples(module)))) < 0
    )


def test_pull_away_by_hand():
    codes = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    assert pull_away(codes).item() == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert pull_away(-7 * codes).item() == pytest.approx(1 / 3)  # neither length nor sign counts
    assert pull_away(torch.ones(4, 5)).item() == pytest.approx(1.0)


def test_the_plain_model_has_no_pull_away_term():
    assert set(terms(build(EBGAN), "generator_loss")) == {"energy"}


def test_an_energy_is_one_number_an_image_and_has_a_gradient_where_nothing_differs():
    images = IMAGES[:3].clone().requires_grad_(True)
    values = energies(images, IMAGES[:3])
    assert values.tolist() == pytest.approx([1e-6] * 3)
    assert torch.autograd.grad(values.sum(), images)[0].isfinite().all()


def test_an_energy_does_not_depend_on_the_rest_of_the_batch():
    module = build(EBGAN)
    with torch.no_grad():
        assert torch.allclose(energy_of(module, IMAGES)[:3], energy_of(module, IMAGES[:3]), atol=1e-5)


def test_updates_and_defaults():
    module = build(EBGAN)
    assert [phase.name for phase in module.schedule().updates] == ["discriminator", "generator"]
    assert module.hparams.margin == pytest.approx(20 / (3 * 64 * 64) ** 0.5, abs=0.001)  # the paper's, for CelebA
