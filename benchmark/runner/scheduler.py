"""Keep an engine busy until every run has ended: retry lost attempts, end those that hang, stop in order when told."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from benchmark.engines.engine import Advanced, DiskFull, Ended, Engine, Event, Job, Lost, Stopped, Taken
from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.records.run_folder import RunFolder
from benchmark.runner.live import LiveView

POLL_SECONDS = 0.5
ELSEWHERE_SECONDS = 1.0
"""How often to look after runs that another process works on."""
ONE_SIGNAL_SECONDS = 1.0
"""A signal to a whole group comes twice where make or a shell passes it on as well."""
MOST_BLAMELESS = 10
"""How often a run may lose its machine: by then it may have had a part in it."""
GRACE_SECONDS = 30.0
"""How long attempts that were asked to stop may take for it; as long as Slurm waits between its two signals."""


@dataclass(frozen=True)
class Limits:
    """What a run may cost before it is given up."""

    retries: int = 2
    """Attempts more, after one that was killed or crashed."""
    run_timeout: float | None = None
    """Seconds of one attempt; None for no limit."""


@dataclass
class _Active:
    job: Job
    began: float | None = None
    """When it was first heard of: a cluster may let it wait before."""
    overdue: bool = False


@dataclass
class Scheduler:
    """Does jobs on an engine.

    Args:
        engine: where attempts are made.
        view: what people look at.
        limits: when a run is given up.
    """

    engine: Engine
    view: LiveView
    limits: Limits
    waiting: deque[Job] = field(default_factory=deque)
    elsewhere: dict[str, Job] = field(default_factory=dict)
    active: dict[str, _Active] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    machines_lost: dict[str, int] = field(default_factory=dict)
    signals: int = 0
    signalled_at: float = 0.0
    stopping_since: float | None = None
    no_room: str = ""

    def work(self, jobs: Iterable[Job]) -> bool:
        """Do jobs until all have ended, here or in another process that works on them.

        Returns:
            Whether all have ended; False if the work was stopped before.

        Raises:
            UserError: if there is no room on the disk; everything is as it was, for when there is.
            KeyboardInterrupt: if it is told to stop a second time; attempts end where they are.
        """
        self.waiting.extend(jobs)
        looked = time.monotonic()
        with self._orderly_signals():
            while self.active or ((self.waiting or self.elsewhere) and not self._is_stopping()):
                if self.signals:
                    self._stop("stopping: runs are being saved; once more ends them where they are")
                if not self._is_stopping():
                    if not self.waiting and time.monotonic() - looked >= ELSEWHERE_SECONDS:
                        looked = time.monotonic()
                        self.waiting.extend(self.elsewhere.values())
                        self.elsewhere.clear()
                    self._fill()
                for event in self.engine.events(POLL_SECONDS):
                    self._take(event)
                self._watch_time()
        if self.no_room:
            raise UserError(f"{self.no_room}; what is finished is kept: make room, and start the same command again")
        return not self._is_stopping()

    def _is_stopping(self) -> bool:
        return self.stopping_since is not None

    def _fill(self) -> None:
        while self.waiting and len(self.active) < self.engine.places:
            job = self.waiting.popleft()
            folder = RunFolder(job.folder)
            if folder.has_ended_since(job.seen):
                self._ended(job)
            elif folder.is_claimed():
                self.elsewhere[job.run.id] = job
            else:
                self.active[job.run.id] = _Active(job)
                self.engine.start(job)
                self.view.started(job.run, folder.iteration())

    def _take(self, event: Event) -> None:
        attempt = self.active[event.run_id]
        job = attempt.job
        if isinstance(event, Advanced):
            attempt.began = attempt.began or time.monotonic()
            self.view.advanced(job.run, event.iteration)
            return
        del self.active[event.run_id]
        if isinstance(event, Ended):
            self._ended(job)
        elif isinstance(event, Lost):
            self._lost(attempt, event)
        elif isinstance(event, Taken):
            self.elsewhere[event.run_id] = job
            self.view.left(job.run, "another process does it")
        elif isinstance(event, Stopped):
            self.view.left(job.run, "stopped and saved")
        elif isinstance(event, DiskFull):
            self.view.left(job.run, event.reason)
            self.no_room = self.no_room or event.reason
            self._stop(f"{event.reason}: stopping")

    def _ended(self, job: Job) -> None:
        status = RunFolder(job.folder).status()
        if status:
            self.view.ended(job.run, status["status"], status.get("critic"), status.get("reason", ""))
        else:  # another process has just begun it anew
            self.elsewhere[job.run.id] = job
            self.view.left(job.run, "another process does it")

    def _lost(self, attempt: _Active, event: Lost) -> None:
        """Try a run again whose attempt was lost; after too many, or for want of time, it has failed."""
        job, folder, reason = attempt.job, RunFolder(attempt.job.folder), event.reason
        counter = self.machines_lost if event.blameless else self.lost
        times = counter[job.run.id] = counter.get(job.run.id, 0) + 1
        most = MOST_BLAMELESS if event.blameless else self.limits.retries
        if folder.has_ended_since(job.seen):  # somebody else was quicker
            self._ended(job)
        elif self._is_stopping() and not attempt.overdue:
            self.view.left(job.run, reason)
        elif times <= most and not attempt.overdue:
            self.waiting.appendleft(job)
            self.view.left(job.run, f"lost: {reason} at iteration {folder.iteration()}; tried again")
        else:
            self._give_up(job, reason if attempt.overdue or times == 1 else f"{reason}, attempt after attempt ({times})")

    def _give_up(self, job: Job, reason: str) -> None:
        folder = RunFolder(job.folder)
        with folder.claimed() as is_claimed:
            if not is_claimed:
                self.elsewhere[job.run.id] = job
                self.view.left(job.run, "another process does it")
                return
            before = folder.status() or {"status": "failed", "seconds": {}}
            content = {**before, "reason": reason, "attempts": len(folder.attempts())}
            write_json(folder.path / "status.json", content)
        self._ended(job)

    def _watch_time(self) -> None:
        now = time.monotonic()
        limit = self.limits.run_timeout
        for name, attempt in list(self.active.items()):
            if limit is not None and attempt.began and now - attempt.began > limit and not attempt.overdue:
                attempt.overdue = True
                self.engine.kill(name, f"no end after {limit:g} seconds (--run-timeout)")
            if self.stopping_since is not None and now - self.stopping_since > GRACE_SECONDS:
                self.engine.kill(name, f"did not stop within {GRACE_SECONDS:g} seconds")

    def _stop(self, why: str) -> None:
        if self.stopping_since is None:
            self.stopping_since = time.monotonic()
            self.view.say(why)
            self.engine.stop()

    @contextmanager
    def _orderly_signals(self) -> Iterator[None]:
        """Count SIGINT and SIGTERM instead of dying of the first one."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python gives signals to its main thread alone
            return

        def count(_number: int, _frame: FrameType | None) -> None:
            now = time.monotonic()
            if self.signals and now - self.signalled_at > ONE_SIGNAL_SECONDS:
                raise KeyboardInterrupt
            self.signals, self.signalled_at = 1, now

        before = {name: signal.signal(name, count) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)
