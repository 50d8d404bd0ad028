"""Make one attempt at a run on a node of a Ray cluster, in a folder of its own, whose files it returns."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import ray

from benchmark.data import cache
from benchmark.data.datasets import RECIPES
from benchmark.data.source import Found
from benchmark.engines.engine import DiskFull, Ended, Event, Job
from benchmark.engines.worker import work
from benchmark.errors import UserError, is_disk_full
from benchmark.files import write_atomically, write_json
from benchmark.model.train import Watcher
from benchmark.records.run_folder import CHECKPOINT, FINISHED, RunFolder
from benchmark.settings import Evaluator
from benchmark.trial.trial import saved_iteration

Files = dict[str, bytes]
"""The files of a run's folder by their paths inside it."""

NOT_CARRIED = (".lock",)
SAVED = (CHECKPOINT, "records.jsonl", "attempts.jsonl")
"""What another node needs to go on."""
LAST = ("records.jsonl", CHECKPOINT, "status.json")
POST_SECONDS = 0.5


class Mailbox:
    """An actor beside the driver: runs tell it how far they are, and hear from it whether to stop."""

    def __init__(self) -> None:
        self.news: dict[str, tuple[int, str, int]] = {}
        self.stopping = False

    def post(self, run_id: str, attempt: int, node: str, iteration: int) -> bool:
        """Take the news of a run; return whether it is to stop."""
        self.news[run_id] = (attempt, node, iteration)
        return self.stopping

    def read(self) -> dict[str, tuple[int, str, int]]:
        """Return the latest news of each run since the last call: attempt, node, iteration."""
        news, self.news = self.news, {}
        return news

    def stop(self) -> None:
        """Let every run that posts hear that it is to stop."""
        self.stopping = True


@dataclass(frozen=True)
class Supplies:
    """What a run needs that may not be on its node, by references: it is fetched only where it is missing."""

    data: list[Any]
    """Of one reference to what `cache.pack` gave."""
    weights: Mapping[str, list[Any]]
    """By the hash of an evaluator's weights: one reference to the file's content."""


def attempt_on_node(
    job: Job, attempt: int, files: Files, mailbox: Any, supplies: Supplies, storage: str | None
) -> tuple[Event, Files]:
    """Make an attempt at a run in a scratch folder; return how it ended, and all files of the run."""
    scratch = Path(tempfile.mkdtemp(prefix=f"{job.run.id}-"))
    saves = Saves(storage, job, scratch, attempt) if storage else None
    watcher = MailboxWatcher(job.run.id, attempt, mailbox, saves)
    try:
        write_files(scratch, files)
        if saves is not None:
            saves.fetch()
        try:
            here = _supplied(replace(job, folder=scratch), supplies)
        except UserError as problem:
            before = RunFolder(scratch).status()
            kept = before if before.get("status") in FINISHED else {"status": "failed", "seconds": {}}
            write_json(scratch / "status.json", {**kept, "reason": str(problem)})
            return Ended(job.run.id), read_files(scratch)
        return work(here, watcher), read_files(scratch)
    except OSError as error:
        if is_disk_full(error):
            return DiskFull(job.run.id, f"{error.filename or scratch} on a node: {error.strerror}"), {}
        raise
    finally:
        watcher.close()
        shutil.rmtree(scratch, ignore_errors=True)


def read_files(folder: Path) -> Files:
    """Read the files of a run's folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in NOT_CARRIED]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.suffix != ".part"}


def write_files(folder: Path, files: Files) -> None:
    """Write a run's files: records before the checkpoint, which needs the rows that it knows, and the status at last."""
    order = [name for name in (*sorted(set(files) - set(LAST)), *LAST) if name in files]
    for name in order:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, files[name])


