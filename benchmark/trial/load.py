"""Get the model of a run: with its initial weights, as its last checkpoint has it, or as it was evaluated."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from benchmark.errors import UserError
from benchmark.evaluation.samplers import evaluation_copy
from benchmark.files import read_json
from benchmark.model.build import build
from benchmark.model.fingerprint import code_fingerprint
from benchmark.model.gan_module import GANModule
from benchmark.model.registry import import_model
from benchmark.records.run_folder import CHECKPOINT
from benchmark.studies.run import Run


def load(run_folder: str | Path) -> GANModule:
    """Load the model of a run as it was evaluated: in eval mode, on the CPU, batch-norm statistics from prior draws.

    Args:
        run_folder: `results/<study>/runs/<run>`.

    Raises:
        UserError: if the folder holds no trained model, or the model's code is no longer what it was trained by.
    """
    run, module = restore(Path(run_folder))
    return evaluation_copy(module, run.settings.evaluation.batch_norm_draws)


def restore(folder: Path) -> tuple[Run, GANModule]:
    """Read a run and its model as the last checkpoint has it, on the CPU.

    Raises:
        UserError: if the folder holds no trained model, or the model's code is no longer what it was trained by.
    """
    run = Run.from_json(read_json(folder / "run.json"), folder / "run.json")
    if run.is_reference:
        raise UserError(f"{folder} is the sanity row {run.model!r}: there is no model in it")
    path = folder / CHECKPOINT
    if not path.exists():
        raise UserError(f"{folder} has no checkpoint: its run has not come so far")
    module = build_model(run)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        module.on_load_checkpoint(checkpoint)
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from None
    return run, module


def build_model(run: Run) -> GANModule:
    """Build the model of a run with its initial weights, on the CPU.

    Raises:
        UserError: if the model's code is no longer what the run was named for.
    """
    model = import_model(run.path)
    if code_fingerprint(model) != run.code:
        raise UserError(f"the code of {run.path} is not what run {run.id} was made for; start the study again to train it anew")
    return build(model, run.image_shape, run.hyperparameters, run.seed)
