"""The estimate: every part is there once, and grows with the numbers that it stands for."""

from dataclasses import replace

import pytest
import torch

from benchmark.data.datasets import load_dataset
from benchmark.errors import UserError
from benchmark.evaluation.study_metrics import measurements_of
from benchmark.runner import probe as probing
from benchmark.runner.dry_run import describe_configurations, duration, preview, time_of_all
from benchmark.runner.probe import Cost, probe
from benchmark.studies.study import resolve
from tests.support import SETTINGS, Tiny

CPU = torch.device("cpu")
TINY = "tests.support.Tiny"


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("colormnist-mini")


def runs_of(dataset, model, iterations=100, **evaluation):
    small = {name: getattr(SETTINGS.evaluation, name) for name in ("mode_samples", "critic_images", "critic_width")}
    return resolve(dataset, models=[model], budget=1, iterations=iterations, **{**small, "critic_steps": 5, **evaluation}).runs


def test_a_timing_is_scaled_when_it_is_long_enough_and_exact_when_all_was_done():
    asked = []

    def seconds(n):
        asked.append(n)
        return 9.0 if len(asked) == 1 else 0.01 * n  # what is done for the first time takes longer

    assert probing._scaled(seconds, 1000, long_enough=0.2) == pytest.approx(10)
    assert asked[:2] == [4, 4]
    assert 20 <= asked[-1] < 100
    asked.clear()
    assert probing._scaled(seconds, 3, long_enough=0.2) == pytest.approx(0.03)
    assert asked == [3, 3]


def test_iterations_that_capture_a_graph_are_not_timed(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(probing, "now", lambda _: next(clock))
    watch, module = probing._Stopwatch(CPU, untimed=10), Tiny((3, 28, 28))
    watch.on_train_start(None, module)
    for iteration in (10, 20, 30):
        module.iteration = iteration
        watch.on_train_batch_end(None, module, None, None, 0)
    assert watch.seconds == 2  # of 4 ticks since the begin


@pytest.mark.slow
def test_every_model_and_sanity_row_has_its_cost(dataset, monkeypatch):
    monkeypatch.setattr(probing, "LONG_ENOUGH", 0.01)
    monkeypatch.setattr(probing, "LONG_ENOUGH_FOR_TRAINING", 0.01)
    costs = probe(runs_of(dataset, TINY), dataset, CPU)
    assert list(costs) == ["real", "noise", TINY]
    assert costs["real"].training == 0
    assert costs["real"].critic > 0
    assert costs[TINY].training == pytest.approx(100 * costs[TINY].iteration)
    assert all(cost.measuring > 0 for cost in costs.values())


@pytest.mark.slow
def test_a_study_of_ten_times_the_numbers_takes_about_ten_times_as_long(dataset):
    short, long = (probe(runs_of(dataset, TINY, n, critic_steps=n)[-1:], dataset, CPU)[TINY] for n in (2_000, 20_000))
    assert 4 < long.training / short.training < 25
    assert 4 < long.critic / short.critic < 25
    assert long.measuring > 4 * short.measuring


def test_every_measurement_is_timed_with_a_count_that_it_goes_by(dataset):
    """A count that a measurement does not look at would be scaled up from the time of all of it."""
    for measurement in measurements_of(SETTINGS.evaluation):
        name = probing.COUNTS.get(type(measurement))
        if name is not None:
            said = [
                str(measurement.details(replace(probing._Probe(run, dataset, CPU).scope, autoencoding=True)))
                for n in (20, 40)
                for run in runs_of(dataset, "alphagan", **{name: n})[-1:]
            ]
            assert said[0] != said[1], measurement


@pytest.mark.slow
def test_probing_leaves_nothing_but_the_number_of_threads_as_it_was(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probing, "LONG_ENOUGH_FOR_TRAINING", 0.01)
    study = resolve(dataset, models=[TINY], budget=1, iterations=20, critic_steps=5)
    lines = preview(study, dataset, tmp_path / "results" / study.name, 1, "cpu")
    assert any("3 runs: 0 finished" in line for line in lines)
    assert torch.get_num_threads() == 1
    assert list(tmp_path.iterdir()) == []


def test_finished_runs_are_not_counted_and_not_probed(dataset, tmp_path, monkeypatch):
    study = resolve(dataset, models=[TINY], budget=2)
    for run, status in zip(study.runs, ("done", "diverged", "done", "failed"), strict=True):
        (tmp_path / "runs" / run.id).mkdir(parents=True)
        (tmp_path / "runs" / run.id / "status.json").write_text(f'{{"status": "{status}"}}')
    monkeypatch.setattr("benchmark.runner.dry_run.probe", lambda runs, *_: {run.model: Cost(1, 60, 30, 30) for run in runs})
    lines = preview(study, dataset, tmp_path, 2, "cpu")
    assert "4 runs: 3 finished" in "\n".join(lines)
    assert "1 missing" in "\n".join(lines)
    assert "0.033 core-hours" in lines[-1]
    assert not any(line.split()[:1] == ["real"] for line in lines)


def test_a_model_that_raises_is_a_users_mistake(dataset):
    with pytest.raises(UserError, match=r"tests.support.Raises failed in the probe: RuntimeError: a bug"):
        probe(runs_of(dataset, "tests.support.Raises")[-1:], dataset, CPU)


def test_the_time_of_all_is_no_less_than_that_of_one(dataset):
    runs = resolve(dataset, models=[TINY], budget=2, width=1.0).runs[-2:]
    costs = {TINY: Cost(0.1, 3600, 0, 0)}
    assert "2 core-hours, 60 min with 2 workers" in time_of_all(costs, runs, 2, 1, "cpu")
    assert "4 core-hours, 2 h with 1 worker;" in time_of_all(costs, runs, 1, 2, "cpu")
    assert "2 hours of a GPU, 60 min with 8 workers" in time_of_all(costs, runs, 8, 2, "cuda")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0512, "51 ms"), (99.6, "100 s"), (100, "1.7 min"), (3600, "60 min"), (86400, "24 h"), (4e7, "463 days")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_configurations_are_listed_and_a_whole_grid_is_said_as_a_product(dataset):
    drawn = describe_configurations(resolve(dataset, models=["dcgan"], budget=3), "dcgan")
    assert drawn[0] == "dcgan, 3 configurations: width 0.25 in all of them"
    assert drawn[1].split() == ["learning_rate", "discriminator_learning_rate", "latent_dim"]
    assert len(drawn) == 2 + 3
    many = describe_configurations(resolve(dataset, models=["alphagan"], budget=50, seeds=2), "alphagan")
    assert many[0].startswith("alphagan, 50 configurations: ")
    assert many[-1] == "  and 30 more"
    whole = describe_configurations(resolve(dataset, "paper", ["dcgan"]), "dcgan")
    assert "  learning_rate: each of 0.0001, 0.0002, 0.0003" in whole
    assert "  latent_dim: each of 10, 50, 75" in whole
    assert len(whole) == 4
