"""Do runs in processes of this machine, one a run, forked from a server process that has imported everything once."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import joblib
import psutil

from benchmark.engines import mps
from benchmark.engines.engine import Advanced, Engine, Event, Job, Lost
from benchmark.engines.worker import work
from benchmark.errors import UserError
from benchmark.model.train import Watcher
from benchmark.records.run_folder import RunFolder

MEMORY_OF_A_RUN = 2 * 2**30
"""Bytes that a run is expected to take, as long as nobody says otherwise."""
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
END_SECONDS = 5.0
"""How long a process that has said its last word may take to end."""
WATCH_SECONDS = 0.5
"""How often the memory of workers is looked at."""

ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TOP_PAD_": str(2**26)}
"""Lets glibc keep what is freed. By default it gives large blocks back to the system and takes them anew, zeroed page by page, in
every iteration: measured at 64 pixels, that was 5 to 12 % of the time. Other allocators do not look at these."""

_STARTING = threading.Lock()
"""Held by the thread that starts a process, for which it changes what the whole process has."""


def cores() -> int:
    """Count the cores that this process may use: the machine's, less what affinity and a container's quota take away."""
    return int(joblib.cpu_count())


def memory() -> int:
    """Return the bytes that this process and its workers may still take: the machine's, or what a container leaves of it."""
    free = int(psutil.virtual_memory().available)
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        files = [Path("/sys/fs/cgroup") / name for name in (limit, used)]
        if all(file.exists() for file in files) and files[0].read_text().strip() != "max":
            stat = dict(line.split() for line in files[1].with_name("memory.stat").read_text().splitlines())
            cached = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))  # can be released
            free = min(free, int(files[0].read_text()) - int(files[1].read_text()) + cached)
    return max(free, 0)


