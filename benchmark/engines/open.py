"""Open the engine that a user asks for: processes of this machine, or tasks of a Ray cluster."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from benchmark.engines.engine import Engine
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.settings import Working
    from benchmark.studies.run import Run


def open_engine(
    working: Working,
    threads: int,
    models: Iterable[str],
    untrained: Iterable[Run] = (),
    say: Callable[[str], object] = str,
) -> Engine:
    """Open the engine that a user asked for.

    Args:
        working: what they asked for.
        threads: of each run.
        models: dotted paths of the models that will be trained, and of a user's metrics.
        untrained: runs of models that are to be trained; looked at only if it is to be found out how many share a GPU.
        say: is told what was found, and later what is not as it was expected to be.

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
            working.runs_per_gpu or 1,  # its nodes may be of any kind
            working.storage,
            working.checkpoints,
            memory,
        )
    from benchmark.engines.devices import resolve_device, visible_gpus
    from benchmark.engines.local import LocalEngine, resolve_workers

    gpus = visible_gpus() if resolve_device(working.device) == "cuda" else []
    runs_per_gpu = working.runs_per_gpu
    if runs_per_gpu is None:
        most = resolve_workers(working.workers, threads, run_memory=memory)
        runs_per_gpu = _runs_per_gpu(gpus, islice(untrained, most), say) if gpus else 1
    workers = resolve_workers(working.workers, threads, len(gpus), runs_per_gpu, memory)
    return LocalEngine(workers, gpus, memory, threads, say)


def _runs_per_gpu(gpus: Sequence[str], runs: Iterable[Run], say: Callable[[str], object]) -> int:
    """How many runs it pays to let share each GPU.

    Args:
        gpus: all that there are to use.
        runs: that are to be trained; no more of them than cores and memory bear at once.
        say: is told what was found.
    """
    runs = list(runs)
    most = math.ceil(len(runs) / len(gpus))
    if most < 2:
        return 1
    from benchmark.engines.packing import probe_gpu

    packing = probe_gpu(runs[0], gpus[0], most)
    say(str(packing))
    return packing.runs
