"""A study's file: what it says is what is run, what it gets wrong is one line with the file, the key and the line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.data.datasets import load_dataset
from benchmark.errors import UserError
from benchmark.studies.study import resolve
from benchmark.studies.study_file import read_study_file

ROOT = Path(__file__).parents[3]

MINE = """
preset: paper
budget: 20
width: 1
iterations: 5000
batch_size: 32
models:
  alphagan:
  dcgan: {learning_rate: [1e-4, 2e-4], latent_dim: 64}
  tests.support.Tiny: {}
evaluation: {inception_samples: 5000, critic_steps: 1000, batch_norm_draws: 100, metrics: mypackage.MY_METRIC}
working: {engine: ray, runs_per_gpu: auto, results: /data/results}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_file_is_read_as_the_words_of_run(write):
    assert read_study_file(write(MINE)) == {
        "study": "mine",
        "preset": "paper",
        "budget": 20,
        "width": 1.0,
        "iterations": 5000,
        "batch_size": 32,
        "models": {"alphagan": {}, "dcgan": {"learning_rate": [1e-4, 2e-4], "latent_dim": [64]}, "tests.support.Tiny": {}},
        "inception_samples": 5000,
        "critic_steps": 1000,
        "batch_norm_draws": 100,
        "metrics": ["mypackage.MY_METRIC"],
        "engine": "ray",
        "runs_per_gpu": "auto",
        "results": "/data/results",
    }


def test_the_file_of_the_documentation_is_one(write):
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "studies.md").read_text(), re.DOTALL)
    words = read_study_file(write(example.replace("mypackage.MyGAN", "tests.support.Tiny")))
    assert words["study"] == "my-study"
    assert words["models"]["dcgan"] == {"learning_rate": [1e-4, 2e-4], "latent_dim": [64]}
    assert words["critic_steps"] == 1000


def test_models_may_be_a_list_and_the_study_may_have_a_name(write):
    words = read_study_file(write("study: other\nmodels: [dcgan, age]"))
    assert words == {"study": "other", "models": {"dcgan": {}, "age": {}}}
    assert read_study_file(write("study:\nbudget: 3")) == {"study": "mine", "budget": 3}


def test_the_words_make_a_study_with_these_values_in_place_of_the_classs(write):
    dataset = load_dataset("colormnist-mini")
    text = "width: 0.5\nbudget: 99\nmodels:\n  dcgan: {learning_rate: [1e-4, 2e-4], latent_dim: 64}\n  age:"
    study = resolve(dataset, **read_study_file(write(text)))
    cells = [run.hyperparameters for run in study.runs if run.model == "dcgan"]
    assert study.name == "mine"
    assert len(cells) == 2 * 3
    assert {cell["learning_rate"] for cell in cells} == {2e-4, 4e-4}  # the paper's units, divided by the width
    assert {cell["discriminator_learning_rate"] for cell in cells} == {2e-4, 4e-4, 6e-4}
    assert {cell["latent_dim"] for cell in cells} == {64}
    assert study.models["age"] == {"grid": 36, "configurations": 36}


