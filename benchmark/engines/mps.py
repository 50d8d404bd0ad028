"""Use NVIDIA's Multi-Process Service, by which a GPU does side by side, and not in turns, what several processes send it.

https://docs.nvidia.com/deploy/mps
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = "nvidia-cuda-mps-control"
DEFAULT_PIPES = Path("/tmp/nvidia-mps")  # noqa: S108 - NVIDIA's choice
"""Where a daemon listens that was told no other place."""
DAEMON_SECONDS = 20.0
"""How long the program may take to start the daemon, or to end it."""
TRY_SECONDS = 120.0
"""How long a process may take to compute something on each GPU; most of it is importing torch."""
BY_MPS = "by MPS"


@dataclass(frozen=True)
class Sharing:
    """How processes come to GPUs that they share."""

    how: str
    """For a person, after "they share it"."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What a process needs for that in its environment, before it asks CUDA anything."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What GPUs are called there, where that is not what they are called here."""

    def environment_on(self, gpu: str) -> dict[str, str]:
        """Return the environment variables of a process that is to see one GPU."""
        return {**self.environment, "CUDA_VISIBLE_DEVICES": self.names.get(gpu, gpu)}


def expected() -> str:
    """Say how processes will share a GPU here, as far as it can be told before anything is started."""
    if "CUDA_MPS_PIPE_DIRECTORY" in os.environ or (DEFAULT_PIPES / "control").exists():
        return "by the MPS that is running"
    return BY_MPS if shutil.which(PROGRAM) else f"by time slices (for MPS, {PROGRAM} is missing)"


@contextmanager
def shared(gpus: Sequence[str], say: Callable[[str], object]) -> Iterator[Sharing]:
    """Let processes share GPUs by MPS where it can be had: by the user's own, or by a daemon that ends with this block.

    Args:
        gpus: as CUDA_VISIBLE_DEVICES names them in this process.
        say: is told if MPS is here and does not work.
    """
    sharing = Sharing(expected())
    with ExitStack() as stack:
        if sharing.how == BY_MPS:
            try:
                sharing = stack.enter_context(_daemon(gpus))
            except _Unusable as problem:
                say(f"MPS does not work here ({problem}): runs share a GPU by time slices")
                sharing = Sharing("by time slices (MPS does not work here)")
        yield sharing


class _Unusable(Exception):
    """MPS cannot be used, for this reason."""


@contextmanager
def _daemon(gpus: Sequence[str]) -> Iterator[Sharing]:
    """A daemon of our own, for these GPUs and for processes that are told where it is.

    Raises:
        _Unusable: if it does not start, or processes do not reach the GPUs by it.
    """
    # It sees these GPUs alone, and its clients count them from 0 on; UUIDs stay as they are.
    names = {gpu: str(position) if gpu.isdigit() else gpu for position, gpu in enumerate(gpus)}
    with tempfile.TemporaryDirectory(prefix="alphagan-mps-", ignore_cleanup_errors=True) as folder:
        places = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
        for place in places.values():
            Path(place).mkdir()
        daemon = {**os.environ, **places, "CUDA_VISIBLE_DEVICES": ",".join(gpus)}
        client = {**os.environ, **places, "CUDA_VISIBLE_DEVICES": ",".join(names.values())}
        try:
            _run([PROGRAM, "-d"], daemon, DAEMON_SECONDS)
            # A daemon starts also where its server cannot, which clients are told; this one, and not every run.
            _run([sys.executable, "-c", computing_on(len(gpus))], client, TRY_SECONDS)
            yield Sharing(BY_MPS, places, names)
        finally:
            with suppress(_Unusable):
                _run([PROGRAM], daemon, DAEMON_SECONDS, "quit\n")


def computing_on(gpus: int) -> str:
    """Write a program that ends without an error if it can compute on so many GPUs."""
    return f"import torch; [torch.ones(1, device=f'cuda:{{i}}').item() for i in range({gpus})]"


def _run(command: Sequence[str], environment: Mapping[str, str], seconds: float, input_text: str = "") -> None:
    """Run a program to its end.

    Raises:
        _Unusable: with its last words, if it fails.
    """
    with tempfile.TemporaryFile("w+") as words:  # a pipe would stay open for as long as the daemon lives
        try:
            process = subprocess.run(  # noqa: S603 - NVIDIA's program, or this Python
                command,
                env=environment,
                input=input_text,
                stdout=words,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds,
                check=False,
                start_new_session=True,  # Ctrl-C is not for the daemon: runs save themselves first
            )
        except subprocess.TimeoutExpired:
            raise _Unusable(f"{Path(command[0]).name} took more than {seconds:.0f} seconds") from None
        except OSError as error:
            raise _Unusable(f"{command[0]}: {error.strerror or error}") from None
        words.seek(0)
        lines = words.read().split("\n")
    if process.returncode:
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")
        raise _Unusable(last)
