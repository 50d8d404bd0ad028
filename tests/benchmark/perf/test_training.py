"""What is timed is there, with its pairs; never how long it took."""

import math
from functools import partial

import pytest
import torch

from benchmark.perf import training
from benchmark.perf.bursts import TrainingProcess
from benchmark.perf.floor import FLOORS
from benchmark.perf.table import Goal
from benchmark.perf.training import (
    Conditions,
    followed_by,
    interleave,
    length_rows,
    model_rows,
    pair_rows,
    paper_rows,
    timed,
    train_model,
    trainer_rows,
)

TINY = 0.03
CPU = torch.device("cpu")
CONDITIONS = Conditions(repeats=2, width=TINY, device=CPU)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(training, "BURST_SECONDS", 0.01)
    monkeypatch.setattr(training, "IMAGES", 100)
    monkeypatch.setattr(training, "WITHOUT_A_MODEL", 20)
    monkeypatch.setattr(training, "THREADS", 1)  # two threads stand in each other's way where other tests run
    monkeypatch.setattr(training, "CHUNK", 2)


@pytest.fixture(scope="module")
def process():
    with TrainingProcess(CPU) as process:
        yield process


def hold(row, repeats=2):
    assert len(row.values) == len(row.peer_values) == repeats
    assert all(math.isfinite(value) and value > 0 for value in row.judged)


@pytest.mark.processes
def test_a_model_is_measured_beside_all_its_peers(process):
    rows = list(model_rows("alphagan", 28, CONDITIONS, process))
    assert [(row.title, row.peer, row.goal, row.inverse) for row in rows] == [
        ("alphagan, 28 px", "the floor", Goal("at most", 1.03), False),
        ("alphagan, 28 px", "gradients everywhere", None, True),
        ("alphagan, 28 px", "plain Lightning", Goal("at least", 1), True),
    ]
    for row in rows:
        hold(row)
        assert row.unit == "ms/iteration"


@pytest.mark.slow
def test_gradients_everywhere_are_judged_at_the_papers_width(monkeypatch):
    monkeypatch.setattr(training, "PAPERS_WIDTH", TINY)
    monkeypatch.setattr(training, "SLOW_SIZE", 32)
    monkeypatch.setattr(training, "SLOW_REPEATS", 3)
    rows = list(paper_rows(Conditions(repeats=4, width=0.25, device=CPU)))
    assert [row.title for row in rows] == [f"alphagan, {size} px, the paper's width" for size in (28, 32, 64)]
    for row, repeats in zip(rows, (4, 3, 3), strict=True):
        hold(row, repeats)
        assert (row.peer, row.goal) == ("gradients everywhere", Goal("at least", 1.4))


@pytest.mark.processes
def test_what_the_trainer_costs_and_whether_it_grows(process):
    for row in (*trainer_rows(CONDITIONS, process), *length_rows(CONDITIONS)):
        hold(row)


@pytest.mark.processes
def test_two_runs_at_once():
    together, limit = pair_rows(CONDITIONS)
    for row in (together, limit):
        hold(row)
    assert together.values == limit.values
    assert limit.goal == Goal("at least", 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FLOORS if name != "alphagan"])
def test_turns_do_the_same_number_of_iterations(name):
    done = []

    def peer(iterations: int) -> float:
        done.append(iterations)
        return 1.0

    floor = FLOORS[name](28, TINY, 0, training.noise(28), training.BATCH)
    loop = timed(floor.iterate, CPU)
    milliseconds = interleave(name, 28, CONDITIONS, {"floor": loop, "other": followed_by(peer, loop)}, 3)
    assert done == [3] * 3  # the first turn warms up
    assert floor.iteration == 18
    assert milliseconds["other"] == [1000 / 3] * 2
    assert len(milliseconds["ours"]) == len(milliseconds["floor"]) == 2


@pytest.mark.parametrize(("seconds", "iterations"), [(0.9, 1), (0.08, 4), (0.03, 10), (0.011, 20)])
def test_a_burst_is_a_part_of_a_chunk_or_whole_chunks(monkeypatch, seconds, iterations):
    monkeypatch.setattr(training, "CHUNK", 10)
    monkeypatch.setattr(training, "BURST_SECONDS", 0.3)
    assert training.burst_iterations(lambda n: n * seconds) == iterations


def test_gradients_go_everywhere_but_steps_do_not():
    module = training.build_model("alphagan", 28, TINY)
    moved, zeroed = set(), module.zero_grad

    def look(**_: object) -> None:
        moved.add(frozenset(name.split(".")[0] for name, parameter in module.named_parameters() if parameter.grad is not None))
        zeroed(set_to_none=True)

    module.zero_grad = look
    training.iteration_everywhere(module, training.noise(28))()
    assert moved == {
        frozenset({"encoder", "generator", "code_discriminator"}),
        frozenset({"encoder", "generator", "discriminator"}),
        frozenset({"encoder", "code_discriminator"}),
    }


def test_the_limit_of_a_device_is_measured(monkeypatch):
    measure = training.peak_rate.__wrapped__
    monkeypatch.setattr(training, "peak_rate", lambda device: measure(device, side=64))
    row = training.limit_row("dcgan", 28, Conditions(1, 0.25, CPU), [100.0, 200.0])
    assert row.values[0] == 2 * row.values[1] > 0


@pytest.mark.processes
def test_a_process_says_when_its_training_ended_by_itself():
    missing = partial(train_model, "no such model", 28, TINY)
    with (
        TrainingProcess(CPU) as process,
        pytest.raises(RuntimeError, match="ended by itself"),
        process.training(missing, warm_up=1),
    ):
        pass
