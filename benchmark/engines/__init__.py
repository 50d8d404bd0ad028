"""Where runs are done: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.engines.engine import Engine

if TYPE_CHECKING:
    from benchmark.options import Working


def open_engine(working: Working, threads: int) -> Engine:
    """The engine that a user asked for.

    Args:
        working: what they asked for.
        threads: of each run.

    Raises:
        UserError: for a device that is not there, or more workers than the machine bears.
    """
    memory = None if working.run_memory is None else round(working.run_memory * 2**30)
    if working.engine == "ray":
        from benchmark.engines.on_ray import RayEngine

        return RayEngine(
            threads, working.device, working.workers, working.runs_per_gpu, working.storage, working.checkpoints, memory
        )
    from benchmark.devices import resolve_device, visible_gpus
    from benchmark.engines.local import LocalEngine, resolve_workers

    gpus = visible_gpus() if resolve_device(working.device) == "cuda" else []
    return LocalEngine(resolve_workers(working.workers, threads, len(gpus), working.runs_per_gpu, memory), gpus, memory)
