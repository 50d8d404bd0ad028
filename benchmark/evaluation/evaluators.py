"""Find the pretrained networks to measure with, hash and try them, before a study starts."""

from __future__ import annotations

from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from benchmark.data.datasets import Dataset
from benchmark.errors import UserError
from benchmark.evaluation.measurements import Cifar10Score, ImageNetInception, Scope
from benchmark.settings import Evaluation, Evaluator, preset
from metrics.evaluators import cifar, inception
from metrics.evaluators.weights import WeightsError


def find_evaluators(
    evaluation: Evaluation, dataset: Dataset, inception_weights: Path | None = None, cifar10_weights: Path | None = None
) -> Evaluation:
    """Give an evaluation the networks that it takes: those that the user gives, those that it has, or the published ones.

    Raises:
        UserError: if a file that was given, or that the evaluation names, cannot be used.
    """
    scope = Scope(dataset, replace(preset("quick", dataset.image_shape[1], dataset.paper_iterations), evaluation=evaluation))
    evaluators: dict[str, Any] = {}
    if ImageNetInception().applies(scope):
        path = inception_weights or _known(evaluation.inception)
        evaluators["inception"] = find_inception(path, evaluation.inception_width, evaluation.inception_samples)
    if Cifar10Score().applies(scope):
        evaluators["cifar10"] = find_cifar10(cifar10_weights or _known(evaluation.cifar10))
    return replace(evaluation, **evaluators)


def _known(evaluator: Evaluator) -> Path | None:
    """The file that an evaluation had before, if it is still there."""
    path = Path(evaluator.path)
    return path if evaluator.path and path.exists() else None


def find_inception(path: Path | None, width: int, samples: int) -> Evaluator:
    """Find the ImageNet network: the file that a user gives, that in torch's cache, or downloaded there.

    Raises:
        UserError: if the file that was given is not that network's, or lacks the features that are asked for.
    """
    if path is None and not samples:
        return Evaluator(missing="nothing asks for it")
    if path is not None:
        return _tried(path, width, None)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(inception.URL).name
    if not cached.exists():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(inception.URL, str(cached), hash_prefix=inception.PUBLISHED)
        except (OSError, RuntimeError, HTTPException) as error:  # no network; another file than the published one
            return Evaluator(missing=f"its weights cannot be downloaded ({error}); give the file with --inception-weights")
    return _tried(cached, width, inception.PUBLISHED)


def _tried(path: Path, width: int, sha256: str | None) -> Evaluator:
    try:
        network = inception.InceptionNetwork.load(path, sha256, width)
    except WeightsError as error:
        raise UserError(f"{path}: {error}") from None
    return Evaluator(str(path.resolve()), network.sha256, missing="")


def find_cifar10(path: Path | None) -> Evaluator:
    """Find the CIFAR-10 classifier: the pinned one, or the user's own.

    Raises:
        UserError: if the file that was given is not that network's.
    """
    if path is None and not cifar.SHA256:
        return Evaluator(
            missing="its pinned weights are not part of this version; `train-evaluator cifar10` trains your own, "
            "and --cifar10-weights takes them"
        )
    chosen = path or cifar.WEIGHTS
    try:
        _, digest = cifar.load_cifar10_classifier(chosen, None if path else cifar.SHA256)
    except WeightsError as error:
        raise UserError(str(error)) from None
    return Evaluator(str(chosen.resolve()), digest, missing="")
