from dataclasses import replace

import pytest
import torch
from torch import nn

from metrics.evaluators.cifar import Cifar10Classifier, error_rate, load_cifar10_classifier
from metrics.evaluators.cifar_training import RECIPES, Cifar10Training, _ConvolutionByProducts, expected_calibration_error
from metrics.evaluators.weights import WeightsError, save_weights

RECIPE = replace(RECIPES["short"], steps=8, batch_size=4)


def training(recipe=RECIPE) -> Cifar10Training:
    images = torch.randint(256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Cifar10Training(images, torch.arange(40) % 10, recipe, torch.device("cpu"))


def test_the_network_is_that_of_table_5():
    classifier = Cifar10Classifier()
    assert sum(parameter.numel() for parameter in classifier.parameters()) == 7_790_794
    convolutions = [layer for layer in classifier if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 11
    assert [layer.stride[0] for layer in convolutions] == [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1]
    assert nn.Sequential(*list(classifier)[:-3])(torch.zeros(1, 3, 32, 32)).shape == (1, 512, 4, 4)


@pytest.mark.slow
def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path):
    whole = training()
    whole.advance(8)
    first = training()
    first.advance(3)
    first.save(tmp_path / "checkpoint", {"curve": [1, {"a": 0.5}]})
    second = training()
    assert second.load(tmp_path / "checkpoint") == {"curve": [1, {"a": 0.5}]}
    second.advance(100)
    assert second.step == whole.step == 8
    for ours, theirs in zip(second.classifier.state_dict().values(), whole.classifier.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_learning_rate_falls_at_half_and_at_three_quarters():
    some = training(replace(RECIPES["paper"], steps=8))
    rates = []
    for some.step in range(8):
        rates.append(some._learning_rate())
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_crops_are_places_of_the_padded_image_each_its_own():
    """Images whose pixels tell their place: red holds the row, green the column."""
    places = torch.arange(32, dtype=torch.uint8)
    image = torch.stack(
        [places[:, None].expand(32, 32) + 100, places.expand(32, 32) + 100, torch.full((32, 32), 200, dtype=torch.uint8)]
    )
    paper = replace(RECIPES["paper"], batch_size=64)
    some = Cifar10Training(image.repeat(64, 1, 1, 1), torch.arange(64), paper, torch.device("cpu"))
    crops, labels = some._minibatch(some.step)
    assert crops.shape == (64, 3, 32, 32)
    pixels = ((crops + 1) * 127.5).round().long()
    shifts = set()
    for crop in pixels:
        inside = crop[2] == 200
        assert set(crop[:, ~inside].unique().tolist()) <= {0}  # black beyond the edge
        rows, columns = inside.nonzero(as_tuple=True)
        shift = {(int(r), int(c)) for r, c in zip(crop[0][inside] - 100 - rows, crop[1][inside] - 100 - columns, strict=True)}
        assert len(shift) == 1  # moved, and neither turned nor flipped
        shifts |= shift
    assert len(shifts) > 25
    assert {abs(value) for shift in shifts for value in shift} == {0, 1, 2, 3, 4}
    again, _ = some._minibatch(some.step)
    assert torch.equal(crops, again)
    some.step += 1
    assert not torch.equal(crops, some._minibatch(some.step)[0])
    assert labels.unique().tolist() == list(range(64))


@pytest.mark.slow
def test_it_learns():
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    images = torch.randint(0, 40, (60, 3, 32, 32), generator=source, dtype=torch.uint8)
    images[torch.arange(60), labels] += 150
    brief = replace(RECIPES["paper"], steps=9, batch_size=12, learning_rate=0.02)
    some = Cifar10Training(images, labels, brief, torch.device("cpu"))
    losses = [some.advance(1) for _ in range(9)]
    assert losses[-1] < 0.5 * losses[0]


def test_scores_come_from_the_weights_of_a_file_only(tmp_path):
    digest = save_weights(training().classifier, tmp_path / "cifar10.pt")
    classifier, found = load_cifar10_classifier(tmp_path / "cifar10.pt")
    assert found == digest
    assert not classifier.training
    with pytest.raises(WeightsError, match="not the pinned"):
        load_cifar10_classifier(tmp_path / "cifar10.pt", "0" * 64)


def test_error_rate_by_hand():
    assert error_rate(torch.eye(4)[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 3])) == 0.25


def test_the_short_recipe_goes_up_and_down_once():
    cycle = training(replace(RECIPES["short"], steps=10))
    rates = []
    for cycle.step in range(10):
        rates.append(cycle._learning_rate())
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.175, 0.15, 0.125, 0.1, 0.075, 0.05, 0.025])


