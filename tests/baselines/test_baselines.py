import pytest
import torch

from baselines import AGE, DCGAN, WGANGP
from benchmark import losses
from tests.support import SHAPE, iterate
from tests.terms import IMAGES, build, pull, terms
from tests.terms import samples as samples_of

LATENTS = 64


def samples(module):
    return samples_of(module, LATENTS)


@pytest.mark.parametrize(
    ("model", "network", "loss", "term", "on_real", "sign"),
    [
        (DCGAN, "generator", "generator_loss", "adversarial", False, 1),
        (DCGAN, "discriminator", "discriminator_loss", "real", True, 1),
        (DCGAN, "discriminator", "discriminator_loss", "sample", False, -1),
        (WGANGP, "generator", "generator_loss", "adversarial", False, 1),
    ],
)
def test_direction_of_logits_and_scores(model, network, loss, term, on_real, sign):
    module = build(model)
    judge = module.critic if model is WGANGP else module.discriminator

    def judged() -> torch.Tensor:
        return judge(IMAGES if on_real else samples(module))

    assert pull(module, network, loss, term, judged) * sign > 0


def test_the_critic_raises_real_above_samples():
    module = build(WGANGP)

    def difference() -> torch.Tensor:
        return module.critic(IMAGES).mean() - module.critic(samples(module)).mean()

    assert pull(module, "critic", "critic_loss", "wasserstein", difference, 1e-4) > 0


def test_the_penalty_has_its_weight():
    light, heavy = (terms(build(WGANGP, penalty_weight=weight), "critic_loss")["gradient_penalty"] for weight in (1.0, 10.0))
    assert heavy.item() == pytest.approx(10 * light.item(), rel=1e-5)


def test_the_critic_has_no_batch_norm():
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in build(WGANGP).critic)


def test_dcgans_losses_are_those_of_the_standard_gan():
    module = build(DCGAN)
    value = terms(module, "discriminator_loss")["real"].item()
    d = module.discriminator(IMAGES).sigmoid()
    assert value == pytest.approx(-d.log().mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("model", "order", "steps"),
    [
        (DCGAN, ["generator"] * 2 + ["discriminator"], [6, 3]),
        (WGANGP, ["critic"] * 5 + ["generator"], [15, 3]),
        (AGE, ["encoder"] + ["generator"] * 2, [3, 6]),
    ],
)
def test_updates_and_their_order(model, order, steps):
    module = build(model)
    assert [phase.name for phase in module.schedule().updates] == order
    optimizers = iterate(module, 3)
    assert [{int(state["step"]) for state in o.state.values()} for o in optimizers] == [{n} for n in steps]


@pytest.mark.parametrize(("shape", "given", "expected"), [(SHAPE, None, 2), ((3, 64, 64), None, 3), (SHAPE, 5, 5)])
def test_age_updates_its_generator_as_often_as_its_authors_did(shape, given, expected):
    module = AGE(shape, 6, generator_updates=given, width=0.125)
    assert [phase.name for phase in module.schedule().updates] == ["encoder"] + ["generator"] * expected


def test_ages_latents_and_codes_lie_on_the_unit_sphere():
    module = build(AGE)
    for codes in (module.prior(50), module.encode(IMAGES)):
        assert torch.allclose(codes.norm(dim=1), torch.ones(len(codes)), atol=1e-5)


def divergence_of_samples(module) -> torch.Tensor:
    return module.divergence(module.encode(samples(module)))


def divergence_of_images(module) -> torch.Tensor:
    return module.divergence(module.encode(IMAGES))


@pytest.mark.parametrize(
    ("network", "loss", "term", "measured", "sign"),
    [
        ("encoder", "encoder_loss", "real", divergence_of_images, -1),
        ("encoder", "encoder_loss", "sample", divergence_of_samples, 1),
        ("generator", "generator_loss", "sample", divergence_of_samples, -1),
    ],
)
def test_age_encoder_and_generator_pull_the_samples_codes_apart(network, loss, term, measured, sign):
    module = build(AGE)
    assert pull(module, network, loss, term, lambda: measured(module)) * sign > 0


def test_age_reconstructs_images_by_the_encoder_and_codes_by_the_generator():
    module = build(AGE)
    assert "code" not in module.encoder_loss(IMAGES)
    assert "reconstruction" not in module.generator_loss(IMAGES)
    error = losses.l1(IMAGES, module.reconstruct(IMAGES)).item()
    assert module.encoder_loss(IMAGES)["reconstruction"].item() == pytest.approx(10 * error, rel=1e-4)


def test_ages_code_term_is_the_weighted_mean_of_one_minus_cosine():
    module = build(AGE, code_weight=4.0)
    value = terms(module, "generator_loss")["code"].item()
    latents = module.prior(len(IMAGES), torch.Generator().manual_seed(1))
    codes = module.encode(module.generator(latents))
    assert value == pytest.approx(4 * (1 - (codes * latents).sum(1)).mean().item(), rel=1e-4)


def test_each_network_has_its_own_learning_rate():
    dcgan = build(DCGAN, learning_rate=1e-3, discriminator_learning_rate=2e-3)
    wgan_gp = build(WGANGP, learning_rate=3e-3, critic_learning_rate=4e-3)
    age = build(AGE, learning_rate=5e-3)
    rates = [[optimizer.param_groups[0]["lr"] for optimizer in model.configure_optimizers()] for model in (dcgan, wgan_gp, age)]
    assert rates == [[1e-3, 2e-3], [4e-3, 3e-3], [5e-3, 5e-3]]


def test_dcgans_generator_minimizes_minus_log_d():
    module = build(DCGAN)
    value = terms(module, "generator_loss")["adversarial"].item()
    d = module.discriminator(module.sample(len(IMAGES), torch.Generator().manual_seed(1))).sigmoid()
    assert value == pytest.approx(-d.log().mean().item(), rel=1e-4)


def test_ages_divergence_is_the_empirical_kl_per_latent_dimension():
    codes = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
    assert build(AGE).divergence(codes).item() == pytest.approx(losses.empirical_kl(codes).item() / 6, rel=1e-6)


def test_the_sweeps_are_the_papers():
    small = (1e-4, 2e-4, 3e-4)
    assert DCGAN.sweep == {"learning_rate": small, "discriminator_learning_rate": small}
    assert WGANGP.sweep == {"learning_rate": small, "critic_learning_rate": small}
    # The authors' weights 100 to 2000, which their code divides by a latent size of 128.
    assert AGE.sweep == {"learning_rate": (1e-4, 2e-4, 5e-4), "code_weight": (0.78125, 3.90625, 7.8125, 15.625)}
    assert AGE(SHAPE, 6, width=0.125).hparams.code_weight == 7.8125
    assert WGANGP(SHAPE, 6, width=0.125).hparams.penalty_weight == 10
