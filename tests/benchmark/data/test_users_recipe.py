"""A data set of the user's own, by the dotted path of its recipe."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.data.datasets import load_dataset, open_dataset
from benchmark.errors import UserError

ROOT = Path(__file__).parents[3]

# The documentation's own example is the user's recipe, so that it cannot rot.
RECIPE = next(
    block for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL) if "BLOBS" in block
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a recipe and its data, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "myblobs.py").write_text(RECIPE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "blobs.txt").write_text("some")
    yield tmp_path
    sys.modules.pop("myblobs", None)


def write(folder: Path, text: str) -> None:
    (folder / "myblobs.py").write_text(text)
    sys.modules.pop("myblobs", None)


def test_it_is_loaded_by_its_path_and_opened_by_name_and_fingerprint_without_its_code(here):
    loaded = load_dataset("myblobs.BLOBS")
    assert (loaded.name, loaded.summary, loaded.latent_dims, loaded.paper_iterations) == ("blobs", "white dots", (4,), 100)
    assert {split: len(images) for split, images in loaded.splits.items()} == {"train": 96, "validation": 32, "test": 32}
    (here / "myblobs.py").unlink()
    sys.modules.pop("myblobs")
    opened = open_dataset(loaded.name, loaded.fingerprint)
    assert (opened.name, opened.image_shape) == ("blobs", (3, 28, 28))
    assert (opened["test"] == loaded["test"]).all()


def test_what_its_file_reads_otherwise_is_prepared_anew(here):
    before = load_dataset("myblobs.BLOBS")
    write(here, RECIPE.replace("BRIGHT = 255", "BRIGHT = 128"))
    assert load_dataset("myblobs.BLOBS")["test"].max() < 140 < before["test"].max()
    write(here, RECIPE + "\n# a comment\n")
    assert load_dataset("myblobs.BLOBS").fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("myblob.BLOBS", r"data set 'myblob.BLOBS': there is no module 'myblob'.*did you mean 'myblobs'"),
        ("myblobs.BLOB", r"unknown data set in myblobs 'BLOB': did you mean 'BLOBS'"),
        ("myblobs.SIZES", r"'myblobs.SIZES' is no instance of benchmark.data.source.Recipe; myblobs has BLOBS"),
        ("broken.BLOBS", r"importing broken failed: ZeroDivisionError"),
        ("blobs", r"unknown data set 'blobs'.*a dotted path: mypackage.MY_RECIPE"),
        ("", r"unknown data set ''"),
        (".BLOBS", r"unknown data set '.BLOBS'"),
    ],
)
def test_what_names_no_recipe_is_said_in_one_line(here, path, message):
    (here / "broken.py").write_text("1 / 0")
    with pytest.raises(UserError, match=message) as refused:
        load_dataset(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"blobs", "white', '"cifar10", "white', "is named 'cifar10', the name of another one"),
        ('"blobs", "white', '"../blobs", "white', "is named '../blobs'; letters"),
        ('"test": 32}', '"tests": 32}', "the recipe of blobs makes no test split"),
        ('"test": 32}', '"test": 1}', "holds 1 images of the test split"),
        (".astype(np.uint8)", "", "reads its train images as float64"),
        ("images[start:stop]", "images", r"uint8 \(300, 3, 28, 28\); uint8 \(256, 3, 28, 28\) was expected"),
        ("(3, 28, 28))", "(3, 28, 28 + (n == 32)))", "images of several shapes"),
        ('"blobs.txt"\n', '"blob.txt"\n', "blobs is not in data: write blobs.txt there"),
    ],
)
def test_what_a_recipe_gets_wrong_is_named(here, old, new, message):
    assert old in RECIPE
    write(here, RECIPE.replace(old, new).replace('"train": 96', '"train": 300'))
    with pytest.raises(UserError, match=message):
        load_dataset("myblobs.BLOBS")
    assert not list((here / "cache").glob("blobs-*"))


def benchmark(*words: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "benchmark", *words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.processes
def test_a_study_on_it_runs_from_a_file_and_is_measured_again_without_its_code(here):
    small = (
        "mode_samples: 16, diversity_groups: 1, critic_steps: 2, critic_images: 16, batch_norm_draws: 16, inception_samples: 0"
    )
    (here / "mine.yaml").write_text(
        f"dataset: myblobs.BLOBS\nmodels: [dcgan]\nbudget: 1\niterations: 2\nwidth: 0.125\nevaluation: {{{small}}}\n"
        "working: {workers: 1, device: cpu}\n"
    )
    said = benchmark("run", "--file", "mine.yaml", cwd=here)
    assert "mine: blobs (white dots)" in said
    assert "3 done, 0 diverged, 0 failed" in said
    assert "Nothing to do" in benchmark("run", "--file", "mine.yaml", "--dataset", "myblobs.BLOBS", cwd=here)
    (here / "myblobs.py").unlink()
    again = benchmark("evaluate", "mine", "--critic-steps", "3", "--workers", "1", cwd=here)
    assert "3 done" in again
    assert (here / "results" / "mine" / "report" / "index.html").exists()
