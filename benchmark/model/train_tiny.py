"""Train every model for a few iterations and print hashes of what came out: a script that `lock prove` runs in two checkouts.

It is handed to Python as text, in checkouts of other commits too, so it imports no more than it must, from old places or new.
Each line is a JSON list: model and size, its tensors' hashes by name or the error that it raised, and how many lines there are.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

# An editable installation of another checkout would fill in what a commit does not have.
sys.meta_path[:] = [finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")]

import benchmark  # noqa: E402 - not before that

PACKAGES = ("alphagan", "baselines", "benchmark", "metrics")
SHAPES = ((3, 28, 28), (1, 32, 32), (3, 64, 64))
WIDTH, SEED, BATCH, IMAGES = 0.125, 7, 6, 24
CALLS, ITERATIONS = 2, 2


def import_first(*names: str) -> Any:
    """Import the first of these modules that there is."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
    raise ModuleNotFoundError(f"there is none of {', '.join(names)}")


registry = import_first("benchmark.model.registry", "benchmark.models")
building = import_first("benchmark.model.build", "benchmark.building")


def build(model: type, shape: tuple[int, int, int]) -> Any:
    """Make a model with its initial weights."""
    values = {"width": WIDTH} if "width" in inspect.signature(model).parameters else {}
    if hasattr(building, "build_from"):
        return building.build_from(model, SimpleNamespace(image_shape=shape, hyperparameters=values, seed=SEED))
    return building.build(model, shape, values, SEED)


def trained(model: type, shape: tuple[int, int, int]) -> dict[str, str]:
    """Train a model without Lightning's loop, and hash its weights, buffers and optimizers' states by their names."""
    module = build(model, shape)
    pixels = torch.randint(256, (IMAGES, *shape), generator=torch.Generator().manual_seed(SEED), dtype=torch.uint8)
    optimizers = module.configure_optimizers()
    module.optimizers = lambda use_pl_optimizer: optimizers  # noqa: ARG005 - as Lightning calls it
    module.train()
    module.on_train_start()
    chunk = sys.modules[benchmark.GANModule.__module__].Chunk(pixels, BATCH, ITERATIONS)
    for _ in range(CALLS):
        module.training_step(chunk)
    tensors = dict(module.state_dict())
    for index, optimizer in enumerate(optimizers):
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer {index} {number} {key}": torch.as_tensor(value) for key, value in state.items()}
    return {name: hashed(tensor) for name, tensor in tensors.items()}


def hashed(tensor: torch.Tensor) -> str:
    """Hash a tensor's type, shape and bits."""
    kind = f"{tensor.dtype} {tuple(tensor.shape)}"
    return hashlib.sha256(kind.encode() + tensor.detach().contiguous().numpy().tobytes()).hexdigest()[:16]


def is_strange(module: ModuleType) -> bool:
    """Tell whether a module is not of this checkout."""
    return bool(module.__file__) and Path.cwd() not in Path(str(module.__file__)).resolve().parents


def lines() -> Iterator[tuple[str, dict[str, str] | str]]:
    """Train all; by model and size what came out."""
    for alias, path in registry.ALIASES.items():
        for shape in SHAPES:
            try:
                result: dict[str, str] | str = trained(registry.import_model(path), shape)
            except Exception as error:  # a size that a model has no networks for
                result = f"{type(error).__name__}: {error}"
            yield f"{alias} at {shape[1]} pixels", result


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, result in lines():
        print(json.dumps([name, result, len(registry.ALIASES) * len(SHAPES)]), flush=True)  # noqa: T201
    strangers = [
        module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] in PACKAGES and is_strange(module)
    ]
    if strangers:
        sys.exit(f"{strangers[0]} was imported, which is not of the checkout {Path.cwd()}")
