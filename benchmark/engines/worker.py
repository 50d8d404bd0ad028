"""Work on a run in a worker, whatever engine started it: claim the run, make the attempt."""

from __future__ import annotations

from dataclasses import asdict

from benchmark.engines.engine import DiskFull, Ended, Event, Job, Stopped, Taken
from benchmark.errors import is_disk_full
from benchmark.files import read_json, remove_litter, write_json
from benchmark.model.train import Watcher
from benchmark.records.run_folder import FINISHED, RunFolder, environment
from benchmark.trial.trial import run_trial


def work(job: Job, watcher: Watcher) -> Event:
    """Make an attempt at a run, unless another process does or did; return how the attempt ended."""
    folder, name = RunFolder(job.folder), job.run.id
    try:
        with folder.claimed() as is_claimed:
            if not is_claimed:
                return Taken(name)
            if folder.has_ended_since(job.seen):
                return Ended(name)
            remove_litter(job.folder)
            _describe(job, folder)
            return Stopped(name) if run_trial(job.folder, job.device, watcher, job.tensorboard) == "stopped" else Ended(name)
    except OSError as error:
        if is_disk_full(error):
            return DiskFull(name, f"{error.filename or job.folder}: {error.strerror}")
        raise


def _describe(job: Job, folder: RunFolder) -> None:
    """Write run.json, and take away what a failed attempt said."""
    path = folder.path / "run.json"
    if folder.status().get("status") in FINISHED or (path.exists() and "from" in read_json(path)):
        facts = {**read_json(path), "settings": asdict(job.run.settings)}  # what trained it stays written down
    else:
        (folder.path / "status.json").unlink(missing_ok=True)
        facts = {"run": job.run.id, "study": job.study, **asdict(job.run), "environment": {**environment(), "device": job.device}}
    (folder.path / "error.txt").unlink(missing_ok=True)
    write_json(path, facts)
