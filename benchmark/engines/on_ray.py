"""Do runs as tasks of a Ray cluster: source, data and weights travel to its nodes, the runs' files come back; no shared disk."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads it when it is imported

import fsspec
import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark.data import cache
from benchmark.engines import ray_task
from benchmark.engines.devices import check_device
from benchmark.engines.engine import Advanced, Ended, Engine, Event, Job, Lost, Stopped, Taken
from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.model.fingerprint import source_roots
from benchmark.records.run_folder import CHECKPOINT, FINISHED, RunFolder

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How often to look whether the nodes of all runs are there."""


@dataclass
class _Task:
    """An attempt that Ray makes, or has in its queue."""

    job: Job
    reference: Any
    attempt: int
    claim: ExitStack
    """Holds the run's folder here; what happens on the node is written down here alone."""
    node: str = ""
    """Where it is; empty as long as it waits."""
    killed: str = ""


@dataclass
class _Supplies:
    """What nodes may ask for, put into the object store once."""

    data: dict[tuple[str, str], Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)

    def of(self, job: Job) -> ray_task.Supplies:
        run, evaluation = job.run, job.run.settings.evaluation
        key = (run.dataset, run.fingerprint)
        if key not in self.data:
            self.data[key] = _put(run.dataset, cache.pack(*key))
        used = [evaluator for evaluator in (evaluation.inception, evaluation.cifar10) if not evaluator.missing]
        for evaluator in used:
            if evaluator.sha256 not in self.weights:
                self.weights[evaluator.sha256] = _put(evaluator.path, Path(evaluator.path).read_bytes())
        return ray_task.Supplies([self.data[key]], {evaluator.sha256: [self.weights[evaluator.sha256]] for evaluator in used})


def _put(name: str, content: Any) -> Any:
    """Content in the object store; UserError where neither that nor the disk behind it has room."""
    try:
        return ray.put(content)
    except (ObjectStoreFullError, OutOfDiskError) as error:
        raise UserError(
            f"Ray's object store on this machine has no room for {name}: make room on its disk, which Ray takes to be full "
            "at 95 %, or start the cluster with a larger --object-store-memory"
        ) from error


