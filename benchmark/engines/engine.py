"""Define what every engine is: a number of places for attempts at runs, and events that tell what becomes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmark.studies.run import Run


@dataclass(frozen=True)
class Job:
    """One attempt at a run."""

    run: Run
    folder: Path
    """`results/<study>/runs/<run>`, where everything about it goes."""
    seen: str
    """The content of its status.json when the attempt was planned, empty if there was none: if it is another one when the attempt
    begins, somebody else did the run."""
    device: str
    """"cpu" or "cuda"."""
    tensorboard: bool = False
    study: str = ""
    """The name of the study that the run is done for."""


@dataclass(frozen=True)
class Advanced:
    """An attempt is under way, and its training has come so far. The first one tells that it has begun."""

    run_id: str
    iteration: int


@dataclass(frozen=True)
class Ended:
    """An attempt is over and what it says is in the run's folder: the status is its own, or that of another process."""

    run_id: str


@dataclass(frozen=True)
class Stopped:
    """An attempt stopped in order, as it was asked to; the run goes on from there another time."""

    run_id: str


@dataclass(frozen=True)
class Taken:
    """Another process works on the run."""

    run_id: str


@dataclass(frozen=True)
class Lost:
    """An attempt ended without a word: its process was killed or crashed, or its machine is gone."""

    run_id: str
    reason: str
    blameless: bool = False
    """Whether the run had no part in it: its machine is gone, and others may be too. Such losses are not counted."""


@dataclass(frozen=True)
class DiskFull:
    """There is no room for what an attempt has to write; the run is as it was."""

    run_id: str
    reason: str


Event = Advanced | Ended | Stopped | Taken | Lost | DiskFull


class Engine(ABC):
    """A context in which attempts are made. Leaving it ends those that are still under way, without a status."""

    @property
    @abstractmethod
    def places(self) -> int:
        """The number of attempts that it makes at once."""

    @property
    @abstractmethod
    def device(self) -> str:
        """The device of its attempts, "cpu" or "cuda"."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """Its way of working, in half a line for a person."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Begin an attempt. At most `places` may be under way."""

    @abstractmethod
    def events(self, seconds: float) -> Sequence[Event]:
        """Return what happened since the last call; wait so many seconds for something to happen.

        Every attempt ends with one event that is not `Advanced`.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ask all attempts to stop in order: they save what they have and end."""

    @abstractmethod
    def kill(self, run_id: str, reason: str) -> None:
        """End an attempt at once; its event is `Lost`, with this reason."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
