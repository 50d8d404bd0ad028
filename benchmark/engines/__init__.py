"""Where runs are done: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.engines.engine import Engine
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.options import Working


def open_engine(working: Working, threads: int, models: Iterable[str]) -> Engine:
    """The engine that a user asked for.

    Args:
        working: what they asked for.
        threads: of each run.
        models: dotted paths of the models that will be trained.

    Raises:
        UserError: for a device, a cluster or a package that is not there, or more workers than the machine bears.
    """
    if working.engine != "ray" and (working.storage or not working.checkpoints):
        raise UserError("--storage and --no-checkpoints are for --engine ray: here everything stays in the results folder")
    memory = None if working.run_memory is None else round(working.run_memory * 2**30)
    if working.engine == "ray":
        if importlib.util.find_spec("ray") is None:
            raise UserError("ENGINE=ray needs packages more: pip install 'alphagan-benchmark[ray]'")
        from benchmark.engines.on_ray import RayEngine

        return RayEngine(
            threads,
            models,
            working.device,
            working.workers,
            working.runs_per_gpu,
            working.storage,
            working.checkpoints,
            memory,
        )
    from benchmark.devices import resolve_device, visible_gpus
    from benchmark.engines.local import LocalEngine, resolve_workers

    gpus = visible_gpus() if resolve_device(working.device) == "cuda" else []
    return LocalEngine(resolve_workers(working.workers, threads, len(gpus), working.runs_per_gpu, memory), gpus, memory)