def resolve_workers(asked: int | None, threads: int, gpus: int = 0, runs_per_gpu: int = 1, run_memory: int | None = None) -> int:
    """Choose how many runs are done at once: as many as cores, memory and GPUs bear.

    Args:
        asked: by the user; None for as many as the machine bears.
        threads: of each run.
        gpus: how many there are to use; 0 for a study on the CPU.
        runs_per_gpu: how many share one.
        run_memory: bytes that a run may take.

    Raises:
        UserError: if more are asked for than there are cores: an iteration then takes many times as long.
    """
    most = max(1, cores() // threads)
    if threads > cores():
        raise UserError(f"runs of {threads} threads need more than this machine's {cores()} cores")
    if asked is not None and asked > most:
        raise UserError(
            f"{asked} workers of {threads} threads need more than this machine's {cores()} cores; WORKERS is at most {most}"
        )
    by_memory = max(1, memory() // (run_memory or MEMORY_OF_A_RUN))
    by_gpus = gpus * runs_per_gpu if gpus else most
    return asked or min(most, by_memory, by_gpus)


def start_process(target: Callable[..., None], arguments: tuple[Any, ...], threads: int) -> BaseProcess:
    """Start a process as a fork of a server that has imported torch, Lightning and the metrics once, which takes no time.

    The first one starts the server, with the number of threads in its environment before it imports torch, and with an allocator
    that keeps what it has. The same server serves this process to its end: who wants another number of threads later sets it in
    torch, as every run does.

    Raises:
        EOFError, OSError: if the server was killed meanwhile; the next start makes a new one.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmark.engines.local"])
    process = context.Process(target=target, args=arguments, daemon=True)
    allocator = {name: os.environ.get(name, value) for name, value in ALLOCATOR.items()}
    with _STARTING, _environment(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), **allocator):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the server inherits that: it is not for it to answer them
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Change the environment that a new process inherits, for a moment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass
class _Worker:
    """An attempt that is being made in a process of its own."""

    job: Job
    process: BaseProcess
    handle: psutil.Process
    """Of the same process: knows it from a later one of its number."""
    pipe: Connection
    gpu: str | None
    last: Event | None = None
    killed: str = ""
    """Why it was killed, if we did it."""


class LocalEngine(Engine):
    """Worker processes on this machine.

    Args:
        workers: at once.
        gpus: as `visible_gpus` gives them, to be shared evenly; none for the CPU.
        run_memory: bytes above which a worker is killed; by default its share of what the machine has to give.
        threads: of each run.
        say: is told what is not as it was expected to be.
    """

    def __init__(
        self,
        workers: int,
        gpus: Sequence[str] = (),
        run_memory: int | None = None,
        threads: int = 1,
        say: Callable[[str], object] = str,
    ) -> None:
        self._places, self.threads, self.say = workers, threads, say
        self.gpus = list(gpus)
        self.run_memory = run_memory or max(memory() // workers, MEMORY_OF_A_RUN)
        self.workers: dict[str, _Worker] = {}
        self.unheard: list[Event] = []
        self.watched_at = time.monotonic()
        self.sharing = mps.Sharing(mps.expected())
        self.until_the_end = ExitStack()

    @property
    def places(self) -> int:
        return self._places

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    @property
    def summary(self) -> str:
        where = self._gpus_in_words() if self.gpus else "the CPU"
        return f"{self.places} at once on {where}; each may take {self.run_memory / 2**30:.1f} GiB"

    def _gpus_in_words(self) -> str:
        if len(self.gpus) == 1:
            words = "1 GPU"
        else:
            up_to = "up to " if self.places % len(self.gpus) else ""
            words = f"{len(self.gpus)} GPUs, {up_to}{math.ceil(self.places / len(self.gpus))} on each"
        return f"{words}, which share it {self.sharing.how}" if self._share_gpus else words

    @property
    def _share_gpus(self) -> bool:
        return 0 < len(self.gpus) < self.places

    def __enter__(self) -> Self:
        if self._share_gpus:
            self.sharing = self.until_the_end.enter_context(mps.shared(self.gpus, self.say))
        return self

    def start(self, job: Job) -> None:
        """Begin an attempt in a process of its own."""
        in_use = [worker.gpu for worker in self.workers.values()]
        gpu = min(self.gpus, key=in_use.count) if self.gpus else None
        environment = {} if gpu is None else self.sharing.environment_on(gpu)
        pipe, far_end = multiprocessing.Pipe()
        try:
            process = start_process(_worker_main, (job, environment, far_end), self.threads)
        except (EOFError, OSError) as error:
            pipe.close()
            self.unheard.append(Lost(job.run.id, f"no process could be started: {error or type(error).__name__}"))
            return
        finally:
            far_end.close()
        try:
            handle = psutil.Process(process.pid)
        except psutil.NoSuchProcess:
            pipe.close()
            self.unheard.append(Lost(job.run.id, "its process ended at once"))
            return
        self.workers[job.run.id] = _Worker(job, process, handle, pipe, gpu)

    def events(self, seconds: float) -> list[Event]:
        """Return what happened since the last call."""
        unheard, self.unheard = self.unheard, []
        ready = wait([worker.pipe for worker in self.workers.values()], 0 if unheard else min(seconds, WATCH_SECONDS))
        events = unheard + [
            event for worker in list(self.workers.values()) if worker.pipe in ready and (event := self._listen(worker))
        ]
        if time.monotonic() - self.watched_at >= WATCH_SECONDS:
            self.watched_at = time.monotonic()
            self._watch_memory()
        return events

    def _listen(self, worker: _Worker) -> Event | None:
        """What a worker says; its last word is believed when its process has ended."""
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, OSError):
            return self._end(worker)
        if isinstance(event, Advanced):
            return event
        worker.last = event
        return None

    def _end(self, worker: _Worker) -> Event:
        worker.process.join(END_SECONDS)
        _kill(worker)  # if it is still there, or its server is gone, which would have told that it is not
        del self.workers[worker.job.run.id]
        worker.pipe.close()
        return worker.last or Lost(worker.job.run.id, worker.killed or _how_it_ended(worker.process.exitcode))

    def _watch_memory(self) -> None:
        for name, worker in self.workers.items():
            try:
                info = worker.handle.memory_info()
            except psutil.Error:  # it has just ended
                continue
            used = info.rss - getattr(info, "shared", 0)  # what is mapped of the data set's cache can be released at any time
            if used > self.run_memory:
                gib = self.run_memory / 2**30
                self.kill(name, f"out of memory: it took more than its {gib:.1f} GiB (--run-memory gives it more)")

    def stop(self) -> None:
        """Ask all workers to save and end."""
        for worker in self.workers.values():
            try:
                worker.pipe.send("stop")
            except OSError:  # it has just ended
                continue

    def kill(self, run_id: str, reason: str) -> None:
        """Kill a worker."""
        self.workers[run_id].killed = reason
        _kill(self.workers[run_id])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self.until_the_end:
            for worker in self.workers.values():
                _kill(worker)
            for worker in self.workers.values():
                worker.process.join()
                worker.pipe.close()
            self.workers.clear()


def _kill(worker: _Worker) -> None:
    """By its handle: `Process.kill` asks the server first, and believes a dead one that the worker is dead too."""
    with suppress(psutil.NoSuchProcess):
        worker.handle.kill()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"killed by signal {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"its process ended early with exit code {code}"


class _PipeWatcher(Watcher):
    """Tells the parent process, and hears from it."""

    def __init__(self, run_id: str, pipe: Connection) -> None:
        self.run_id, self.pipe, self.stop = run_id, pipe, threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Leave at once when the parent is gone, without a status: whoever starts the study again goes on from the checkpoint."""
        try:
            while True:
                self.pipe.recv()  # all that is ever said is "stop"
                self.stop.set()
        except (EOFError, OSError):
            os._exit(1)

    def advanced(self, iteration: int) -> None:
        self.pipe.send(Advanced(self.run_id, iteration))

    def stopping(self) -> bool:
        return self.stop.is_set()


def _worker_main(job: Job, environment: Mapping[str, str], pipe: Connection) -> None:
    """What a worker process does. Signals to the whole group are for the parent, which tells its workers what to do."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # ignoring them is not enough: Lightning sets handlers of its own
    output = job.folder / "output.txt"
    redirect(output)
    os.environ.update(environment)  # before anything here has asked CUDA
    pipe.send(Advanced(job.run.id, RunFolder(job.folder).iteration()))
    event = work(job, _PipeWatcher(job.run.id, pipe))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if not output.stat().st_size:
        output.unlink()
    pipe.send(event)
    os._exit(0)  # a model's threads may not want to end


def redirect(output: Path) -> None:
    """Send what this process prints to a file, and not between the lines of the study."""
    output.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
