"""Thin torchmetrics: the function's value for any batches, a goal, and a way to start again."""

import inspect

import pytest
import torch
from torchmetrics import Metric

import metrics
from metrics import CriticNotReady, CriticScore, ModeCoverage, PriorMatch, WassersteinCritic, code_match, mode_coverage, moments
from metrics.rounding import full_precision

SHELLS = [getattr(metrics, name) for name in metrics.__all__ if name[0].isupper()]


def test_everything_that_is_named_is_there():
    for name in metrics.__all__:
        assert inspect.isclass(getattr(metrics, name)) or inspect.isfunction(getattr(metrics, name)), name


@pytest.mark.parametrize("shell", [one for one in SHELLS if issubclass(one, Metric)], ids=lambda one: one.__name__)
def test_a_shell_says_which_way_is_better(shell):
    goals = shell.goal.values() if isinstance(shell.goal, dict) else [shell.goal]
    assert set(goals) <= {"maximize", "minimize", "match"}
    assert shell.is_differentiable is False
    assert shell.__doc__


def test_convolutions_are_exact_inside_and_as_they_were_outside():
    before = torch.backends.cudnn.allow_tf32
    with full_precision():
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.enabled
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_modes(batch):
    modes = torch.randint(30, (100,), generator=torch.Generator().manual_seed(0))
    metric = ModeCoverage(n_modes=30)
    for some in modes.split(batch):
        metric.update(some)
    covered, kl = mode_coverage(modes, 30)
    assert metric.compute()["covered"] == covered
    assert metric.compute()["kl"].item() == pytest.approx(kl, rel=1e-12)
    metric.reset()
    metric.update(modes[:1])
    assert metric.compute()["covered"] == 1


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_codes(batch):
    source = torch.Generator().manual_seed(0)
    codes, prior = torch.randn(100, 4, generator=source) * 2 + 1, moments(torch.randn(90, 4, generator=source))
    metric = PriorMatch(prior)
    for some in codes.split(batch):
        metric.update(some)
    expected = code_match(moments(codes), prior)
    for name, value in metric.compute().items():
        assert value.item() == pytest.approx(getattr(expected, name), rel=1e-5)
        assert value.dtype == torch.float64


@pytest.mark.parametrize("batch", [1, 7, 20])
def test_the_critic(batch):
    source = torch.Generator().manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1), torch.nn.Flatten(0))
    critic = WassersteinCritic(network, budget=1, generator=source)
    fake, real = torch.rand(20, 3, 2, 2, generator=source) * 2 - 1, torch.rand(18, 3, 2, 2, generator=source)
    metric = CriticScore(critic)
    with pytest.raises(CriticNotReady):
        metric.update(fake, real=False)
    critic.step(real, fake[:18])
    for some in fake.split(batch):
        metric.update(some, real=False)
    for some in real.split(batch):
        metric.update(some, real=True)
    assert metric.compute().item() == pytest.approx(critic.value([fake], [real]).value, rel=1e-6)
    with pytest.raises(ValueError, match="lie in"):
        metric.update(fake * 9, real=False)
