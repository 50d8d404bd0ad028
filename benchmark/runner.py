"""Where and when? Runs a resolved study in worker processes, one a run, as many at once as cores bear."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import filelock
import joblib
from tqdm import tqdm

from benchmark.datasets import Dataset, open_dataset
from benchmark.errors import UserError
from benchmark.evaluation import lacking
from benchmark.records import RecordFile, environment, read_json, write_json
from benchmark.study import EXTENT, Evaluation, Run, Study
from benchmark.trial import run_trial, scope_of


@dataclass
class _Worker:
    """A run that is being done in a process of its own."""

    run: Run
    process: BaseProcess
    pipe: Connection
    iteration: int = 0


def cores() -> int:
    """How many cores this process may use: the machine's, less what affinity and a container's quota take away."""
    return int(joblib.cpu_count())


def resolve_workers(asked: int | None, threads: int, device: str = "cpu") -> int:
    """How many runs to do at once: on a CPU as many as its cores bear, on a GPU one unless more are asked for.

    Raises:
        UserError: if workers times threads exceed the cores: an iteration then takes many times as long.
    """
    if asked is None:
        return 1 if device == "cuda" else max(1, cores() // threads)
    if asked * threads > cores():
        raise UserError(
            f"{asked} workers of {threads} threads need more than this machine's {cores()} cores; "
            f"WORKERS is at most {cores() // threads}"
        )
    return asked


def run_study(study: Study, results: Path, workers: int, device: str) -> Counter[str]:
    """Do what is missing of a study: train runs, and measure finished ones by the study's present protocols.

    Returns:
        How many runs are `done`, `diverged` and `failed`; how many of all were `found` finished and measured; how many are
        `unmeasured`, because measuring them failed; how many runs of earlier commands are `left_over` in the folder, no part of
        the study as it is now.

    Raises:
        UserError: if the folder cannot be written, holds another study of this name, or another process works in it.
    """
    folder = results / study.name
    with _claimed(folder):
        left_over = _save(study, folder)
        dataset = open_dataset(study.dataset, study.fingerprint)
        unmeasured = _unmeasured(study.runs, folder, dataset, device)
        pending = [*unmeasured, *(run for run in study.runs if _status(folder, run) not in ("done", "diverged"))]
        if pending:
            _work(pending, folder, workers, device)
        counts = Counter(_status(folder, run) for run in study.runs)
        counts.update(found=len(study.runs) - len(pending), left_over=left_over)
        counts.update(unmeasured=len(_unmeasured(pending, folder, dataset, device)))
    return counts


def measure_study(folder: Path, evaluation: Evaluation, workers: int, device: str) -> Counter[str]:
    """Take the measurements that finished runs lack, from their kept weights; nothing is trained.

    Args:
        folder: results/<study>.
        evaluation: how the study is measured from now on.
        workers: runs at once.
        device: "cpu" or "cuda".

    Returns:
        How many runs were `measured`, and for how many it failed (`unmeasured`).

    Raises:
        UserError: if there is no such study, or another process works in it.
    """
    with _claimed(folder):
        content = read_json(folder / "study.json")
        paths = [folder / "runs" / name / "run.json" for name in content["runs"]]
        runs = [Run.from_json(read_json(path), path) for path in paths if path.exists()]
        runs = [replace(run, settings=replace(run.settings, evaluation=evaluation)) for run in runs]
        dataset = open_dataset(content["dataset"], content["fingerprint"])
        pending = _unmeasured(runs, folder, dataset, device)
        if pending:
            content["settings"]["evaluation"] = asdict(evaluation)
            write_json(folder / "study.json", content)
            _work(pending, folder, workers, device)
        left = len(_unmeasured(pending, folder, dataset, device))
    return Counter(measured=len(pending) - left, unmeasured=left)


def _unmeasured(runs: Sequence[Run], folder: Path, dataset: Dataset, device: str) -> list[Run]:
    """Those of finished runs that lack a measurement by today's protocol."""
    return [run for run in runs if _status(folder, run) == "done" and _lacks(run, folder, dataset, device)]


