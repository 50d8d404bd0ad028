"""Training from a graph, with one that is recorded on the CPU as a CUDA graph is on a GPU."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark import critics, trial
from benchmark.building import build_from
from benchmark.captured import EAGER_FIRST, Repeated, relative_difference
from benchmark.critics import CompanionCritic
from benchmark.datasets import load_dataset
from benchmark.gan_module import GANModule
from benchmark.generators import reference_sampler
from benchmark.ledger import RunFolder
from benchmark.models import code_fingerprint, import_model
from benchmark.recorded_graph import RecordedGraph
from benchmark.records import RecordFile, write_json
from benchmark.runner import Outcome
from benchmark.study import Run
from benchmark.trial import CheckpointKeeper, Watcher, run_trial, train
from tests.support import PIXELS, SETTINGS, SHAPE, Tiny, make_run

MODELS = ["alphagan.AlphaGAN", "alphagan.EmpiricalKLAlphaGAN", "baselines.DCGAN", "baselines.WGANGP", "baselines.AGE"]
CPU = torch.device("cpu")


class Small(Tiny):
    """Keeps nothing that a graph cannot."""

    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0):
        super().__init__(image_shape, latent_dim, learning_rate, width)
        self.seen = None

    def generator_loss(self, images):
        return {"adversarial": -self.judge(self.sample(len(images))).mean()}

    def judge_loss(self, images):
        return {"real": -self.judge(images).mean(), "sample": self.judge(self.sample(len(images))).mean()}


def trained(module: GANModule, iterations: int, graph: type | None = None, **arguments) -> GANModule:
    module.new_graph = graph
    train(module, PIXELS, make_run(iterations=iterations), [], CPU, **arguments)
    return module


def small(model=Small) -> GANModule:
    torch.manual_seed(0)
    return model(SHAPE)


def assert_same(first: nn.Module, second: nn.Module) -> None:
    for (name, value), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(value, other), name


@pytest.mark.parametrize("path", MODELS)
def test_a_graph_gives_bit_for_bit_what_eager_execution_gives_after_a_hundred_iterations(path):
    run = make_run(path, width=0.0625)
    eager, captured = (trained(build_from(import_model(run.path), run), 100, graph) for graph in (None, RecordedGraph))
    assert (eager.execution, captured.execution) == ("eager", "captured")
    assert_same(eager, captured)
    assert eager.take_mean_terms() == captured.take_mean_terms()


def test_layers_with_draws_of_their_own_draw_the_same_in_a_graph():
    eager, captured = (trained(small(), 20, graph) for graph in (None, RecordedGraph))
    assert captured.execution == "captured"
    assert_same(eager, captured)


def test_a_training_that_is_resumed_captures_anew_and_gives_the_same(tmp_path):
    run, path = make_run("baselines.DCGAN", iterations=20), tmp_path / "checkpoint.ckpt"
    whole = trained(build_from(import_model(run.path), run), 20, RecordedGraph)
    half = build_from(import_model(run.path), run)
    half.new_graph = RecordedGraph
    train(half, PIXELS, make_run(iterations=10), [CheckpointKeeper(path, 10, Watcher())], CPU)
    assert_same(whole, trained(build_from(import_model(run.path), run), 20, RecordedGraph, checkpoint=path))


def test_a_second_training_of_the_same_module_does_not_replay_the_first_ones_graph():
    eager, captured = (trained(trained(small(), 10, graph), 20, graph) for graph in (None, RecordedGraph))
    assert_same(eager, captured)


class Anneals(Small):
    def judge_loss(self, images):
        return {name: value * 0.9**self.iteration for name, value in super().judge_loss(images).items()}


class Counts(Small):
    steps = 0

    def judge_loss(self, images):
        self.steps += 1
        return {name: value / self.steps for name, value in super().judge_loss(images).items()}


class Waits(Small):
    def judge_loss(self, images):
        terms = super().judge_loss(images)
        return terms if terms["real"].item() < 1e9 else {}


class Gathers(Small):
    """Has one more term from its second iteration on, which is before a graph is recorded."""

    def judge_loss(self, images):
        terms = super().judge_loss(images)
        return terms if self._iteration == 0 else {**terms, "late": terms["real"] * 0}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Anneals, "eager: it could not be captured as a graph: CannotCapture: a loss reads self.iteration"),
        (Waits, "eager: it could not be captured as a graph: RuntimeError: operation not permitted when stream is capturing"),
        (Counts, "eager: a graph of it gave something else, by "),
    ],
)
def test_what_a_graph_would_get_wrong_is_trained_eagerly_and_says_why(model, reason):
    eager, captured = (trained(small(model), 20, graph) for graph in (None, RecordedGraph))
    assert captured.execution.startswith(reason)
    assert eager.execution == "eager"
    assert captured.iteration == 20
    if model is not Counts:  # which counts what it does to find out, too
        assert_same(eager, captured)


def test_loss_terms_of_a_graph_are_summed_where_they_are():
    eager, captured = (trained(small(Gathers), 20, graph) for graph in (None, RecordedGraph))
    assert captured.execution == "captured"
    assert eager.take_mean_terms() == captured.take_mean_terms() != {}
    assert captured.take_mean_terms() == {}


def test_begin_comes_before_every_time_and_the_first_times_are_eager():
    value, said = torch.zeros(()), []
    loop = Repeated(
        lambda: said.append("begin"), lambda: said.append("work") or value.add_(1), lambda: ([value], []), [], RecordedGraph
    )
    for _ in range(EAGER_FIRST):
        loop()
    assert said == ["begin", "work"] * EAGER_FIRST
    assert loop.graph is None
    loop()  # eagerly, recording, and from the graph: once in effect
    assert value == EAGER_FIRST + 1
    said.clear()
    loop()
    assert said == ["begin"]
    assert value == EAGER_FIRST + 2


def test_the_relative_difference_is_that_of_norms():
    first, second = [torch.tensor([3.0]), torch.tensor([4.0])], [torch.tensor([3.0]), torch.tensor([4.5])]
    assert relative_difference(second, first) == pytest.approx(0.5 / 5)
    assert relative_difference(first, first) == 0.0
    assert relative_difference([torch.tensor([float("nan")])], [torch.tensor([1.0])]) == float("inf")


def prepared(folder: Path, run: Run) -> Path:
    run = replace(run, fingerprint=load_dataset(run.dataset).fingerprint, code=code_fingerprint(import_model(run.path)))
    folder.mkdir()
    write_json(folder / "run.json", asdict(run))
    return folder


def test_a_whole_run_from_graphs_has_the_same_records_its_critics_included(tmp_path, monkeypatch):
    found = {}
    for name, graph in (("eager", None), ("captured", RecordedGraph)):
        for module in (critics, trial):
            monkeypatch.setattr(module, "graphs_of", lambda _device, graph=graph: graph)
        folder = prepared(tmp_path / name, make_run("alphagan.AlphaGAN", iterations=20))
        assert run_trial(folder, "cpu", Watcher()) == "done"
        assert RunFolder(folder).status()["execution"] == name
        found[name] = [row.as_json() for row in RecordFile(folder / "records.jsonl").read()]
    assert found["eager"] == found["captured"]
    assert {"critic", "critic_in_training"} <= {row["metric"] for row in found["eager"]}


def test_a_critic_captures_its_step_and_goes_on_eagerly_with_another_generator(monkeypatch):
    monkeypatch.setattr(critics, "graphs_of", lambda _device: RecordedGraph)
    dataset = load_dataset("colormnist-mini")
    captured = CompanionCritic(dataset, SETTINGS, 12, "post-hoc", CPU)
    monkeypatch.setattr(critics, "graphs_of", lambda _device: None)
    eager = CompanionCritic(dataset, SETTINGS, 12, "post-hoc", CPU)
    for name, steps in (("noise", 8), ("real", 8)):
        sampler = reference_sampler(name, dataset, CPU)
        for companion in (captured, eager):
            companion.advance(sampler, steps)
    assert_same(eager.critic.network, captured.critic.network)
    assert captured.critic.steps == 16


def test_the_command_says_at_its_end_how_many_runs_had_no_graph_and_why():
    outcome = Outcome(Counter(done=3), 0, 0, 0, 0, slow={"eager is eager": 2})
    assert "2 runs were trained without a graph, which takes longer: eager is eager" in list(outcome.lines())
