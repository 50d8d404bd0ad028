import math

import pytest
import torch
from torch import nn

from benchmark import networks
from benchmark.data.datasets import load_dataset
from metrics.critic import CriticNotReady, WassersteinCritic
from metrics.images import as_images
from metrics.wasserstein import critic_loss, gradient_penalty, input_gradient, scores_and_input_gradient


def images(n: int, seed: int, **options) -> torch.Tensor:
    return torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed), **options) * 2 - 1


def test_critic_loss_is_the_difference_of_mean_scores():
    def critic(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).sum(1)

    real, fake = torch.full((2, 1, 2, 2), 0.5), torch.full((4, 1, 2, 2), -0.25)
    assert critic_loss(critic, real, fake).item() == pytest.approx(-1.0 - 2.0)


def test_penalty_of_a_linear_critic_by_hand():
    weight = torch.zeros(48)
    weight[:2] = torch.tensor([3.0, 4.0])  # norm 5 everywhere
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weight, images(8, 0), images(8, 1))
    assert penalty.item() == pytest.approx(16.0, rel=1e-6)


def test_penalty_equals_a_float64_reference_sample_by_sample():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0)).double()
    real, fake = images(5, 0, dtype=torch.float64), images(5, 1, dtype=torch.float64)
    ours = gradient_penalty(network, real, fake, torch.Generator().manual_seed(7))
    weights = torch.rand((5, 1, 1, 1), generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    reference = 0.0
    for real_one, fake_one, weight in zip(real, fake, weights, strict=True):
        point = real_one + weight * (fake_one - real_one)
        jacobian = torch.autograd.functional.jacobian(lambda x: network(x[None])[0], point)
        reference += (jacobian.norm().item() - 1) ** 2 / 5
    assert ours.item() == pytest.approx(reference, rel=1e-12)


def both_gradients(network, x):
    """The input's gradient, and the derivative of its norm by the parameters: written out, and by autograd."""
    found = []
    for critic in (network, lambda x: network(x)):
        gradient = input_gradient(critic, x)
        loss = gradient.flatten(1).norm(dim=1).sum()
        found.append(
            [gradient, *torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)]
        )
    return found


@pytest.mark.parametrize("size", [16, 28, 32])
def test_a_gradient_that_is_written_out_is_that_of_autograd_in_float64(size):
    network = networks.discriminator((3, size, size), 0.125, batch_norm=False).double()
    written, by_autograd = both_gradients(network, torch.rand(3, 3, size, size, dtype=torch.float64) * 2 - 1)
    assert len(written) == 1 + len(list(network.parameters()))
    for ours, theirs in zip(written, by_autograd, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-11, atol=1e-13)
    assert all(value.abs().max() > 0 for value in (written[0], written[1]))


def test_convolutions_of_any_geometry_are_written_out():
    layers = [nn.Conv2d(2, 4, (3, 5), (2, 3), (1, 2), (1, 2)), nn.LeakyReLU(0.1), nn.Conv2d(4, 6, 2, groups=2), nn.Flatten()]
    network = nn.Sequential(*layers, nn.Linear(72, 1)).double()
    written, by_autograd = both_gradients(network, torch.randn(2, 2, 10, 14, dtype=torch.float64))
    for ours, theirs in zip(written, by_autograd, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-11, atol=1e-13)


class Squares(nn.Linear):
    def forward(self, x):
        return super().forward(x).square()


def with_a_hook(network):
    network[1].register_forward_hook(lambda _module, _inputs, output: output.square())
    return network


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.Tanh(), nn.Linear(4, 1)),
        nn.Sequential(nn.Flatten(), Squares(48, 1)),
        with_a_hook(nn.Sequential(nn.Flatten(), nn.Linear(48, 1))),
        nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"), nn.Flatten()),
        nn.Sequential(nn.Conv2d(3, 2, 3, padding="same"), nn.Flatten()),
    ],
)
def test_a_network_with_anything_else_is_left_to_autograd(network):
    written, by_autograd = both_gradients(network, images(3, 0))
    for ours, theirs in zip(written, by_autograd, strict=True):
        assert torch.equal(ours, theirs)
    assert written[0].abs().max() > 0


@pytest.mark.parametrize("as_function", [False, True])
def test_scores_come_with_their_gradient_from_one_pass_and_both_can_be_differentiated(as_function):
    network = networks.discriminator((3, 28, 28), 0.125, batch_norm=False).double()
    calls = []
    critic = (lambda x: calls.append(1) or network(x)) if as_function else network
    x, parameters = torch.rand(3, 3, 28, 28, dtype=torch.float64), list(network.parameters())
    scores, gradient = scores_and_input_gradient(critic, x)
    assert len(calls) == as_function
    for value, alone in ((scores, network(x)), (gradient, input_gradient(lambda x: network(x), x))):
        assert torch.allclose(value, alone, rtol=1e-11, atol=1e-13)
        ours = torch.autograd.grad(value.square().sum(), parameters, retain_graph=True, materialize_grads=True, allow_unused=True)
        theirs = torch.autograd.grad(alone.square().sum(), parameters, materialize_grads=True, allow_unused=True)
        for derivative, reference in zip(ours, theirs, strict=True):
            assert torch.allclose(derivative, reference, rtol=1e-10, atol=1e-13)


def test_scores_of_a_critic_that_cannot_be_differentiated_have_no_gradient():
    scores, gradient = scores_and_input_gradient(lambda x: torch.ones(len(x)), images(3, 0))
    assert torch.equal(scores, torch.ones(3))
    assert not gradient.any()


