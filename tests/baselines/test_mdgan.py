"""What is real to whom: images to one discriminator of MDGAN, reconstructions to the other."""

import pytest
import torch
from torch import Tensor, nn

from baselines import MDGAN, RegGAN
from tests.terms import IMAGES, build, pull, samples, terms

REAL, RECONSTRUCTED, SAMPLED = torch.tensor([[0.5, -1.5, 2.0], [-0.75, 1.25, 0.25], [1.0, 0.125, -2.5]])


class Judge(nn.Module):
    """Gives known logits to three images each: real, reconstructed, sampled."""

    def __init__(self, module: MDGAN | RegGAN) -> None:
        super().__init__()
        self.reconstructions, self.samples = module.reconstruct(IMAGES[:3]), samples(module, 3)

    def forward(self, images: Tensor) -> Tensor:
        known = ((IMAGES[:3], REAL), (self.reconstructions, RECONSTRUCTED), (self.samples, SAMPLED))
        (logits,) = (logits for batch, logits in known if torch.allclose(images, batch, atol=1e-5))
        return logits


def real(logits: Tensor) -> float:
    return -logits.sigmoid().log().mean().item()


def fake(logits: Tensor) -> float:
    return -(1 - logits.sigmoid()).log().mean().item()


def test_mdgans_losses_at_known_logits():
    module = build(MDGAN, reconstruction_weight=7.0)
    error = (IMAGES[:3] - module.reconstruct(IMAGES[:3])).abs().mean().item()
    module.manifold_discriminator = module.diffusion_discriminator = Judge(module)
    expected = {
        "manifold_discriminator_loss": {"real": real(REAL), "reconstruction": fake(RECONSTRUCTED)},
        "autoencoder_loss": {"reconstruction": 7 * error, "adversarial": real(RECONSTRUCTED)},
        "diffusion_discriminator_loss": {"reconstruction": real(RECONSTRUCTED), "sample": fake(SAMPLED)},
        "generator_loss": {"adversarial": real(SAMPLED)},
    }
    for loss, values in expected.items():
        assert {name: value.item() for name, value in terms(module, loss, IMAGES[:3]).items()} == pytest.approx(values, rel=1e-4)


def test_reggans_losses_at_known_logits():
    module = build(RegGAN, reconstruction_weight=7.0, mode_weight=0.3)
    error = (IMAGES[:3] - module.reconstruct(IMAGES[:3])).abs().mean().item()
    module.discriminator = Judge(module)
    regularizers = {"reconstruction": 7 * error, "mode": 0.3 * real(RECONSTRUCTED)}
    expected = {
        "regularizers": regularizers,
        "generator_loss": {"adversarial": real(SAMPLED), **regularizers},
        "discriminator_loss": {"real": real(REAL), "sample": fake(SAMPLED)},
    }
    for loss, values in expected.items():
        assert {name: value.item() for name, value in terms(module, loss, IMAGES[:3]).items()} == pytest.approx(values, rel=1e-4)


def judged(judge: str, kind: str, module: MDGAN | RegGAN) -> Tensor:
    images = {"real": lambda: IMAGES, "reconstruction": lambda: module.reconstruct(IMAGES), "sample": lambda: samples(module)}
    return getattr(module, judge)(images[kind]())


@pytest.mark.parametrize(
    ("network", "loss", "term", "judge", "kind", "sign"),
    [
        ("manifold_discriminator", "manifold_discriminator_loss", "real", "manifold_discriminator", "real", 1),
        (
            "manifold_discriminator",
            "manifold_discriminator_loss",
            "reconstruction",
            "manifold_discriminator",
            "reconstruction",
            -1,
        ),
        ("encoder", "autoencoder_loss", "adversarial", "manifold_discriminator", "reconstruction", 1),
        ("generator", "autoencoder_loss", "adversarial", "manifold_discriminator", "reconstruction", 1),
        (
            "diffusion_discriminator",
            "diffusion_discriminator_loss",
            "reconstruction",
            "diffusion_discriminator",
            "reconstruction",
            1,
        ),
        ("diffusion_discriminator", "diffusion_discriminator_loss", "sample", "diffusion_discriminator", "sample", -1),
        ("generator", "generator_loss", "adversarial", "diffusion_discriminator", "sample", 1),
    ],
)
def test_direction_in_mdgan(network, loss, term, judge, kind, sign):
    module = build(MDGAN)
    assert pull(module, network, loss, term, lambda: judged(judge, kind, module)) * sign > 0


@pytest.mark.parametrize(
    ("network", "loss", "term", "kind", "sign"),
    [
        ("encoder", "regularizers", "mode", "reconstruction", 1),
        ("generator", "generator_loss", "mode", "reconstruction", 1),
        ("generator", "generator_loss", "adversarial", "sample", 1),
        ("discriminator", "discriminator_loss", "real", "real", 1),
        ("discriminator", "discriminator_loss", "sample", "sample", -1),
    ],
)
def test_direction_in_reggan_whose_mode_term_is_printed_with_the_other_sign(network, loss, term, kind, sign):
    module = build(RegGAN)
    assert pull(module, network, loss, term, lambda: judged("discriminator", kind, module)) * sign > 0


def test_mdgans_second_discriminator_sees_no_image():
    module, seen = build(MDGAN), []
    module.diffusion_discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    terms(module, "diffusion_discriminator_loss")
    assert [
        torch.allclose(images, expected, atol=1e-5)
        for images, expected in zip(seen, (module.reconstruct(IMAGES), samples(module)), strict=True)
    ] == [True, True]


@pytest.mark.parametrize(
    ("model", "updates"),
    [
        (MDGAN, ["manifold_discriminator", "autoencoder", "diffusion_discriminator", "generator"]),
        (RegGAN, ["encoder", "generator", "discriminator"]),
    ],
)
def test_updates(model, updates):
    assert [phase.name for phase in build(model).schedule().updates] == updates


@pytest.mark.parametrize("model", [MDGAN, RegGAN])
def test_an_encoder_and_a_reconstruction(model):
    module = build(model).eval()
    assert torch.equal(module.reconstruct(IMAGES), module.generator(module.encoder(IMAGES)))
