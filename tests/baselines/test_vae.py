"""The evidence lower bound: its two terms, in one unit."""

import math

import pytest
import torch
from torch.distributions import Laplace, Normal, kl_divergence

from baselines import VAE
from benchmark import losses
from tests.terms import IMAGES, SEED, build, pull, terms


def bound(module: VAE) -> float:
    """The negative evidence lower bound by torch's distributions, in nats an image."""
    mean, log_variance = module.encoder(IMAGES).chunk(2, 1)
    deviation = (log_variance / 2).exp()
    latents = mean + deviation * torch.randn(16, 6, generator=torch.Generator().manual_seed(SEED))
    likelihood = Laplace(module.generator(latents), module.hparams.scale).log_prob(IMAGES).sum((1, 2, 3))
    return (kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1) - likelihood).mean().item()


@pytest.mark.parametrize("scale", [0.05, 0.3])
def test_its_terms_are_the_bound_divided_by_the_latent_size(scale):
    module = build(VAE, scale=scale)
    found = terms(module, "loss")
    trained = found["reconstruction"] + found["kl"]
    expected = bound(module)
    assert found["negative_elbo"].item() == pytest.approx(expected, rel=1e-4)
    constant = 3 * 28 * 28 * math.log(2 * scale)
    assert 6 * trained.item() + constant == pytest.approx(expected, rel=1e-4)


def test_the_bound_is_logged_and_not_trained():
    assert not terms(build(VAE), "loss")["negative_elbo"].requires_grad


def test_a_wide_likelihood_counts_little():
    narrow, wide = (terms(build(VAE, scale=scale), "loss")["reconstruction"].item() for scale in (0.1, 1.0))
    assert narrow == pytest.approx(10 * wide, rel=1e-5)


@pytest.mark.parametrize("network", ["encoder", "generator"])
def test_reconstructions_get_better(network):
    module = build(VAE)

    def error() -> torch.Tensor:
        return terms(module, "loss")["reconstruction"]

    assert pull(module, network, "loss", "reconstruction", error, 1e-5) < 0


def test_the_divergence_draws_posteriors_to_the_prior():
    module = build(VAE)
    assert pull(module, "encoder", "loss", "kl", lambda: losses.gaussian_kl(*module.posterior(IMAGES))) < 0


def test_nobody_is_an_adversary():
    module = build(VAE)
    (phase,) = module.schedule().updates
    assert phase.networks == [module.encoder, module.generator]
    assert len(list(module.children())) == 2