def test_penalty_points_lie_between_real_and_fake_one_weight_a_pair():
    seen = []
    real, fake = torch.zeros(64, 1, 2, 2), torch.ones(64, 1, 2, 2)
    gradient_penalty(lambda x: seen.append(x.detach()) or x.flatten(1).sum(1), real, fake)
    points = seen[0].flatten(1)
    assert torch.equal(points.amin(1), points.amax(1))
    assert points.min() >= 0
    assert points.max() <= 1
    assert points[:, 0].std() > 0.2


@pytest.mark.parametrize("kind", ["constant", "flat"])
def test_gradients_are_finite_where_the_critic_is_flat(kind):
    scale = torch.zeros((), requires_grad=True)
    if kind == "constant":
        penalty = gradient_penalty(lambda x: torch.zeros(len(x)) + scale, images(4, 0), images(4, 1))
    else:  # depends on x, but with gradient 0
        penalty = gradient_penalty(lambda x: scale * x.flatten(1).sum(1), images(4, 0), images(4, 1))
    assert penalty.item() == 1
    if kind == "flat":
        (gradient,) = torch.autograd.grad(penalty, scale)
        assert torch.isfinite(gradient)


def test_penalty_refuses_images_that_do_not_pair_up():
    with pytest.raises(ValueError, match="pair up"):
        gradient_penalty(lambda x: x.sum((1, 2, 3)), images(4, 0), images(3, 1))


def test_a_critic_with_batch_norm_is_refused():
    with pytest.raises(ValueError, match="batch norm"):
        WassersteinCritic(networks.discriminator((3, 28, 28), 0.125), 1)


def trained_critic(fake, steps: int = 100, budget: int = 100) -> WassersteinCritic:
    """A critic on real validation digits, at the budget of the quick preset."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = networks.discriminator((3, 28, 28), 0.25, batch_norm=False)
    source = torch.Generator().manual_seed(0)
    critic = WassersteinCritic(network, budget, generator=source)
    validation = load_dataset("colormnist-mini")["validation"]
    for _ in range(steps):
        chosen = torch.randint(len(validation), (64,), generator=source)
        critic.step(as_images(validation[chosen]), fake(64))
    return critic


def noise(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 28, 28, generator=torch.Generator().manual_seed(n)) * 2 - 1


@pytest.mark.slow
def test_noise_is_at_least_ten_resampling_errors_from_real_digits():
    critic = trained_critic(noise)
    test = as_images(load_dataset("colormnist-mini")["test"][:1000])
    result = critic.value([noise(1000)], test.split(500))
    assert result.n == 1000
    assert result.value < -10 * result.standard_error
    low, high = result.interval
    assert low < result.value < high


class MeanOf(nn.Module):
    """f(x) = the mean of x: a critic whose values can be had by hand."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * x.mean((1, 2, 3))


def test_value_and_standard_error_by_hand():
    critic = WassersteinCritic(MeanOf(), budget=0)
    fake = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)  # mean 1/2, variance 1/2
    real = torch.tensor([2.0, 3.0, 4.0, 5.0]).view(4, 1, 1, 1)  # mean 7/2, variance 5/3
    result = critic.value([fake], real.split(3))
    assert result.value == pytest.approx(-3.0)
    assert result.standard_error == pytest.approx(math.sqrt(0.5 / 2 + 5 / 3 / 4))
    assert result.n == 2


def test_the_standard_error_is_that_of_redrawing_the_images():
    critic = WassersteinCritic(MeanOf(), budget=0)
    source = torch.Generator().manual_seed(0)
    pixels = load_dataset("colormnist-mini")["test"]
    results = []
    for _ in range(300):
        real = as_images(pixels[torch.randint(len(pixels), (50,), generator=source)])
        fake = torch.rand(50, 3, 4, 4, generator=source) * 2 - 1
        results.append(critic.value([fake], [real]))
    spread = torch.tensor([result.value for result in results]).std().item()
    mean_error = sum(result.standard_error for result in results) / len(results)
    assert mean_error == pytest.approx(spread, rel=0.15)  # 300 draws know a spread to about 4 %


def test_no_value_before_the_budget_is_spent():
    critic = trained_critic(noise, steps=2, budget=3)
    with pytest.raises(CriticNotReady, match="2 of its 3"):
        critic.value([noise(4)], [noise(4)])


def test_a_saved_critic_goes_on_as_if_nothing_had_happened():
    def source(steps):
        return ((images28(step), images28(step + 100)) for step in range(steps, 10))

    def images28(seed):
        return torch.rand(8, 3, 28, 28, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    whole = trained_critic(noise, steps=0, budget=4)
    half = trained_critic(noise, steps=0, budget=4)
    whole.generator = half.generator = None
    for critic, steps in ((whole, 4), (half, 2)):
        torch.manual_seed(0)
        for real, fake in list(source(0))[:steps]:
            critic.step(real, fake)
    state_of_torch = torch.random.get_rng_state()
    resumed = trained_critic(noise, steps=0, budget=4)
    resumed.load_state_dict(half.state_dict())
    resumed.generator = None
    torch.random.set_rng_state(state_of_torch)
    resumed.train(source(2))
    assert resumed.steps == 4
    for ours, theirs in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_f_of_zero_is_not_zero_so_the_critic_is_not_homogeneous():
    critic = trained_critic(noise, steps=5, budget=5)
    with torch.no_grad():
        x = noise(2)
        assert not torch.allclose(critic.network(x / 2), critic.network(x) / 2, rtol=1e-2)
        assert critic.network(torch.zeros(1, 3, 28, 28)).item() != 0
    assert math.isfinite(critic.value([noise(8)], [noise(8)]).value)
