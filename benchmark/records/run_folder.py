"""Read and write what a run's folder says: how it ended, how far its attempts came, and whether somebody works on it now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from benchmark.errors import UserError
from benchmark.files import append_lines


def environment() -> dict[str, str]:
    """Collect what decides about the last bits of a run beside its configuration: versions and the instruction set."""
    import platform
    from importlib.metadata import version

    import torch  # here, so that the report reads records where no torch is

    packages = ("torch", "pytorch-lightning", "torchmetrics", "numpy", "pandas")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        **{package: version(package) for package in packages},
    }


CHECKPOINT = "checkpoint.ckpt"
STATUSES = ("done", "diverged", "failed")
FINISHED = ("done", "diverged")
"""Statuses that stay: a failed run is tried again by the next command, these are not."""


def as_status(text: str, folder: Path) -> dict[str, Any]:
    """Parse the content of a status.json.

    Raises:
        UserError: if it is none.
    """
    try:
        content = json.loads(text or "{}")
        if text and content["status"] not in STATUSES:
            raise ValueError(f"no run ends as {content['status']!r}")
        numbers = (content.get("critic"), *content.get("seconds", {}).values())
        if not all(isinstance(number, float | int | None) for number in numbers) or None in numbers[1:]:
            raise TypeError("its critic or its seconds are no numbers")
        return dict(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder / 'status.json'} does not say how a run ended: {error}; without it the run is done anew"
        ) from None


class RunFolder:
    """Read and write `results/<study>/runs/<run>`, or the place where an engine works on such a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def status_text(self) -> str:
        """Read status.json as it is; empty if the run has not ended."""
        try:
            return (self.path / "status.json").read_text()
        except FileNotFoundError:
            return ""

    def has_ended_since(self, seen: str) -> bool:
        """Tell whether somebody ended the run after its status.json was `seen`; a failed one may be under way again."""
        return self.status_text() not in ("", seen)

    def status(self) -> dict[str, Any]:
        """Read how the run ended; empty if it has not.

        Raises:
            UserError: if the file is no JSON.
        """
        return as_status(self.status_text(), self.path)

    def iteration(self) -> int:
        """Read about how far the run has come: what its last attempt said last."""
        try:
            return int((self.path / "progress").read_text())
        except (FileNotFoundError, ValueError):  # none yet; or a killed machine left nothing in it
            return 0

    def advance(self, iteration: int) -> None:
        """Note how far the run has come: for people who look, so it is neither synced nor renamed."""
        (self.path / "progress").write_text(f"{iteration}\n")

    def attempts(self) -> list[dict[str, Any]]:
        """Read the attempts at this run, the first one first."""
        try:
            lines = (self.path / "attempts.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        attempts = []
        for line in lines:
            with suppress(json.JSONDecodeError):  # the last one, of a machine that lost its power
                attempts.append(json.loads(line))
        return attempts

    def begin(self, iteration: int, **facts: Any) -> None:
        """Write down that an attempt begins at an iteration, and how far the one before it had come."""
        before = self.attempts()
        reached = {"attempt_before_reached": self.iteration()} if before else {}
        append_lines(self.path / "attempts.jsonl", [json.dumps({"from_iteration": iteration, **reached, **facts})])
        self.advance(iteration)

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Hold the run against other processes, by a lock that the operating system takes back when its holder dies.

        Yields whether it could be had.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_claimed(self) -> bool:
        """Tell whether another process works on the run now."""
        if not (self.path / ".lock").exists():
            return False
        with suppress(OSError), self.claimed() as is_free:  # an error: a folder that we may not write to
            return not is_free
        return False
