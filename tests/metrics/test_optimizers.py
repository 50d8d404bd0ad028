import copy

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from metrics.optimizers import adam, fit_to_device, fitted_state


def trained(optimizer, weight, steps, seed=0):
    """`steps` steps down the gradients of a seed."""
    draws = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        weight.grad = torch.randn(weight.shape, generator=draws)
        optimizer.step()
    return weight.detach().clone()


def test_adam_by_hand():
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = adam([weight], 0.1)
    expected, first, second = weight.detach().clone(), 0.0, 0.0
    for step, gradient in enumerate([torch.tensor([0.3, -4.0]), torch.tensor([-1.0, 0.5])], start=1):
        weight.grad = gradient.double()
        optimizer.step()
        first = 0.5 * first + 0.5 * weight.grad
        second = 0.9 * second + 0.1 * weight.grad**2
        expected -= 0.1 * (first / (1 - 0.5**step)) / ((second / (1 - 0.9**step)).sqrt() + 1e-8)
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("make", [adam, lambda parameters, rate: fit_to_device(torch.optim.RMSprop(parameters, rate))])
def test_on_a_gpu_a_graph_can_advance_it(make):
    with FakeTensorMode():
        there = make([nn.Parameter(torch.empty(3, device="cuda"))], 0.1)
    here = make([nn.Parameter(torch.empty(3))], 0.1)
    assert [optimizer.param_groups[0]["capturable"] for optimizer in (there, here)] == [True, False]


def test_one_that_was_made_for_a_gpu_steps_on_a_cpu():
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], 0.1, capturable=True)
    weight.grad = torch.ones(3)
    with pytest.raises((AssertionError, RuntimeError)):
        optimizer.step()
    assert trained(fit_to_device(optimizer), weight, 1)[0] < 1


def test_one_without_the_flag_stays_as_it_is():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(3))], 0.1)
    before = copy.deepcopy(optimizer.state_dict())
    assert fit_to_device(optimizer).state_dict() == before


def test_a_state_from_a_gpu_goes_on_here_with_its_moments_and_rates():
    weight = nn.Parameter(torch.ones(3))
    optimizer = adam([weight], 0.1)
    trained(optimizer, weight, 2)
    state = optimizer.state_dict()
    again = nn.Parameter(weight.detach().clone())
    there = copy.deepcopy(state)
    there["param_groups"][0] |= {"capturable": True, "foreach": True, "fused": None}
    resumed = adam([again], 0.7)
    resumed.load_state_dict(fitted_state(resumed, there))
    assert resumed.param_groups[0]["lr"] == 0.1
    assert torch.equal(trained(resumed, again, 3, seed=1), trained(optimizer, weight, 3, seed=1))
    assert there["param_groups"][0]["capturable"]  # the state itself is left as it is


def test_a_state_of_other_groups_is_refused():
    first, second = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    two = torch.optim.SGD([{"params": [first]}, {"params": [second]}], 0.1)
    with pytest.raises(ValueError, match="zip"):
        fitted_state(adam([first], 0.1), two.state_dict())
