"""Known corruptions of real digits, and verdicts on tables made by hand."""

from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
import torch

from benchmark.data.datasets import load_dataset
from benchmark.evaluation.ladder import DROPPED, NOISE, as_markdown, calibrate, classes_of, corruptions, in_order
from benchmark.randomness import stream
from tests.support import SETTINGS

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("colormnist-mini")


def test_noise_and_blur_change_the_same_images_by_growing_amounts(dataset, tmp_path):
    made = {corruption.name: corruption for corruption in corruptions(dataset, classes_of(dataset, tmp_path), CPU)}

    def images(name):
        source = stream("test")
        return torch.cat([made[name].sampler(20, source) for _ in range(2)])

    clean = images("training images")
    for family in ("noise", "blur"):
        changes = [(images(name) - clean).abs().mean().item() for name, corruption in made.items() if corruption.family == family]
        assert len(changes) >= 3
        assert all(0 < a < b < 1 for a, b in pairwise(changes))
    noisy = images(f"noise {NOISE[0]:g}")
    grey = clean.abs() < 0.8  # away from the bounds, where nothing is clipped
    assert (noisy - clean)[grey].std().item() == pytest.approx(NOISE[0], rel=0.1)
    assert noisy.abs().max() <= 1


def test_dropped_classes_are_gone(dataset, tmp_path):
    classes = classes_of(dataset, tmp_path)
    assert classes.min() == 0
    assert classes.max() == 9
    assert torch.equal(classes, dataset.modes["train"] // 100)
    made = [corruption for corruption in corruptions(dataset, classes, CPU) if corruption.family == "classes"]
    pixels = {image.numpy().tobytes(): kind for image, kind in zip(dataset["train"], classes.tolist(), strict=True)}
    for corruption, dropped in zip(made, DROPPED, strict=True):
        images = ((corruption.sampler(50, stream("test")) + 1) * 127.5).round().byte()
        kinds = {pixels[image.numpy().tobytes()] for image in images}
        assert min(kinds) >= dropped
        assert len(kinds) > 1


def table(**columns) -> pd.DataFrame:
    """Values of one metric, its errors 0.1."""
    names = {"training images": "", "noise 0.05": "noise", "noise 0.1": "noise", "test images": ""}
    rows = [
        (names[name], name, metric, value, value - 0.1, value + 0.1)
        for metric, values in columns.items()
        for name, value in zip(names, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["family", "corruption", "metric", "value", "low", "high"])


def test_verdicts_by_hand():
    verdicts = in_order(
        table(
            critic=(-1.0, -2.0, -3.0, 0.0),
            fid=(1.0, 2.0, 1.9, 0.0),
            kid=(1.0, 2.0, 1.0, 0.0),
            sample_diversity=(0.7, 0.9, 0.2, 0.7),
        )
    )
    assert dict(zip(verdicts.metric, verdicts.verdict, strict=True)) == {
        "critic": "yes",
        "fid": "within error",
        "kid": "no",
        "sample_diversity": "yes",
    }
    assert set(verdicts.family) == {"noise"}


@pytest.mark.slow
def test_a_calibration_from_end_to_end(dataset, tmp_path):
    evaluation = replace(SETTINGS.evaluation, mode_samples=200)
    table = calibrate(dataset, replace(SETTINGS, evaluation=evaluation), classes_of(dataset, tmp_path), CPU)
    recognised = table[table.metric == "recognised_share"].set_index("corruption").value
    assert recognised["training images"] > 0.85
    assert recognised["uniform noise"] == 0
    modes = table[table.metric == "modes_covered"].set_index("corruption").value
    assert modes["training images"] > modes["5 of 10 classes dropped"] > modes["8 of 10 classes dropped"]
    text = as_markdown(table, dataset, evaluation)
    assert "| 8 of 10 classes dropped |" in text
    assert "*worse with every step of blur?*" in text
    assert "critics of 2 steps" in text
