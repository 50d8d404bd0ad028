import pytest
import torch
from torch import nn

from metrics.cifar import Cifar10Classifier, Cifar10Training, Recipe, error_rate, load_cifar10_classifier
from metrics.weights import WeightsError, save_weights

RECIPE = Recipe(steps=8, batch_size=4)


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
    some = training()
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
    some = Cifar10Training(image.repeat(5, 1, 1, 1), torch.arange(5), Recipe(batch_size=64), torch.device("cpu"))
    crops, labels = some._minibatch()
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
    again, _ = some._minibatch()
    assert torch.equal(crops, again)
    some.step += 1
    assert not torch.equal(crops, some._minibatch()[0])
    assert labels.unique().tolist() == [0, 1, 2, 3, 4]


def test_it_learns():
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    images = torch.randint(0, 40, (60, 3, 32, 32), generator=source, dtype=torch.uint8)
    images[torch.arange(60), labels] += 150
    some = Cifar10Training(images, labels, Recipe(steps=9, batch_size=12, learning_rate=0.02), torch.device("cpu"))
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
