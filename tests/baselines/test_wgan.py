"""Clipped weights, RMSProp, and which way the critic and the generator pull."""

import pytest
import torch

from baselines import WGAN
from tests.support import iterate
from tests.terms import FAKE_LOGITS, IMAGES, REAL_LOGITS, build, judged_terms, pull, samples


def test_losses_at_known_scores():
    difference = (FAKE_LOGITS.sum() - REAL_LOGITS.sum()).item() / 4
    assert judged_terms(build(WGAN), "critic_loss", "critic") == pytest.approx({"wasserstein": difference})
    assert judged_terms(build(WGAN), "generator_loss", "critic") == pytest.approx({"adversarial": -FAKE_LOGITS.mean().item()})


def test_the_critic_raises_real_above_samples():
    module = build(WGAN)
    assert (
        pull(module, "critic", "critic_loss", "wasserstein", lambda: module.critic(IMAGES) - module.critic(samples(module))) > 0
    )


def test_the_generator_raises_the_scores_of_its_samples():
    module = build(WGAN, clip=0.1)
    assert pull(module, "generator", "generator_loss", "adversarial", lambda: module.critic(samples(module))) > 0


@torch.no_grad()
def largest_weight(network) -> float:
    return max(parameter.abs().max().item() for parameter in network.parameters())


@pytest.mark.parametrize("clip", [0.01, 0.003])
def test_the_critics_weights_stay_in_the_box_from_the_start(clip):
    module = build(WGAN, clip=clip, learning_rate=1e-3)
    for iterations in (0, 1, 5):
        iterate(module, iterations)
        assert largest_weight(module.critic) == pytest.approx(clip)  # its edge: without the clipping they would be outside
    assert largest_weight(module.generator) > clip


def test_batch_norm_is_clipped_too():
    module = build(WGAN)
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in module.critic)
    assert all(layer.weight.abs().max() <= 0.01 for layer in module.critic if isinstance(layer, torch.nn.BatchNorm2d))


def test_five_updates_of_the_critic_by_rmsprop_to_one_of_the_generator():
    module = build(WGAN)
    assert [phase.name for phase in module.schedule().updates] == ["critic"] * 5 + ["generator"]
    optimizers = iterate(module, 2)
    assert [{int(state["step"]) for state in optimizer.state.values()} for optimizer in optimizers] == [{10}, {2}]
    for optimizer in optimizers:
        assert isinstance(optimizer, torch.optim.RMSprop)
        group = optimizer.param_groups[0]
        assert (group["lr"], group["alpha"], group["momentum"], group["centered"]) == (5e-5, 0.99, 0, False)