class RayEngine(Engine):
    """Tasks on the cluster at RAY_ADDRESS, or on a local one that lives as long as this process.

    Args:
        threads: of each run; so many CPUs does a task ask for.
        models: dotted paths of the models, and of a user's metrics; their source travels with ours.
        device: "cpu", "cuda", or "auto" for GPUs where the cluster has some.
        workers: runs at once; by default as many as the cluster has room for.
        runs_per_gpu: how many tasks share one.
        storage: a path or URL of fsspec that all nodes reach, where runs save themselves; without one a lost run starts anew.
        checkpoints: whether trained weights come back.
        run_memory: bytes that a task asks for.

    Raises:
        UserError: if there is no such cluster, or it has no room for a single run.
    """

    def __init__(
        self,
        threads: int,
        models: Iterable[str],
        device: str = "auto",
        workers: int | None = None,
        runs_per_gpu: int = 1,
        storage: str | None = None,
        checkpoints: bool = True,
        run_memory: int | None = None,
    ) -> None:
        self.threads, self.workers, self.runs_per_gpu = threads, workers, runs_per_gpu
        self.storage, self.checkpoints = _checked_storage(storage), checkpoints
        check_device(device)
        with tempfile.TemporaryDirectory(prefix="alphagan-source-") as stage:
            _stage_source(models, Path(stage))
            self.address = _connect(stage)
        self._device = "cuda" if device == "cuda" or (device == "auto" and ray.cluster_resources().get("GPU")) else "cpu"
        if not self._room():
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            ray.shutdown()
            raise UserError(f"no Ray node has room for a run of {threads} CPUs on {self._device}; they have {nodes}")
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.mailbox = ray.remote(ray_task.Mailbox).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
        self.remote = ray.remote(ray_task.attempt_on_node).options(
            num_cpus=threads,
            num_gpus=1 / runs_per_gpu if self._device == "cuda" else 0,
            memory=run_memory,
            max_retries=0,  # the scheduler counts attempts, on every engine alike
            scheduling_strategy="SPREAD",
        )
        self.supplies = _Supplies()
        self.tasks: dict[str, _Task] = {}
        self.attempts = 0
        self.unheard: list[Event] = []
        self.is_stopping = False
        self.looked_at = time.monotonic()

    @property
    def places(self) -> int:
        return self.workers or max(1, self._room())  # a cluster that shrinks to nothing may grow again

    def _room(self) -> int:
        """How many runs the nodes of the moment have room for, each on one node."""
        room = 0
        for node in ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            by_gpu = has.get("GPU", 0) * self.runs_per_gpu if self._device == "cuda" else float("inf")
            room += int(min(has.get("CPU", 0) // self.threads, by_gpu))
        return room

    @property
    def device(self) -> str:
        return self._device

    @property
    def summary(self) -> str:
        saves = f"saved in {self.storage}" if self.storage else "a run whose node is lost starts anew (--storage saves it)"
        return f"{self.places} at once on Ray at {self.address}, {self._device}; {saves}"

    def start(self, job: Job) -> None:
        """Begin an attempt on some node."""
        claim = ExitStack()
        if not claim.enter_context(RunFolder(job.folder).claimed()):
            self.unheard.append(Taken(job.run.id))
        elif RunFolder(job.folder).has_ended_since(job.seen):
            self.unheard.append(Ended(job.run.id))
            claim.close()
        else:
            self.attempts += 1
            files = ray_task.read_files(job.folder)
            reference = self.remote.remote(job, self.attempts, files, self.mailbox, self.supplies.of(job), self.storage)
            self.tasks[job.run.id] = _Task(job, reference, self.attempts, claim)

    def events(self, seconds: float) -> list[Event]:
        """Return what happened since the last call."""
        events, self.unheard = self.unheard, []
        references = {task.reference: task for task in self.tasks.values()}
        ready: Sequence[Any] = []
        if references:
            ready = ray.wait(list(references), num_returns=1, timeout=0 if events else seconds)[0]
        elif not events:
            time.sleep(seconds)
        events += [self._end(references[reference]) for reference in ready]
        for name, (attempt, node, iteration) in self._news().items():
            task = self.tasks.get(name)
            if task and task.attempt == attempt:
                task.node = node
                RunFolder(task.job.folder).advance(iteration)
                events.append(Advanced(name, iteration))
        return events + self._look_for_nodes()

    def _news(self) -> dict[str, tuple[int, str, int]]:
        """What the mailbox has; a new one, where the old one was killed, has to hear first that runs are to stop."""
        try:
            if self.is_stopping:
                ray.get(self.mailbox.stop.remote())
            return ray.get(self.mailbox.read.remote())
        except RayActorError:
            return {}

    def _end(self, task: _Task) -> Event:
        """What an attempt returned, written down; or why it returned nothing."""
        name = task.job.run.id
        try:
            event, files = ray.get(task.reference)
        except RayTaskError as error:  # it may be a lost object's too, as seen from the task
            event, files = Lost(name, f"{type(error.cause).__name__}: {error.cause}"), {}
        except TaskCancelledError:
            event, files = (Lost(name, task.killed) if task.killed else Stopped(name)), {}
        except (NodeDiedError, ObjectLostError):
            event, files = Lost(name, "its node is gone", blameless=True), {}
        except (WorkerCrashedError, OutOfMemoryError) as error:
            event, files = Lost(name, str(error).strip().splitlines()[0]), {}
        except RayError as error:  # an exception that left the task
            event, files = Lost(name, f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"), {}
        try:
            self._keep(task, event, files)
        finally:
            self._forget(task)
        return event

    def _keep(self, task: _Task, event: Event, files: ray_task.Files) -> None:
        """Write down what came back: the environment is that of the node, the evaluators' paths are ours."""
        if not files:
            return
        status = files.pop("status.json", None)
        if status and not self.checkpoints:
            files.pop(CHECKPOINT, None)
        folder = task.job.folder
        ray_task.write_files(folder, files)
        if "run.json" in files:
            write_json(folder / "run.json", {**read_json(folder / "run.json"), "settings": asdict(task.job.run.settings)})
        if status:
            if "error.txt" not in files:
                (folder / "error.txt").unlink(missing_ok=True)
            ray_task.write_files(folder, {"status.json": status})
            if self.storage and RunFolder(folder).status()["status"] in FINISHED:
                ray_task.Saves(self.storage, task.job, folder, task.attempt).remove()

    def _forget(self, task: _Task) -> None:
        del self.tasks[task.job.run.id]
        task.claim.close()

    def _look_for_nodes(self) -> list[Event]:
        """Attempts whose nodes are gone, of which Ray does not always tell: a node that hangs keeps its tasks."""
        if time.monotonic() - self.looked_at < LOOK_SECONDS:
            return []
        self.looked_at = time.monotonic()
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        gone = [task for task in self.tasks.values() if task.node and task.node not in alive]
        for task in gone:
            ray.cancel(task.reference, force=True)
            self._forget(task)
        return [Lost(task.job.run.id, "its node is gone", blameless=True) for task in gone]

    def stop(self) -> None:
        """Ask all attempts to save and come back; those that wait for a node end at once."""
        self.is_stopping = True
        for task in self.tasks.values():
            if not task.node:
                ray.cancel(task.reference, force=True)

    def kill(self, run_id: str, reason: str) -> None:
        """End an attempt at once."""
        self.tasks[run_id].killed = reason
        ray.cancel(self.tasks[run_id].reference, force=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in list(self.tasks.values()):
            ray.cancel(task.reference, force=True)
            self._forget(task)
        ray.shutdown()


def _checked_storage(storage: str | None) -> str | None:
    """The storage as every node understands it.

    Raises:
        UserError: for a URL that fsspec does not know.
    """
    if storage is None:
        return None
    if "://" not in storage:
        storage = str(Path(storage).resolve())
    try:
        fsspec.core.url_to_fs(storage)
    except (ValueError, ImportError) as error:
        raise UserError(f"--storage {storage}: {error}") from None
    return storage


def _connect(stage: str) -> str:
    """Join the cluster at RAY_ADDRESS, or start one here; its address for people."""
    address = os.environ.get("RAY_ADDRESS", "")
    _silence()
    common = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": {"working_dir": stage}}
    if not address:
        ray.init(address="local", include_dashboard=False, **common)
        return "this machine"
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:  # a dead address would hang for minutes
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            raise UserError(f"there is no Ray cluster at RAY_ADDRESS={address}: {error}") from None
    try:
        ray.init(address=address, **common)
    except (ConnectionError, ValueError) as error:
        raise UserError(f"there is no Ray cluster at RAY_ADDRESS={address}: {error}") from None
    return address


def _silence() -> None:
    """Ray prints dumps of dead workers' logs to the standard output, whatever its options; what matters of them are events."""
    vars(sys.modules["ray._private.worker"])["print_to_stdstream"] = lambda *_, **__: None  # there is no public switch


def _stage_source(models: Iterable[str], stage: Path) -> None:
    """Copy our packages and the models' own modules to where Ray takes them from; nothing else travels."""
    packages = ("benchmark", "metrics", "baselines", "alphagan")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "results", "runs")
    for root, name in source_roots([*packages, *models]).items():
        if root.is_dir():  # a package without `__init__` may lie in several folders
            shutil.copytree(root, stage / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copyfile(root, stage / name)
