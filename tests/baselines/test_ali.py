"""Pairs of images and codes against pairs of samples and latents."""

import pytest
import torch
from torch import Tensor, nn

from baselines import ALI, BiGAN
from tests.terms import IMAGES, SEED, build, pull, terms

ENCODED_LOGITS, GENERATED_LOGITS = torch.tensor([0.5, -1.5, 2.0]), torch.tensor([-0.75, 1.25, 0.25])

both = pytest.mark.parametrize("model", [ALI, BiGAN])


class PairJudge(nn.Module):
    """Gives known logits to pairs of three images, by whether these are real."""

    def forward(self, images: Tensor, codes: Tensor) -> Tensor:
        assert codes.shape == (3, 6)
        return ENCODED_LOGITS if torch.equal(images, IMAGES[:3]) else GENERATED_LOGITS


@both
def test_losses_at_known_logits(model):
    module = build(model)
    module.discriminator = PairJudge()
    encoded, generated = ENCODED_LOGITS.sigmoid(), GENERATED_LOGITS.sigmoid()
    found = {name: value.item() for name, value in terms(module, "encoder_generator_loss", IMAGES[:3]).items()}
    assert found == pytest.approx({"encoder": -(1 - encoded).log().mean().item(), "generator": -generated.log().mean().item()})
    found = {name: value.item() for name, value in terms(module, "discriminator_loss", IMAGES[:3]).items()}
    assert found == pytest.approx({"encoded": -encoded.log().mean().item(), "generated": -(1 - generated).log().mean().item()})


def encoded(module: BiGAN) -> Tensor:
    with module.drawing_from(torch.Generator().manual_seed(SEED)):
        return module.encoded_pairs(IMAGES)


def generated(module: BiGAN) -> Tensor:
    latents = torch.randn(64, 6, generator=torch.Generator().manual_seed(SEED))
    return module.discriminator(module.generator(latents), latents)


@both
@pytest.mark.parametrize(
    ("network", "loss", "term", "judged", "sign"),
    [
        ("encoder", "encoder_generator_loss", "encoder", encoded, -1),
        ("generator", "encoder_generator_loss", "generator", generated, 1),
        ("discriminator", "discriminator_loss", "encoded", encoded, 1),
        ("discriminator", "discriminator_loss", "generated", generated, -1),
    ],
)
def test_encoder_and_generator_pull_apart_what_the_discriminator_pulls_apart_the_other_way(
    model, network, loss, term, judged, sign
):
    module = build(model)
    assert pull(module, network, loss, term, lambda: judged(module), 1e-2) * sign > 0


@both
@pytest.mark.parametrize(("term", "network"), [("encoder", "generator"), ("generator", "encoder")])
def test_each_term_reaches_one_network(model, term, network):
    module = build(model)
    loss = terms(module, "encoder_generator_loss")[term]
    gradients = torch.autograd.grad(loss, list(getattr(module, network).parameters()), allow_unused=True)
    assert all(gradient is None for gradient in gradients)


def test_samples_go_with_the_latents_that_they_are_made_of():
    module, seen = build(BiGAN), []
    module.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given))
    terms(module, "discriminator_loss")
    (images, codes), (samples, latents) = seen
    assert torch.equal(images, IMAGES)
    assert torch.equal(codes, module.encode(IMAGES))
    assert torch.equal(samples, module.generator(latents))


def test_alis_codes_are_drawn_and_bigans_are_not():
    for model, drawn in ((ALI, True), (BiGAN, False)):
        module = build(model).eval()
        assert torch.equal(module.draw_codes(IMAGES), module.draw_codes(IMAGES)) is not drawn
        assert torch.equal(module.encode(IMAGES), module.encode(IMAGES))
        assert module.encode(IMAGES).shape == (16, 6)


def test_pairs_are_judged_one_by_one():
    module = build(ALI)
    codes = torch.randn(16, 6)
    assert torch.allclose(module.discriminator(IMAGES, codes)[:2], module.discriminator(IMAGES[:2], codes[:2]), atol=1e-5)


@both
@pytest.mark.parametrize("updates", [1, 2])
def test_updates(model, updates):
    module = build(model, generator_updates=updates)
    assert [phase.name for phase in module.schedule().updates] == ["encoder_generator"] * updates + ["discriminator"]
