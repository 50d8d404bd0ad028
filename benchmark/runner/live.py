"""Show how far a study is that is being worked on: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import itertools
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmark.studies.run import Run
from metrics.catalogue import METRICS

SCORE = METRICS["critic"]
"""The metric by which a run is the best so far."""
FINAL = ("done", "diverged", "failed")
STATES = ("done", "running", "diverged", "failed", "waiting")
RUNNING_SHOWN = 8
REFRESH_SECONDS = 0.25
"""Between two pictures on a terminal."""
POLL_SECONDS = 1.0
"""Between two looks, without a terminal, whether it is time for a line."""
QUIET_SECONDS = 60.0
"""After how long without a terminal a line says that there is still life."""
MEASURING = 0.1
"""What measuring a run counts, as a share of its training; a sanity row is only measured, and counts this share of a run."""
REASON_LENGTH = 200
ID_WIDTH = 40


@dataclass
class _Model:
    """What is known of the runs of one model."""

    states: Counter[str] = field(default_factory=Counter)
    best: float | None = None
    best_run: str = ""


@dataclass
class _Attempt:
    """A run that is being done."""

    iteration: int
    iterations: int
    began: float


class LiveView:
    """Shows how far a study is: on a terminal a picture that changes in place, elsewhere a line for each run that ended.

    Nothing it does for one event, or for one picture, grows with the number of runs: it counts as it is told. It may be told by
    one thread while its own thread draws.

    Args:
        runs: all runs of the study.
        ended: the status of those that need no work now, by their ids.
        workers: how many runs are done at once.
        console: where to show it; by default the process's standard error.
        clock: seconds since any moment.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        ended: Mapping[str, str],
        workers: int,
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # rich would take FORCE_COLOR for a terminal, and move the cursor about in a log file.
        self._console = console or Console(stderr=True, force_terminal=sys.stderr.isatty())
        self._plain = not self._console.is_terminal or self._console.is_dumb_terminal
        self._clock = clock
        self._workers = workers
        self._total = len(runs)
        self._models = {run.model: _Model() for run in sorted(runs, key=lambda run: run.is_reference)}
        self._states: dict[str, str] = {}
        self._attempts: dict[str, _Attempt] = {}
        self._left_of: dict[str, float] = {}  # work, in iterations, by the runs that need any
        for run in runs:
            name = run.id
            self._states[name] = ended.get(name, "waiting")
            self._models[run.model].states[self._states[name]] += 1
            if name not in ended:
                self._left_of[name] = _work(run)
        self._left = sum(self._left_of.values())
        self._worked = 0.0  # since this view began
        self._began = self._said = clock()
        # Held while counting and while drawing, never while printing: rich has a lock of its own.
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="live view", daemon=True)
        self._live: Live | None = None

    def __enter__(self) -> LiveView:
        self._began = self._said = self._clock()
        if not self._plain:
            # What is printed meanwhile appears above the picture; what goes into a file or a pipe still goes there.
            self._live = Live(self._picture(), console=self._console, auto_refresh=False, redirect_stdout=sys.stdout.isatty())
            self._live.start(refresh=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        with self._lock:  # after an interrupt there are runs that nobody does any more
            for name in self._attempts:
                self._states[name] = "waiting"
            for model in self._models.values():
                model.states["waiting"] += model.states.pop("running", 0)
            self._attempts.clear()
        if self._live:
            self._live.update(self._picture(), refresh=True)
            self._live.stop()
        else:
            self.say(self._summary())

    def started(self, run: Run, iteration: int) -> None:
        """Take note that an attempt begins at this iteration."""
        name = run.id
        with self._lock:
            self._attempts[name] = _Attempt(iteration, run.settings.iterations, self._clock())
            self._set_state(run, name, "running")
            # What a run has when it is first met was done before, and says nothing about today's speed.
            self._set_left(name, _work(run, iteration), earned=self._left_of.get(name) != _work(run))

    def advanced(self, run: Run, iteration: int) -> None:
        """Take note how far the run's attempt has come."""
        name = run.id
        with self._lock:
            attempt = self._attempts.get(name)
            if attempt:  # else it is over, and this a late message
                attempt.iteration = iteration
                self._set_left(name, _work(run, iteration))

    def left(self, run: Run, why: str) -> None:
        """Take note that the run's attempt is over without a status, and that the run waits for another.

        Args:
            run: the run; if it was not running, this says nothing.
            why: in words, as they are to be shown: "lost: killed by SIGKILL at iteration 120; tried again".
        """
        name = run.id
        with self._lock:
            attempt = self._attempts.pop(name, None)
            if attempt:
                self._set_state(run, name, "waiting")
        if attempt:
            self.say(f"{name}: {_line(why)}")

    def ended(self, run: Run, status: str, score: float | None, reason: str = "") -> None:
        """Take note that the run has its final status.

        Args:
            run: the run. For one that had ended before, only its status and its score are taken over; no line is said.
            status: "done", "diverged" or "failed".
            score: its critic, if it has one.
            reason: why, in words.
        """
        name = run.id
        with self._lock:
            attempt = self._attempts.pop(name, None)
            news = self._states.get(name) not in FINAL
            self._set_state(run, name, status)
            self._set_left(name, 0, earned=status == "done")
            self._set_best(self._models[run.model], name, score)
            number = self._count(*FINAL)
        if news and (self._plain or status == "failed"):
            words = f", {SCORE.name} {score:.4g}" if score is not None else ""
            words += f": {_line(reason)}" if reason else ""
            words += f" ({_duration(self._clock() - attempt.began)})" if attempt else ""
            self.say(f" {number:{len(str(self._total))}}/{self._total} {name}: {status}{words}")

    def say(self, text: str) -> None:
        """Print a line that stays, above the live part."""
        self._said = self._clock()
        # A Text has no markup and no emoji codes; a reason may hold anything.
        self._console.print(Text(printable(text)), soft_wrap=self._plain)

    def _set_state(self, run: Run, name: str, state: str) -> None:
        states = self._models[run.model].states
        states[self._states.get(name, "waiting")] -= 1
        states[state] += 1
        self._states[name] = state

    def _set_left(self, name: str, left: float, earned: bool = True) -> None:
        """So much work is left of a run; `earned` if what is gone was worked off, and not found done or not needed any more."""
        gone = self._left_of.get(name, 0.0) - left
        self._left_of[name] = left
        self._left -= gone
        if earned:
            self._worked += gone

    @staticmethod
    def _set_best(model: _Model, name: str, score: float | None) -> None:
        if score is None or not math.isfinite(score):
            return
        if model.best is None or (score > model.best if SCORE.goal == "maximize" else score < model.best):
            model.best, model.best_run = score, name

    def _count(self, *states: str) -> int:
        return sum(model.states[state] for model in self._models.values() for state in states)

    def _share(self) -> float:
        """How much of this view's work is done: 0 to 1."""
        worked, left = max(self._worked, 0.0), max(self._left, 0.0)
        return worked / (worked + left) if worked + left and self._count("running", "waiting") else 1.0

    def _time_left(self) -> float | None:
        """Seconds, at the speed since the view began; None if nothing shows a speed yet."""
        share = self._share()
        return (self._clock() - self._began) * (1 - share) / share if share else None

    def _keep_up(self) -> None:
        """Draw again and again, or break a long silence. Runs in the view's thread."""
        while not self._over.wait(POLL_SECONDS if self._plain else REFRESH_SECONDS):
            if self._live:
                self._live.update(self._picture(), refresh=True)
            elif self._clock() - self._said >= QUIET_SECONDS:
                self.say(self._summary())

    def _summary(self) -> str:
        """Everything in a line."""
        with self._lock:
            counts = {state: self._count(state) for state in STATES}
            words = [f"{counts[state]} {state}{self._place(state)}" for state in STATES if counts[state] and state != "waiting"]
            seconds = self._time_left()
        left = [f"about {_duration(seconds)} left"] if seconds else []
        return f"{self._total} runs: {', '.join([*(words or ['none begun']), *left])}"

    def _place(self, state: str) -> str:
        """How far the running runs are, in words."""
        if state != "running" or not self._attempts:
            return ""
        iterations = [attempt.iteration for attempt in self._attempts.values()]
        low, high, last = min(iterations), max(iterations), max(attempt.iterations for attempt in self._attempts.values())
        return f" (iteration {low} of {last})" if low == high else f" (iterations {low} to {high} of {last})"

    def _picture(self) -> RenderableType:
        """What a terminal shows: the whole, the models, the runs that are being done; never more lines than it has."""
        width, height = self._console.size
        room = height - 6  # the whole, the head, the sum, two empty lines, and the cursor's
        models = min(len(self._models), max(room - 3, 1))
        running = max(min(RUNNING_SHOWN, room - models - 1), 0)
        with self._lock:
            return Group(self._whole(), Text(), self._model_table(models, width), *self._running_lines(running))

    def _whole(self) -> RenderableType:
        share, seconds = self._share(), self._time_left()
        minutes, second = divmod(int(self._clock() - self._began), 60)
        elapsed = f"{minutes // 60}:{minutes % 60:02}:{second:02}"
        line = Table.grid(padding=(0, 2), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True, justify="right")
        line.add_row(
            Text(f"{self._count(*FINAL)} of {self._total} runs, {self._workers} at once"),
            ProgressBar(total=1, completed=share),
            Text(f"{math.floor(100 * share)} %, {elapsed}" + (f", about {_duration(seconds)} left" if seconds else "")),
        )
        return line

    def _model_table(self, most: int, width: int) -> RenderableType:
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        id_width = min(max(width - 59, 21), ID_WIDTH)
        name_width = max(width - id_width - 47, 11)  # the rest; a score takes 9, the numbers 38
        table.add_column("model", no_wrap=True)
        for state in STATES:
            table.add_column(state, justify="right", no_wrap=True, min_width=len(state))
        table.add_column(Text(f"best {SCORE.name} ({SCORE.direction})"), no_wrap=True)
        shown = len(self._models) if len(self._models) <= most else most - 1
        for name, model in itertools.islice(self._models.items(), shown):
            best = "" if model.best is None else f"{model.best:>7.4g}  {_shorten(model.best_run, id_width)}"
            table.add_row(Text(_shorten(name, name_width)), *_cells(model.states), Text(best))
        if shown < len(self._models):
            table.add_row(Text(f"and {len(self._models) - shown} more"))
        table.add_row(Text("all"), *_cells(Counter({state: self._count(state) for state in STATES})), style="bold")
        return table

    def _running_lines(self, most: int) -> list[RenderableType]:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True)
        for name, attempt in itertools.islice(self._attempts.items(), most):
            doing = "measuring" if attempt.iteration >= attempt.iterations else ""
            table.add_row(Text(_shorten(name, ID_WIDTH)), Text(f"{attempt.iteration} / {attempt.iterations}"), Text(doing))
        more = len(self._attempts) - table.row_count
        if not self._attempts:
            return []
        return [Text(), *([table] if table.row_count else []), *([Text(f"and {more} more running")] if more else [])]


def _work(run: Run, iteration: int = 0) -> float:
    """What is to be done of a run from an iteration on, in iterations of training."""
    iterations = run.settings.iterations
    work = iterations - iteration + MEASURING * iterations
    return MEASURING * work if run.is_reference else work


def _cells(states: Mapping[str, int]) -> list[Text]:
    """The numbers of a row; those that want attention are coloured."""
    colours = {"diverged": "yellow", "failed": "red"}
    return [Text(str(states[state]), style=colours.get(state, "") if states[state] else "dim") for state in STATES]


def _duration(seconds: float) -> str:
    """Seconds for people: two units at most."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def _shorten(name: str, width: int) -> str:
    """A name that fits; its end tells it apart: a run's hash, a model's class."""
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _line(reason: str) -> str:
    """A reason in one line of bounded length; all of it is in the run's folder."""
    words = " ".join(reason.split())
    return words if len(words) <= REASON_LENGTH else f"{words[: REASON_LENGTH - 1]}…"


def printable(text: str) -> str:
    """Replace line breaks and codes for the terminal by spaces."""
    return "".join(character if character.isprintable() else " " for character in text)
