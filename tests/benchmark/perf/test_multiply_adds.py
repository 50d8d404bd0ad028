import pytest
import torch
from torch import nn

from benchmark.model.registry import DEFAULT_MODELS as MODELS
from benchmark.perf.floor import FLOORS
from benchmark.perf.models import BATCH, SIZES
from benchmark.perf.multiply_adds import WIDTHS, committed, count, count_ours, minimum, penalty
from metrics.wasserstein import gradient_penalty

SAMPLES = 2  # batch norm needs more than one number of a kind


def noise(size, n=SAMPLES):
    return torch.randint(256, (n, 3, size, size), dtype=torch.uint8)


def count_floor(model, size, width, batch=SAMPLES):
    floor = FLOORS[model](size, width, 0, noise(size, batch), batch)
    return count(floor.iterate)


@pytest.mark.parametrize(("size", "width"), [*((size, 0.25) for size in SIZES), (28, 1.0)])
@pytest.mark.parametrize("model", MODELS)
def test_an_iteration_takes_as_many_multiply_adds_as_it_must(model, size, width):
    least = minimum(model, size, width, SAMPLES)
    by_hand, counted = count_floor(model, size, width), count_ours(model, size, width, SAMPLES)
    assert counted == by_hand == least
    assert committed()[model, size, width] == counted * BATCH // SAMPLES


def test_every_model_size_and_width_is_committed():
    assert set(committed()) == {(model, size, width) for model in MODELS for size in SIZES for width in WIDTHS}
    for (model, size, width), value in committed().items():
        assert value == minimum(model, size, width, BATCH)


@pytest.mark.parametrize("model", MODELS)
def test_multiply_adds_are_proportional_to_the_batch(model):
    assert count_floor(model, 28, 0.25, 4) == 2 * count_floor(model, 28, 0.25, 2)
    assert count_ours(model, 28, 0.25, 4) == 2 * count_ours(model, 28, 0.25, 2)


def test_gradients_that_nobody_uses_are_counted():
    """The α-GAN without its restraint: every network is differentiated in every update. 1.45 times the work."""
    floor = FLOORS["alphagan"](28, 0.25, 0, noise(28), SAMPLES)
    floor.fixed = floor.networks

    def step(player, loss):
        loss.backward()
        floor.optimizers[player].step()

    floor.step = step
    wasteful, least = count(floor.iterate), minimum("alphagan", 28, 0.25, SAMPLES)
    assert wasteful / least == pytest.approx(1.45, abs=0.005)


# By hand, with 2 images: 3 to 4 maps of 8 x 8 by a kernel of 4 and a stride of 2, which makes 4 x 4; or the other way round.
FORWARD = 2 * (4 * 4) * (4 * 4) * 3 * 4


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 4, 4, 2, 1), (2, 3, 8, 8)),
        (nn.ConvTranspose2d(4, 3, 4, 2, 1), (2, 4, 4, 4)),
    ],
)
def test_a_convolution_and_each_of_its_gradients_count_the_same(layer, shape):
    inputs = torch.randn(shape, requires_grad=True)
    assert count(lambda: layer(inputs)) == FORWARD
    total = layer(inputs).sum()
    for wanted, gradients in (([inputs], 1), ([layer.weight], 1), ([inputs, layer.weight], 2), ([layer.bias], 0)):
        assert count(lambda wanted=wanted: torch.autograd.grad(total, wanted, retain_graph=True)) == gradients * FORWARD


def test_a_linear_layer_and_each_of_its_gradients_count_the_same():
    layer, inputs = nn.Linear(3, 5), torch.randn(2, 3, requires_grad=True)
    assert count(lambda: layer(inputs)) == 2 * 3 * 5
    assert count(lambda: layer(inputs).sum().backward()) == 3 * (2 * 3 * 5)


@pytest.mark.parametrize(("kernel", "padding"), [(4, 1), (5, 2)])
def test_the_second_derivative_of_a_gradient_penalty_by_hand(kernel, padding):
    """One convolution and a linear layer. Forward, gradient to the image, its derivative by the weights, and between them."""
    critic = nn.Sequential(nn.Conv2d(3, 4, kernel, 2, padding), nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))
    first, last = 4 * 4 * kernel * kernel * 3 * 4, 64
    assert penalty([first, last]) == 4 * first + 3 * last

    def work():
        loss = gradient_penalty(critic, torch.ones(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))
        torch.autograd.grad(loss, [critic[0].weight, critic[2].weight])

    assert count(work) == 2 * penalty([first, last])
    by_autograd = count(lambda: gradient_penalty(lambda x: critic(x), torch.ones(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)))
    assert by_autograd == 2 * (2 * first + 2 * last)  # forward and back to the image: the derivative of that is where it wastes