class MailboxWatcher(Watcher):
    """Tells the driver how far a run is. A thread does so: there, waiting for an answer gives none of the task's cores away."""

    def __init__(self, run_id: str, attempt: int, mailbox: Any, saves: Saves | None) -> None:
        self.run_id, self.attempt, self.mailbox, self.saves = run_id, attempt, mailbox, saves
        self.iteration, self.stop, self.over = 0, False, threading.Event()
        self.node = ray.get_runtime_context().get_node_id()
        self.thread = threading.Thread(target=self._post, daemon=True)
        self.thread.start()

    def _post(self) -> None:
        while True:
            try:
                news = self.mailbox.post.remote(self.run_id, self.attempt, self.node, self.iteration)
                self.stop = ray.get(news, timeout=30)
            except (ray.exceptions.GetTimeoutError, ray.exceptions.ActorUnavailableError):
                pass  # a busy driver, or a new mailbox; the next answer will do
            except ray.exceptions.RayError:
                os._exit(1)  # the driver is gone: nobody is left to hear of this run
            if self.over.wait(POST_SECONDS):
                return

    def advanced(self, iteration: int) -> None:
        self.iteration = iteration

    def saved(self) -> None:
        if self.saves is None:
            return
        try:
            self.saves.put()
        except Exception as error:  # of whatever storage it is: the run is well, and will try again at its next checkpoint
            warnings.warn(f"{self.saves.path} could not be written: {type(error).__name__}: {error}", stacklevel=1)

    def stopping(self) -> bool:
        return self.stop

    def close(self) -> None:
        """End the thread."""
        self.over.set()
        self.thread.join(5)


class Saves:
    """Where a run saves itself for another node: one file in a storage that all nodes reach."""

    def __init__(self, storage: str, job: Job, folder: Path, attempt: int) -> None:
        self.files, base = fsspec.core.url_to_fs(storage)
        self.path = f"{base}/{job.study}/{job.run.id}.zip"
        self.folder, self.attempt = folder, attempt

    def put(self) -> None:
        """Save the checkpoint with its records, as one file, renamed when whole."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in SAVED:
                archive.write(self.folder / name, name)
        part = f"{self.path}.{self.attempt}.part"  # a lost attempt may still be writing its own
        self.files.makedirs(self.path.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(part, buffer.getvalue())
        self.files.mv(part, self.path)

    def fetch(self) -> None:
        """Take what was saved, if it has come farther than what is here."""
        if not self.files.exists(self.path):
            return
        with zipfile.ZipFile(io.BytesIO(self.files.cat_file(self.path))) as archive, tempfile.TemporaryDirectory() as other:
            write_files(Path(other), {name: archive.read(name) for name in SAVED})
            if saved_iteration(Path(other)) > saved_iteration(self.folder):
                write_files(self.folder, read_files(Path(other)))

    def remove(self) -> None:
        """Remove what a run saved that is done; a storage that cannot be reached now keeps it."""
        with suppress(Exception):
            self.files.rm_file(self.path)


def _supplied(job: Job, supplies: Supplies) -> Job:
    """The job with all that it needs on this node."""
    with ThreadPoolExecutor(1) as thread:  # waiting in the main thread would give the task's cores away
        thread.submit(_fetch_data, job, supplies).result()
        evaluation = job.run.settings.evaluation
        inception = thread.submit(_fetch_weights, evaluation.inception, supplies).result()
        cifar10 = thread.submit(_fetch_weights, evaluation.cifar10, supplies).result()
    evaluation = replace(evaluation, inception=inception, cifar10=cifar10)
    return replace(job, run=replace(job.run, settings=replace(job.run.settings, evaluation=evaluation)))


def _fetch_data(job: Job, supplies: Supplies) -> None:
    """Have the data set in this node's cache: from the node's DATA_DIR where it is there, else from the driver.

    Raises:
        UserError: if DATA_DIR holds other pixels.
    """
    run = job.run
    if cache.is_whole(cache.place(run.dataset, run.fingerprint)):
        return
    recipe, data_dir = RECIPES.get(run.dataset), os.environ.get("DATA_DIR")
    files: Found | None = recipe.find(Path(data_dir)) if recipe and data_dir else None
    if recipe is None or files is None:
        cache.unpack(run.dataset, run.fingerprint, ray.get(supplies.data[0]))
        return
    fingerprint = cache.prepared(recipe.name, recipe.version, files)
    if fingerprint != run.fingerprint:
        raise UserError(
            f"{run.dataset} in this node's DATA_DIR {data_dir} is not the study's: its fingerprint is {fingerprint[:12]} there, "
            f"{run.fingerprint[:12]} at the head; without DATA_DIR the head sends its own"
        )


def _fetch_weights(evaluator: Evaluator, supplies: Supplies) -> Evaluator:
    """An evaluator whose weights are in this node's cache; whoever loads them checks their hash."""
    if evaluator.missing:
        return evaluator
    path = cache.root() / "weights" / f"{evaluator.sha256}.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, ray.get(supplies.weights[evaluator.sha256][0]))
    return replace(evaluator, path=str(path))