def test_an_integer_for_a_float_names_no_second_run(write):
    values = [
        read_study_file(write(f"models: {{alphagan: {{encoder_reconstruction_weight: {text}}}}}"))["models"]["alphagan"]
        for text in ("10", "10.0", "[1e1]")
    ]
    assert [repr(value["encoder_reconstruction_weight"]) for value in values] == ["[10.0]"] * 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("itterations: 3", ["line 1", "key 'itterations'", "did you mean 'iterations'"]),
        ("budget: 3\niterations: -3", ["line 2", "iterations is -3", "greater than or equal to 1"]),
        ("iterations: '3'", ["iterations is '3'", "integer"]),
        ("iterations: true", ["iterations is True", "integer"]),
        ("width: 0", ["width is 0", "greater than 0"]),
        ("evaluation:\n  critic_step: 3", ["line 2", "did you mean 'evaluation.critic_steps'"]),
        ("evaluation: {inception_width: 65}", ["evaluation.inception_width is 65", "2048"]),
        ("workers: 3", ["'workers' belongs into the part 'working'"]),
        ("working:\n  engine: local\n  worker: 3", ["line 3", "did you mean 'working.workers'"]),
        ("workng: {workers: 3}", ["key 'workng'", "did you mean 'working'"]),
        ("study: ../elsewhere", ["line 1", "'study' is a folder's name", "../elsewhere"]),
        ("models: []", ["models is []", "at least 1"]),
        ("models: dcgan", ["models is 'dcgan'"]),
        ("models:\n  dcgan: {}\n  dcgn:", ["line 3", "did you mean 'dcgan'"]),
        ("models: [nowhere.MyGAN]", ["line 1", "no module 'nowhere'"]),
        ("models:\n  dcgan:\n    latent_dim: 3\n    learning_rte: 3", ["line 4", "hyperparameter", "'learning_rate'"]),
        ("models:\n  dcgan: {}\n  baselines.DCGAN: {}", ["line 3", "twice"]),
        ("models: {dcgan: {learning_rate: [1e-4, fast]}}", ["learning_rate is 'fast'", "number"]),
        ("models: {dcgan: {learning_rate: true}}", ["learning_rate is True", "number"]),
        ("models: {dcgan: {learning_rate: '1e-4'}}", ["learning_rate is '1e-4'", "number"]),
        ("models: {dcgan: {latent_dim: 6.5}}", ["latent_dim is 6.5", "integer"]),
        ("models: {alphagan: {code_prior: empirical}}", ["code_prior is 'empirical'", "'empirical_kl'"]),
        ("models: {dcgan: {latent_dim: [4, 4]}}", ["[4, 4]", "different values"]),
        ("models: {dcgan: {latent_dim: []}}", ["different values"]),
        ("models: {dcgan: {width: 0.5}}", ["width", "beside 'models'"]),
        ("budget: 3\nbudget: 4", ["line 2", 'duplicate key "budget"']),
        ("models: [dcgan", ["line 1", "expected"]),
        ("- dcgan", ["keys with values"]),
        ("", ["keys with values"]),
        ("dataset: \x00", ["no YAML"]),
        ("dataset: !!python/object/apply:os.system ['touch ran']", ["line 1", "python/object/apply:os.system"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(write, monkeypatch, text, parts):
    path = write(text)
    monkeypatch.chdir(path.parent)
    with pytest.raises(UserError) as wrong:
        read_study_file(path)
    for part in [str(path), *parts]:
        assert part in str(wrong.value)
    assert not Path("ran").exists()


def test_a_files_own_name_must_be_one_that_a_study_can_have(write):
    with pytest.raises(UserError, match=r"'study' is a folder's name.*'my study'"):
        read_study_file(write("budget: 3", "my study.yaml"))


def dry(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmark", "run", "--dry-run", "--workers", "1", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.processes
def test_what_is_typed_wins_over_the_file_and_a_dry_run_keeps_nothing(write, tmp_path):
    path = write("models: {dcgan: {latent_dim: 3}}\nwidth: 0.125\niterations: 7\nevaluation: {critic_steps: 3}\nseeds: 2")
    words = ["--file", str(path), "--results", str(tmp_path / "results"), "--iterations", "9", "--models", "tests.support.Tiny"]
    said = dry(*words)
    assert said.returncode == 0, said.stderr
    assert "mine: colormnist-mini" in said.stdout
    assert "9 iterations of batch 64, networks at 0.125" in said.stdout
    assert "critics of 3 steps" in said.stdout
    assert "tests.support.Tiny: configurations: 4 of 6, seeds of each: 2" in said.stdout
    assert "dcgan" not in said.stdout
    assert "10 runs: 0 finished" in said.stdout
    assert "10 missing" in said.stdout
    assert "An estimate, from a probe of" in said.stdout
    assert not (tmp_path / "results").exists()
    wrong = dry("--file", str(write("itterations: 3")))
    assert wrong.returncode == 2
    assert "did you mean 'iterations'" in wrong.stderr


@pytest.mark.parametrize(
    ("key", "part"), [("metrics", "evaluation"), ("second_evaluation", "evaluation"), ("workers", "working")]
)
def test_a_key_that_stands_outside_of_its_part_is_told_where_it_belongs(tmp_path, key, part):
    path = tmp_path / "mine.yaml"
    path.write_text(f"budget: 2\n{key}: [mymetrics.Brightness]\n")
    with pytest.raises(UserError, match=f"line 2: '{key}' belongs into the part '{part}'"):
        read_study_file(path)
