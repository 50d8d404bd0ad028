"""Training from a graph, with one that is recorded on the CPU as a CUDA graph is on a GPU."""

import gc
import weakref
from collections import Counter

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from benchmark.data.datasets import load_dataset
from benchmark.evaluation import critics
from benchmark.evaluation.critics import CompanionCritic
from benchmark.evaluation.samplers import reference_sampler
from benchmark.model import train as train_module
from benchmark.model.build import build
from benchmark.model.gan_module import GANModule
from benchmark.model.graph import EAGER_FIRST, Repeated, Work, contents, relative_difference
from benchmark.model.recorded_graph import RecordedGraph
from benchmark.model.registry import import_model
from benchmark.model.train import CheckpointKeeper, Watcher, train
from benchmark.records.rows import RecordFile
from benchmark.records.run_folder import RunFolder
from benchmark.runner.runner import Outcome
from benchmark.trial.trial import run_trial
from tests.support import PIXELS, SETTINGS, SHAPE, Small, make_run, prepare

MODELS = ["alphagan.AlphaGAN", "alphagan.EmpiricalKLAlphaGAN", "baselines.DCGAN", "baselines.WGANGP", "baselines.AGE"]
CPU = torch.device("cpu")


class Terms(pl.Callback):
    """Keeps the loss terms, as a run's recorder does."""

    def __init__(self) -> None:
        self.means: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        self.means.append(pl_module.take_mean_terms())


def trained(module: GANModule, iterations: int, graph=None, callbacks=(), checkpoint=None) -> GANModule:
    train(module, PIXELS, iterations, 8, callbacks, checkpoint, new_graph=graph)
    return module


def built(path: str, width: float = 0.125) -> GANModule:
    return build(import_model(path), SHAPE, {"latent_dim": 4, "width": width}, seed=0)


def small(model=Small) -> GANModule:
    torch.manual_seed(0)
    return model(SHAPE)


def assert_same(first: nn.Module, second: nn.Module) -> None:
    for (name, value), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(value, other), name


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS)
def test_a_graph_gives_bit_for_bit_what_eager_execution_gives_after_a_hundred_iterations(path):
    terms, other_terms = Terms(), Terms()
    eager = trained(built(path, 0.0625), 100, None, [terms])
    captured = trained(built(path, 0.0625), 100, RecordedGraph, [other_terms])
    assert (eager.execution, captured.execution) == ("eager", "captured")
    assert_same(eager, captured)
    assert terms.means == other_terms.means
    assert len(terms.means) == 10


def test_layers_with_draws_of_their_own_draw_the_same_in_a_graph():
    eager, captured = (trained(small(), 20, graph) for graph in (None, RecordedGraph))
    assert captured.execution == "captured"
    assert_same(eager, captured)


def test_a_training_that_is_resumed_captures_anew_and_gives_the_same(tmp_path):
    path = tmp_path / "checkpoint.ckpt"
    whole = trained(built("baselines.DCGAN"), 20, RecordedGraph)
    trained(built("baselines.DCGAN"), 10, RecordedGraph, [CheckpointKeeper(path, 10, Watcher())])
    assert_same(whole, trained(built("baselines.DCGAN"), 20, RecordedGraph, checkpoint=path))


def test_a_second_training_of_the_same_module_does_not_replay_the_first_ones_graph():
    eager, captured = (trained(trained(small(), 10, graph), 20, graph) for graph in (None, RecordedGraph))
    assert_same(eager, captured)


def test_the_memory_of_a_graph_is_free_when_its_training_ends():
    """At once, not when Python looks for cycles: the evaluation that follows needs the GPU's memory."""
    graphs = []

    def new_graph() -> RecordedGraph:
        graph = RecordedGraph()
        graphs.append(weakref.ref(graph))
        return graph

    gc.disable()
    try:
        assert trained(small(), 20, new_graph).execution == "captured"
        assert [graph() for graph in graphs] == [None]
    finally:
        gc.enable()


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


class Converts(Small):
    def judge_loss(self, images):
        terms = super().judge_loss(images)
        return terms if terms["real"].tolist() < 1e9 else {}


class Masks(Small):
    def judge_loss(self, images):
        logits = self.judge(images)
        return {"wrong": logits[logits < logits.median()].sum()}


class Rarely(Small):
    """Adds a term every eighth time."""

    steps = 0

    def judge_loss(self, images):
        self.steps += 1
        terms = super().judge_loss(images)
        return {"real": terms["real"] * (2 if self.steps % 8 == 0 else 1), "sample": terms["sample"]}


class Rebinds(Small):
    """Keeps an average in a tensor that is another one each time."""

    mean = torch.zeros(())

    def judge_loss(self, images):
        terms = super().judge_loss(images)
        self.mean = 0.9 * self.mean + 0.1 * terms["real"].detach()
        return {"real": terms["real"] - self.mean, "sample": terms["sample"]}


class SlowingDown(torch.optim.SGD):
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["lr"] *= 0.99


class Decays(Small):
    def phases(self):
        generator, judge, _ = super().phases()
        judge.optimizer = SlowingDown
        return [generator, judge]


class Averages(Small):
    """Keeps moving averages of its weights in a plain list, which no state_dict knows of."""

    def phases(self):
        generator, judge, _ = super().phases()
        self.averages = [parameter.detach().clone() for parameter in self.generator.parameters()]
        generator.after = lambda: torch._foreach_lerp_(self.averages, list(self.generator.parameters()), 0.1)
        return [generator, judge]


