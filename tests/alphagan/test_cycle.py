"""The α-GAN's losses, with the latents' way to images and back beside them."""

import pytest
import torch

from alphagan import AlphaGAN, CycleAlphaGAN
from tests.terms import IMAGES, SEED, build, pull, terms


def cycle(module: CycleAlphaGAN) -> torch.Tensor:
    """What latents differ by from the codes of their samples, with draws of its own."""
    latents = torch.randn(32, 6, generator=torch.Generator().manual_seed(3))
    return (latents - module.encoder(module.generator(latents))).abs()


def test_everything_but_the_cycle_is_the_alpha_gans():
    module = build(CycleAlphaGAN, reconstruction_weight=5.0)
    plain = build(AlphaGAN, encoder_reconstruction_weight=5.0, generator_reconstruction_weight=5.0)
    for loss in ("encoder_loss", "generator_loss", "discriminator_loss", "code_discriminator_loss"):
        found, expected = terms(module, loss), terms(plain, loss)
        assert set(found) - set(expected) == ({"cycle"} if loss in ("encoder_loss", "generator_loss") else set())
        assert {name: found[name].item() for name in expected} == {name: value.item() for name, value in expected.items()}


def test_the_encoders_cycle_at_known_latents():
    module = build(CycleAlphaGAN, code_weight=3.0)
    latents = torch.randn(16, 6, generator=torch.Generator().manual_seed(SEED))  # the first draw of the encoder's loss
    expected = 3 * (latents - module.encoder(module.generator(latents))).abs().mean().item()
    assert terms(module, "encoder_loss")["cycle"].item() == pytest.approx(expected, rel=1e-4)


def test_the_generators_cycle_has_latents_of_its_own():
    module = build(CycleAlphaGAN, code_weight=3.0)
    source = torch.Generator().manual_seed(SEED)
    first, second = (torch.randn(16, 6, generator=source) for _ in range(2))
    expected = 3 * (second - module.encoder(module.generator(second))).abs().mean().item()
    assert terms(module, "generator_loss")["cycle"].item() == pytest.approx(expected, rel=1e-4)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("network", "loss"), [("encoder", "encoder_loss"), ("generator", "generator_loss")])
def test_both_networks_close_the_cycle(network, loss):
    module = build(CycleAlphaGAN)
    assert pull(module, network, loss, "cycle", lambda: cycle(module), 1e-2) < 0


@pytest.mark.parametrize("loss", ["encoder_loss", "generator_loss"])
def test_one_weight_is_both_networks(loss):
    error = (IMAGES - build(CycleAlphaGAN).reconstruct(IMAGES)).abs().mean().item()
    module = build(CycleAlphaGAN, reconstruction_weight=20.0)
    assert terms(module, loss)["reconstruction"].item() == pytest.approx(20 * error, rel=1e-4)


def test_updates_and_rates():
    module = build(CycleAlphaGAN, learning_rate=1e-3, discriminator_learning_rate=2e-3)
    assert [phase.name[0] for phase in module.schedule().updates] == ["e", "g", "e", "g", "d", "c"]
    assert [optimizer.param_groups[0]["lr"] for optimizer in module.configure_optimizers()] == [1e-3, 1e-3, 2e-3, 2e-3]


def test_what_it_shows_of_its_hyperparameters_is_what_it_was_given():
    assert build(CycleAlphaGAN, code_weight=3.0).hparams.code_weight == 3.0
