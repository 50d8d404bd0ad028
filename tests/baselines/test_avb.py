"""The adversary estimates a divergence of each image's posterior to the prior."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from baselines import AVB
from tests.terms import IMAGES, SEED, build, pull, terms

STEPS = 100

CODE_LOGITS, PRIOR_LOGITS = torch.tensor([0.5, -1.5, 2.0]), torch.tensor([-0.75, 1.25, 0.25])


class Adversary(nn.Module):
    """Gives known logits by whether codes are the prior draws that follow an encoder's noise."""

    def __init__(self, prior: Tensor) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, images: Tensor, codes: Tensor) -> Tensor:
        assert torch.equal(images, IMAGES[:3])  # the same images with both kinds of codes
        return PRIOR_LOGITS if torch.equal(codes, self.prior) else CODE_LOGITS


def noise_and_prior() -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(SEED)
    return torch.randn(3, 8, 1, 1, generator=source), torch.randn(3, 6, generator=source)


def test_losses_at_known_logits():
    module = build(AVB, reconstruction_weight=7.0)
    noise, prior = noise_and_prior()
    codes = module.encoder(torch.cat([IMAGES[:3], noise.expand(3, 8, 28, 28)], 1))
    error = (IMAGES[:3] - module.generator(codes)).abs().mean().item()
    module.adversary = Adversary(prior)
    of_codes = CODE_LOGITS + (codes.square().sum(1) - 6) / 2
    of_prior = PRIOR_LOGITS + (prior.square().sum(1) - 6) / 2
    found = {name: value.item() for name, value in terms(module, "adversary_loss", IMAGES[:3]).items()}
    expected = {"code": -of_codes.sigmoid().log().mean().item(), "prior": -(1 - of_prior.sigmoid()).log().mean().item()}
    assert found == pytest.approx(expected, rel=1e-4)
    found = {name: value.item() for name, value in terms(module, "autoencoder_loss", IMAGES[:3]).items()}
    assert found == pytest.approx({"reconstruction": 7 * error, "divergence": of_codes.mean().item()}, rel=1e-4)


def code_ratios(module: AVB) -> Tensor:
    with module.drawing_from(torch.Generator().manual_seed(SEED)):
        return module.log_ratio(IMAGES, module.encode(IMAGES))


def prior_ratios(module: AVB) -> Tensor:
    return module.log_ratio(IMAGES, module.prior(16, torch.Generator().manual_seed(SEED)))


@pytest.mark.parametrize(
    ("network", "loss", "term", "judged", "sign"),
    [
        ("encoder", "autoencoder_loss", "divergence", code_ratios, -1),
        ("adversary", "adversary_loss", "code", code_ratios, 1),
        ("adversary", "adversary_loss", "prior", prior_ratios, -1),
    ],
)
def test_direction(network, loss, term, judged, sign):
    module = build(AVB)
    assert pull(module, network, loss, term, lambda: judged(module)) * sign > 0


def test_the_ratio_is_that_of_a_pair():
    module = build(AVB)
    codes = torch.randn(16, 6)
    ratios = module.log_ratio(IMAGES, codes)
    assert not torch.equal(module.log_ratio(IMAGES.flip(0), codes), ratios)
    assert torch.allclose(module.log_ratio(IMAGES[:1], codes[:1]), ratios[:1], atol=1e-4)


class GaussianCodes(AVB):
    """Posteriors that are known: a bright image has another mean than a dark one."""

    DEVIATION = 0.7

    def means(self, images: Tensor) -> Tensor:
        bright = images.mean((1, 2, 3)).sign()[:, None]
        return torch.cat([bright, -0.7 * bright], 1)

    def encode(self, images: Tensor) -> Tensor:
        return self.means(images) + self.DEVIATION * torch.randn(len(images), 2, generator=self.randomness)


def test_the_adversary_approaches_the_divergence_of_gaussian_posteriors():
    torch.manual_seed(0)
    module = GaussianCodes((1, 16, 16), latent_dim=2, width=0.125)
    images = torch.rand(256, 1, 16, 16) * 0.2 + torch.where(torch.arange(256) % 2 == 0, 0.4, -0.6)[:, None, None, None]
    posterior, prior = Normal(module.means(images), torch.full((256, 2), module.DEVIATION)), Normal(0.0, 1.0)
    optimizer = torch.optim.Adam(module.adversary.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)
    for seed in range(STEPS):
        loss = sum(terms(module, "adversary_loss", images, seed).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        batches = [module.encode(images) for _ in range(20)]
        estimates = torch.stack([module.log_ratio(images, codes) for codes in batches])
        ratios = torch.stack([(posterior.log_prob(codes) - prior.log_prob(codes)).sum(1) for codes in batches])
    expected = kl_divergence(posterior, prior).sum(1).mean().item()
    assert expected > 0.9
    assert estimates.mean().item() == pytest.approx(expected, abs=0.1)
    assert (estimates - ratios).abs().mean().item() < 0.25  # and so it is pair by pair


def test_codes_are_drawn_and_their_noise_is_one_number_a_channel():
    module = build(AVB).eval()
    seen = []
    module.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    first, second = module.encode(IMAGES), module.encode(IMAGES)
    assert not torch.equal(first, second)
    assert torch.equal(seen[0][:, :3], IMAGES)
    noise = seen[0][:, 3:]
    assert torch.equal(noise, noise[:, :, :1, :1].expand_as(noise))
    assert len(noise[:, :, 0, 0].unique()) == 16 * 8


def test_a_copy_draws_the_same_codes_each_time():
    module = build(AVB).eval()
    module.encode(IMAGES)
    assert torch.equal(copy.deepcopy(module).encode(IMAGES), copy.deepcopy(module).encode(IMAGES))
