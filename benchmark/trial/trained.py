"""A trained model back from a run."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from benchmark.errors import UserError
from benchmark.evaluation.samplers import evaluation_copy
from benchmark.files import read_json
from benchmark.model.build import build
from benchmark.model.gan_module import GANModule
from benchmark.studies.run import Run


def load(run_folder: str | Path) -> GANModule:
    """The model of a run as it was evaluated: in eval mode, on the CPU, batch-norm statistics from prior draws.

    Args:
        run_folder: `results/<study>/runs/<run>`.

    Raises:
        UserError: if the folder holds no trained model.
    """
    run, module = restore(Path(run_folder))
    return evaluation_copy(module, run.settings.evaluation.batch_norm_draws)


def restore(folder: Path) -> tuple[Run, GANModule]:
    """A run and its model as the last checkpoint has it, on the CPU.

    Raises:
        UserError: if the folder holds no trained model.
    """
    run = Run.from_json(read_json(folder / "run.json"), folder / "run.json")
    if run.is_reference:
        raise UserError(f"{folder} is the sanity row {run.model!r}: there is no model in it")
    path = folder / "checkpoint.ckpt"
    if not path.exists():
        raise UserError(f"{folder} has no checkpoint: its run has not come so far")
    module = build(run)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        module.on_load_checkpoint(checkpoint)
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from None
    return run, module
