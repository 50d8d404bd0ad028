"""What a Gaussian posterior is, and which code stands for an image."""

import torch

from baselines import AAE, VAE
from tests.terms import IMAGES, build


def test_an_encoder_of_means_and_variances_has_twice_as_many_outputs():
    module = build(VAE)
    mean, log_variance = module.posterior(IMAGES)
    assert mean.shape == log_variance.shape == (16, 6)
    assert torch.equal(torch.cat([mean, log_variance], 1), module.encoder(IMAGES))


def test_drawn_codes_have_the_means_and_deviations_of_the_posterior():
    module = build(VAE)
    mean, deviation = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 3.0]])
    codes = module.draw(mean.expand(20_000, 2), 2 * deviation.log().expand(20_000, 2))
    assert torch.allclose(codes.mean(0), mean, atol=0.1)
    assert torch.allclose(codes.std(0), deviation, rtol=0.03)


def test_drawn_codes_are_differentiable_in_mean_and_variance():
    mean, log_variance = torch.zeros(4, 6, requires_grad=True), torch.zeros(4, 6, requires_grad=True)
    codes = build(VAE).draw(mean, log_variance)
    by_mean, by_log_variance = torch.autograd.grad(codes.sum(), (mean, log_variance))
    assert torch.equal(by_mean, torch.ones(4, 6))
    assert torch.allclose(by_log_variance, codes.detach() / 2)


def test_an_images_code_is_the_mean_and_its_reconstruction_the_means():
    module = build(VAE).eval()
    assert torch.equal(module.encode(IMAGES), module.posterior(IMAGES)[0])
    assert torch.equal(module.reconstruct(IMAGES), module.generator(module.posterior(IMAGES)[0]))
    assert not torch.equal(module.draw_codes(IMAGES), module.draw_codes(IMAGES))


def test_a_deterministic_code_is_the_same_each_time():
    module = build(AAE).eval()
    assert torch.equal(module.draw_codes(IMAGES), module.encode(IMAGES))