def _lacks(run: Run, folder: Path, dataset: Dataset, device: str) -> bool:
    try:
        scope = scope_of(run, dataset, device)
    except UserError:  # its model cannot be imported: its worker will say so, and the others are measured
        return True
    return bool(lacking(RecordFile(folder / "runs" / run.id / "records.jsonl").read(), scope, run.settings.iterations))


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the study's folder against other processes."""
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise UserError(f"another process is working on {folder}; wait for it, or name another STUDY") from None
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; RESULTS names a folder that can be written"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _save(study: Study, folder: Path) -> int:
    """Write study.json; returns how many runs of an earlier study.json are no part of this study."""
    path = folder / "study.json"
    content = json.loads(json.dumps(study.as_json()))  # as it will be read: tuples are lists there
    old = read_json(path) if path.exists() else {}
    difference = next(_differences(old, content), None) if old else None
    if difference:
        raise UserError(f"{folder} holds another study of this name ({difference}); name this one with STUDY=…")
    if {key: old.get(key) for key in content} != content:
        write_json(path, {**content, "environment": environment()})
    return len(set(old.get("runs", {})) - set(content["runs"]))


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What makes two studies different ones, and not one with more runs, with newer code or measured otherwise."""
    for key in ("dataset", "fingerprint", "preset"):
        if old.get(key) != new[key]:
            yield f"{key} is {old.get(key)!r} there, {new[key]!r} here"
    for key, value in new["settings"].items():
        if key not in (*EXTENT, "evaluation") and old.get("settings", {}).get(key) != value:
            yield f"{key} is {old.get('settings', {}).get(key)!r} there, {value!r} here"
    if set(old.get("models", {})) != set(new["models"]):
        yield f"its models are {', '.join(old.get('models', {}))}"


def _status(folder: Path, run: Run) -> str:
    path = folder / "runs" / run.id / "status.json"
    return str(read_json(path)["status"]) if path.exists() else "missing"


def _work(pending: list[Run], folder: Path, workers: int, device: str) -> None:
    """Keep `workers` processes busy until nothing is pending."""
    # A server process imports torch, Lightning and the metrics once; each run is a fork of it, which starts at once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmark.trial"])
    queue, active = iter(pending), list[_Worker]()
    width = len(str(len(pending)))
    with tqdm(
        total=len(pending),
        desc=f"{len(pending)} runs, {workers} at once",
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}<{remaining}{postfix}",
        disable=None,
    ) as bar:
        finished: Counter[str] = Counter()
        try:
            while True:
                for run in itertools.islice(queue, workers - len(active)):
                    active.append(_start(context, run, folder, device))
                if not active:
                    return
                for pipe in wait([worker.pipe for worker in active]):
                    worker = next(worker for worker in active if worker.pipe is pipe)
                    if not _listen(worker, bar):
                        active.remove(worker)
                        status = _end(worker, folder)
                        finished[status] += 1
                        bar.set_postfix({key: finished[key] for key in sorted(finished)})
                        if bar.disable:
                            sys.stderr.write(f"{sum(finished.values()):{width}}/{len(pending)} {worker.run.id}: {status}\n")
        except BaseException:
            for worker in active:
                worker.process.kill()
            raise


def _start(context: Any, run: Run, folder: Path, device: str) -> _Worker:
    run_folder = folder / "runs" / run.id
    run_folder.mkdir(parents=True, exist_ok=True)
    if _status(folder, run) == "done":  # what trained it stays written down; how it is measured is new
        content = {**read_json(run_folder / "run.json"), "settings": asdict(run.settings)}
    else:
        (run_folder / "status.json").unlink(missing_ok=True)
        content = {"run": run.id, "study": folder.name, **asdict(run), "environment": {**environment(), "device": device}}
    (run_folder / "error.txt").unlink(missing_ok=True)
    write_json(run_folder / "run.json", content)
    ours, theirs = context.Pipe()
    process = context.Process(target=_worker_main, args=(run_folder, device, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(run, process, ours)


def _listen(worker: _Worker, bar: tqdm) -> bool:
    """Take a message from a worker; False when it has said its last."""
    try:
        iteration = worker.pipe.recv()
    except EOFError:
        bar.update(1 - worker.iteration / worker.run.settings.iterations)
        return False
    bar.update((iteration - worker.iteration) / worker.run.settings.iterations)
    worker.iteration = iteration
    return True


def _end(worker: _Worker, folder: Path) -> str:
    """The status of a run whose process has ended; a process that died without one is a failed run."""
    worker.process.join()
    worker.pipe.close()
    run_folder = folder / "runs" / worker.run.id
    status_file, code = run_folder / "status.json", worker.process.exitcode
    if code or not status_file.exists():
        reason = f"killed by signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        before = read_json(status_file) if status_file.exists() else {"status": "failed", "seconds": {}}
        write_json(status_file, {**before, "reason": f"its process ended early: {reason}"})
    return _status(folder, worker.run)


def _worker_main(run_folder: Path, device: str, pipe: Connection) -> None:
    """What a worker process does. Interrupts are for the parent, which ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    run_trial(run_folder, device, pipe.send)


def _end_with_parent(pipe: Connection) -> None:
    """Leave at once when the parent is gone, without a status: whoever starts the study again goes on from the checkpoint."""
    try:
        pipe.recv()  # nobody ever sends anything this way
    except (EOFError, OSError):
        os._exit(1)
