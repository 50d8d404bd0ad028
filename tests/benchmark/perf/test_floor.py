import ast
import sys
from pathlib import Path

import pytest
import torch

from benchmark.data.datasets import load_dataset
from benchmark.model.build import build
from benchmark.model.registry import import_model
from benchmark.model.train import train
from benchmark.perf import floor
from benchmark.perf.floor import FLOORS

ITERATIONS = 3


def pixels_of(size):
    """Real digits at 28 pixels, else noise."""
    if size == 28:
        return load_dataset("colormnist-mini")["train"]
    return torch.randint(256, (100, 3, size, size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def trained(model, size, width, seed, pixels, batch_size):
    """Ours after some iterations, by the way that every run takes."""
    module = build(import_model(model), (3, size, size), {"width": width}, seed)
    initial = {name: value.clone() for name, value in module.state_dict().items()}
    train(module, pixels, ITERATIONS, batch_size)
    return initial, module.state_dict()


def state(networks):
    """Parameters and buffers by the names that they have in our models."""
    return {f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize(("size", "width", "batch_size"), [(28, 0.25, 64), (32, 0.25, 16), (64, 0.0625, 8)])
@pytest.mark.parametrize("model", FLOORS)
def test_the_floor_and_our_model_train_the_same_weights_bit_for_bit(model, size, width, batch_size):
    pixels = pixels_of(size)
    initial, weights = trained(model, size, width, 3, pixels, batch_size)
    floor = FLOORS[model](size, width, 3, pixels, batch_size)
    assert state(floor.networks).keys() == weights.keys()
    differ = [name for name, value in state(floor.networks).items() if not torch.equal(value, initial[name])]
    assert not differ, "before the first iteration"
    for _ in range(ITERATIONS):
        floor.iterate()
    differ = [name for name, value in state(floor.networks).items() if not torch.equal(value, weights[name])]
    assert not differ
    moved = {name.split(".")[0] for name, value in weights.items() if not torch.equal(value, initial[name])}
    assert moved == set(floor.networks)


@pytest.mark.parametrize("model", FLOORS)
def test_the_floor_leaves_the_global_random_state_alone(model):
    before = torch.get_rng_state()
    FLOORS[model](28, 0.125, 0, pixels_of(28), 4).iterate()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_floor_is_written_in_torch_and_nothing_else():
    imported = set()
    for node in ast.walk(ast.parse(Path(floor.__file__).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module)
    assert {name.split(".")[0] for name in imported} - sys.stdlib_module_names == {"torch"}