class Gathers(Small):
    """Has one more term from its second iteration on, which is before a graph is recorded."""

    def judge_loss(self, images):
        terms = super().judge_loss(images)
        return terms if self._iteration == 0 else {**terms, "late": terms["real"] * 0}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Anneals, "it cannot be captured as a graph: CannotCapture: a loss reads self.iteration"),
        (Waits, "it cannot be captured as a graph: CannotCapture: it asks for the value of a tensor"),
        (Converts, "it cannot be captured as a graph: CannotCapture: it brings a tensor to the host with tolist()"),
        (Masks, "it cannot be captured as a graph: CannotCapture: the shape of what a mask selects depends on values"),
        (Counts, "it changes self.steps on the host, which a graph would not"),
        (Rarely, "it changes self.steps on the host, which a graph would not"),
        (Rebinds, "it changes self.mean on the host, which a graph would not"),
        (Decays, "it changes the optimizer of phase 'judge'[1][0]['lr'] on the host, which a graph would not"),
    ],
)
def test_what_a_graph_would_get_wrong_is_trained_eagerly_and_says_why(model, reason):
    eager, captured = (trained(small(model), 20, graph) for graph in (None, RecordedGraph))
    assert captured.execution.startswith(f"eager: {reason}")
    assert eager.execution == "eager"
    assert captured.iteration == 20
    assert_same(eager, captured)


def test_loss_terms_of_a_graph_are_summed_where_they_are():
    terms, other_terms = Terms(), Terms()
    trained(small(Gathers), 20, None, [terms])
    captured = trained(small(Gathers), 20, RecordedGraph, [other_terms])
    assert captured.execution == "captured"
    assert terms.means == other_terms.means
    assert "judge/late" in terms.means[0]
    assert captured.take_mean_terms() == {}


def test_what_a_model_keeps_in_lists_of_tensors_goes_on_as_in_eager_execution():
    eager, captured = (trained(small(Averages), 20, graph) for graph in (None, RecordedGraph))
    assert captured.execution == "captured"
    assert all(map(torch.equal, eager.averages, captured.averages))


class Breaks(RecordedGraph):
    def replay(self):
        raise AssertionError


class Lies(RecordedGraph):
    """Replays, and moves what it should not."""

    def __init__(self, moved):
        super().__init__()
        self.moved = moved

    def replay(self):
        super().replay()
        self.moved.add_(1e-3)


def test_a_graph_that_breaks_or_gives_something_else_leaves_what_eager_execution_gave():
    eager = trained(small(), 20)
    broken = trained(small(), 20, Breaks)
    assert broken.execution == "eager: it cannot be captured as a graph: AssertionError: "
    assert_same(eager, broken)
    lied_to = small()
    trained(lied_to, 20, lambda: Lies(lied_to.generator[0].weight.data))
    assert lied_to.execution.startswith("eager: a graph of it gave something else, by ")
    assert_same(eager, lied_to)


def test_begin_comes_before_every_time_and_the_first_times_are_eager():
    value, calls = torch.zeros(()), []
    work = Work(lambda: calls.append("begin"), lambda: calls.append("work") or value.add_(1), [value], [], dict)
    loop = Repeated(work, RecordedGraph)
    for _ in range(EAGER_FIRST):
        loop()
    assert calls == ["begin", "work"] * EAGER_FIRST
    assert loop.graph is None
    loop()  # eagerly, recording, and from the graph: once in effect
    assert value == EAGER_FIRST + 1
    calls.clear()
    loop()
    assert calls == ["begin"]
    assert value == EAGER_FIRST + 2


def test_the_relative_difference_is_that_of_norms():
    first, second = [torch.tensor([3.0]), torch.tensor([4.0])], [torch.tensor([3.0]), torch.tensor([4.5])]
    assert relative_difference(second, first) == pytest.approx(0.5 / 5)
    assert relative_difference(first, first) == 0.0
    assert relative_difference([torch.tensor([float("nan")])], [torch.tensor([1.0])]) == float("inf")


@pytest.mark.slow
def test_a_whole_run_from_graphs_has_the_same_records_its_critics_included(tmp_path, monkeypatch):
    rows = {}
    for name, graph in (("eager", None), ("captured", RecordedGraph)):
        for module in (critics, train_module):
            monkeypatch.setattr(module, "graphs_of", lambda _device, graph=graph: graph)
        folder = prepare(tmp_path / name, make_run("alphagan.AlphaGAN", iterations=20))
        assert run_trial(folder, "cpu", Watcher()) == "done"
        assert RunFolder(folder).status()["execution"] == name
        rows[name] = [row.as_json() for row in RecordFile(folder / "records.jsonl").read()]
    assert rows["eager"] == rows["captured"]
    assert {"critic", "critic_in_training"} <= {row["metric"] for row in rows["eager"]}


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


def test_it_is_seen_what_lists_hold_and_where_tensors_lie():
    tensor, spread = torch.zeros(2), torch.zeros(1).expand(3)
    collected = contents({"a": {"b": [1, tensor], "c": "x"}, "d": object(), "e": spread})
    assert collected.facts["a"] == 2
    assert collected.facts["a['b'][0]"] == 1
    assert collected.facts["a['b'][1]"] == (tensor.data_ptr(), (2,))
    assert collected.tensors == [tensor]  # the other one is one number in three places
    assert "d" not in collected.facts
