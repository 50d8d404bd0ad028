"""Which way does each term pull? Who moves when? The v1 erratum."""

import pytest
import torch
from torch import Tensor

from alphagan import AlphaGAN, EmpiricalKLAlphaGAN
from benchmark import losses
from tests.support import SHAPE, iterate

IMAGES = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def model():
    torch.manual_seed(0)
    return AlphaGAN(SHAPE, latent_dim=6, width=0.125, encoder_reconstruction_weight=5.0, generator_reconstruction_weight=3.0)


def pull(module: AlphaGAN, network: str, loss: str, term: str, judged) -> float:
    """How a step of `network` down one term of a loss changes the mean logit that `judged` returns."""
    parameters = list(getattr(module, network).parameters())
    before = judged().mean().item()
    with module.drawing_from(torch.Generator().manual_seed(1)):  # the latents of a phase
        gradients = torch.autograd.grad(getattr(module, loss)(IMAGES)[term], parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 1e-3 * gradient
    return judged().mean().item() - before


def code_logits(module: AlphaGAN) -> Tensor:
    return module.code_discriminator(module.encode(IMAGES))


def prior_logits(module: AlphaGAN) -> Tensor:
    return module.code_discriminator(module.prior(64, torch.Generator().manual_seed(1)))


def real_logits(module: AlphaGAN) -> Tensor:
    return module.discriminator(IMAGES)


def reconstruction_logits(module: AlphaGAN) -> Tensor:
    return module.discriminator(module.reconstruct(IMAGES))


def sample_logits(module: AlphaGAN) -> Tensor:
    return module.discriminator(module.sample(64, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(
    ("network", "loss", "term", "judged", "sign"),
    [
        ("encoder", "encoder_loss", "code", code_logits, 1),
        ("generator", "generator_loss", "adversarial_reconstruction", reconstruction_logits, 1),
        ("generator", "generator_loss", "adversarial_sample", sample_logits, 1),
        ("discriminator", "discriminator_loss", "real", real_logits, 1),
        ("discriminator", "discriminator_loss", "reconstruction", reconstruction_logits, -1),
        ("discriminator", "discriminator_loss", "sample", sample_logits, -1),
        ("code_discriminator", "code_discriminator_loss", "prior", prior_logits, 1),
        ("code_discriminator", "code_discriminator_loss", "code", code_logits, -1),
    ],
)
def test_direction(model, network, loss, term, judged, sign):
    assert pull(model, network, loss, term, lambda: judged(model)) * sign > 0


def test_v1_erratum_encoder_and_code_discriminator_pull_the_codes_logits_apart(model):
    """In arXiv v1 both push C(ẑ) up, so nothing holds the codes to the prior; the authors confirmed the exchange."""
    by_encoder = pull(model, "encoder", "encoder_loss", "code", lambda: code_logits(model))
    by_code_discriminator = pull(model, "code_discriminator", "code_discriminator_loss", "code", lambda: code_logits(model))
    assert by_encoder > 0 > by_code_discriminator


def test_reconstruction_errors_fall_and_are_weighted(model):
    error = losses.l1(IMAGES, model.reconstruct(IMAGES)).item()
    assert model.encoder_loss(IMAGES)["reconstruction"].item() == pytest.approx(5 * error, rel=1e-4)
    assert model.generator_loss(IMAGES)["reconstruction"].item() == pytest.approx(3 * error, rel=1e-4)
    for network, loss in (("encoder", "encoder_loss"), ("generator", "generator_loss")):
        assert pull(model, network, loss, "reconstruction", lambda: (IMAGES - model.reconstruct(IMAGES)).abs()) < 0


def test_adversarial_terms_are_minus_the_logit(model):
    assert model.encoder_loss(IMAGES)["code"].item() == pytest.approx(-code_logits(model).mean().item(), rel=1e-4)
    terms = model.generator_loss(IMAGES)
    assert terms["adversarial_reconstruction"].item() == pytest.approx(-reconstruction_logits(model).mean().item(), rel=1e-3)


def test_real_images_weigh_as_much_as_both_kinds_of_fakes(model):
    model.discriminator[-2].weight.data.zero_()  # every logit is 0, every cross entropy log 2
    model.discriminator[-2].bias.data.zero_()
    terms = model.discriminator_loss(IMAGES)
    assert [value.item() / torch.tensor(2.0).log().item() for value in terms.values()] == pytest.approx([1.0, 0.5, 0.5])


def test_updates_go_e_g_e_g_d_c_with_four_optimizers(model):
    assert [phase.name[0] for phase in model.schedule().updates] == ["e", "g", "e", "g", "d", "c"]
    optimizers = iterate(model, 10)
    assert [{int(state["step"]) for state in o.state.values()} for o in optimizers] == [{20}, {20}, {10}, {10}]


def test_learning_rates_reach_their_networks():
    model = AlphaGAN(
        SHAPE, 6, learning_rate=1e-3, discriminator_learning_rate=2e-3, code_discriminator_learning_rate=3e-3, width=0.125
    )
    assert [optimizer.param_groups[0]["lr"] for optimizer in model.configure_optimizers()] == [1e-3, 1e-3, 2e-3, 3e-3]
    assert {optimizer.param_groups[0]["betas"] for optimizer in model.configure_optimizers()} == {(0.5, 0.9)}


def test_the_ablation_has_the_empirical_kl_over_the_latent_size_and_no_code_discriminator():
    model = AlphaGAN(SHAPE, 6, width=0.125, code_prior="empirical_kl")
    assert not hasattr(model, "code_discriminator")
    assert [phase.name[0] for phase in model.schedule().updates] == ["e", "g", "e", "g", "d"]
    expected = losses.empirical_kl(model.encode(IMAGES)).item() / 6
    assert model.encoder_loss(IMAGES)["code"].item() == pytest.approx(expected, rel=1e-4)


def test_the_ablation_is_a_model_of_its_own_with_nothing_more_to_tune():
    model = EmpiricalKLAlphaGAN(SHAPE, 6, width=0.125)
    assert model.hparams.code_prior == "empirical_kl"
    assert set(EmpiricalKLAlphaGAN.sweep) == set(AlphaGAN.sweep) - {"code_discriminator_learning_rate"}


def test_an_unknown_code_prior_is_refused():
    with pytest.raises(ValueError, match="empirical_kl"):
        AlphaGAN(SHAPE, code_prior="gaussian")


def test_three_lines_override_a_loss_term():
    class NonSaturating(AlphaGAN):
        def adversarial_term(self, fakes: Tensor) -> Tensor:
            return losses.non_saturating(self.discriminator(fakes))

    torch.manual_seed(0)
    model = NonSaturating(SHAPE, 6, width=0.125)
    assert model.generator_loss(IMAGES)["adversarial_sample"].item() > 0
    assert model.hparams.latent_dim == 6


def test_the_sweep_is_the_papers():
    rates, weights = (1e-4, 2e-4, 1e-3), (1.0, 5.0, 10.0, 50.0)
    assert AlphaGAN.sweep == {
        "learning_rate": rates,
        "discriminator_learning_rate": rates,
        "code_discriminator_learning_rate": rates,
        "encoder_reconstruction_weight": weights,
        "generator_reconstruction_weight": weights,
    }
