"""What every model that has a short name is held to."""

import inspect
import re

import pytest
import pytorch_lightning as pl
import torch

from benchmark.model.build import build
from benchmark.model.check import check_gan_module
from benchmark.model.recorded_graph import RecordedGraph
from benchmark.model.registry import ALIASES, constructor_arguments, hyperparameter_grid, import_model, title
from benchmark.model.train import train
from tests.support import PIXELS, SHAPE, iterate


@pytest.fixture(params=ALIASES)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return import_model(name)


@pytest.mark.slow
def test_it_keeps_the_contract_and_can_be_captured(model):
    """Moves its own networks only, repeats, resumes: see `benchmark.model.check`, which warns of what a graph cannot repeat."""
    assert check_gan_module(model) == []


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 64, 64)], ids=str)
def test_it_trains_at_other_sizes_and_numbers_of_channels(model, shape):
    module = model(shape, latent_dim=4, width=0.0625)
    iterate(module, 1, torch.randint(256, (16, *shape), dtype=torch.uint8))
    assert all(value.isfinite().all() for value in module.state_dict().values())
    images = module.sample(2)
    assert images.shape == (2, *shape)
    if hasattr(module, "encode"):
        assert module.encode(images).shape == (2, 4)
        assert module.reconstruct(images).shape == images.shape


class Terms(pl.Callback):
    """Keeps the loss terms, as a run's recorder does."""

    means: dict[str, float]

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        self.means = pl_module.take_mean_terms()


@pytest.mark.slow
def test_a_graph_gives_bit_for_bit_what_eager_execution_gives(model):
    modules, recorders = [], []
    for graph in (None, RecordedGraph):
        module, recorder = build(model, SHAPE, {"latent_dim": 4, "width": 0.0625}, seed=0), Terms()
        train(module, PIXELS, 6, 8, [recorder], new_graph=graph)
        modules.append(module)
        recorders.append(recorder)
    eager, captured = modules
    assert (eager.execution, captured.execution) == ("eager", "captured")
    for (key, value), other in zip(eager.state_dict().items(), captured.state_dict().values(), strict=True):
        assert torch.equal(value, other), key
    assert recorders[0].means == recorders[1].means


def test_every_learning_rate_reaches_an_optimizer(model):
    names = [argument for argument in constructor_arguments(model) if argument.endswith("learning_rate")]
    rates = {argument: 1e-3 * (number + 1) for number, argument in enumerate(names)}
    optimizers = model(SHAPE, latent_dim=4, width=0.0625, **rates).configure_optimizers()
    assert {optimizer.param_groups[0]["lr"] for optimizer in optimizers} == set(rates.values())


def test_its_defaults_lie_within_its_sweep(model):
    arguments = constructor_arguments(model)
    for argument, values in hyperparameter_grid(model).items():
        assert values[0] <= arguments[argument].default <= values[-1], argument
        assert values == sorted(values)


def test_its_docstring_gives_a_source(model):
    assert re.search(r"(arXiv \d{4}\.\d{5})|([Ee]quation)", inspect.getdoc(model) or "")


def test_it_has_a_title(name):
    assert title(name) != name