def test_the_short_recipe_mirrors_half_of_the_images_and_makes_a_square_grey():
    """Images whose green holds the column; most of all crops are small, the last ones have the images' size."""
    image = torch.full((3, 32, 32), 200, dtype=torch.uint8)
    image[1] = torch.arange(32) + 100
    short = replace(RECIPES["short"], steps=10, batch_size=64)
    cropping = Cifar10Training(image.repeat(64, 1, 1, 1), torch.arange(64), short, torch.device("cpu"))
    crops, _ = cropping._minibatch(cropping.step)
    assert crops.shape == (64, 3, 24, 24)
    grey = (crops == 0).all(1)
    assert grey.sum((1, 2)).max() == 64
    assert grey.sum((1, 2)).min() >= 16  # a corner of the square at least
    inside = (crops[:, 2] > 0.5) & (crops[:, 2].roll(1, -1) > 0.5)
    inside[..., 0] = False
    steps = ((crops[:, 1] - crops[:, 1].roll(1, -1)) * 127.5).round()
    signs = [set(step[mask].tolist()) for step, mask in zip(steps, inside, strict=True)]
    assert all(len(sign) == 1 for sign in signs)
    assert 16 < sum(sign == {-1.0} for sign in signs) < 48
    cropping.step = 8
    assert cropping._minibatch(cropping.step)[0].shape == (64, 3, 32, 32)


def test_each_image_is_seen_once_an_epoch():
    whole = training(replace(RECIPE, batch_size=10, cutout=0, crop=40))  # all of the padded image
    seen = torch.cat([_batch_of(whole, step) for step in range(4)])
    edges = torch.nn.functional.pad(whole.images[:, :, 4:36, 4:36], (4,) * 4)
    assert sorted(seen.sum((1, 2, 3)).tolist()) == sorted(edges.sum((1, 2, 3)).tolist())


def _batch_of(whole, step):
    whole.step = step
    return ((whole._minibatch(whole.step)[0] + 1) * 127.5).round().long()


@pytest.mark.parametrize("stride", [1, 2])
def test_weight_gradients_by_products_are_those_of_autograd(stride):
    source = torch.Generator().manual_seed(0)
    images = torch.randn(4, 6, 7, 7, generator=source).bfloat16().requires_grad_()
    weight = torch.randn(5, 6, 3, 3, generator=source).requires_grad_()
    ours = _ConvolutionByProducts.apply(images, weight, stride)
    theirs = torch.nn.functional.conv2d(images.double(), weight.bfloat16().double(), None, stride, 1)
    direction = torch.randn(theirs.shape, generator=source).bfloat16()
    expected = torch.autograd.grad(theirs, (images, weight), direction.double())
    for found, exact in zip(torch.autograd.grad(ours, (images, weight), direction), expected, strict=True):
        assert (found.double() - exact.double()).norm() < 0.01 * exact.double().norm()  # bfloat16 has eight bits


def test_the_kept_classifier_has_averaged_weights_and_the_statistics_of_its_minibatches():
    averaging = training(replace(RECIPE, averaging=0.5))
    start = {name: weights.clone() for name, weights in averaging.averages.items()}
    averaging.advance(1)
    kept = averaging.averaged()
    for name, weights in averaging.classifier.named_parameters():
        torch.testing.assert_close(kept.get_parameter(name), 0.5 * start[name] + 0.5 * weights)
    first = kept[0](averaging._minibatch(0)[0])
    torch.testing.assert_close(kept[1].running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_expected_calibration_error_by_hand():
    """Two images at 0.9, one of them right; two at 0.6, both right."""
    logits = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]]).log()
    assert expected_calibration_error(logits, torch.tensor([0, 1, 0, 1])) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
