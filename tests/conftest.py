import os
import sys
import tempfile
from multiprocessing.process import BaseProcess

import pytest
import torch

# Ray's own token would be looked for in each node's HOME, and the nodes of our tests have homes of their own.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
# Worker processes see the environment as it was when their server started: what changes goes through files in here.
os.environ["TEST_FLAGS"] = tempfile.mkdtemp(prefix="alphagan-test-flags-")

STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system")
starts: list[str] = []


def _note_starts(event: str, arguments: tuple) -> None:
    if event in STARTS:
        starts.append(f"{event} {arguments[0] if arguments else ''}")


sys.addaudithook(_note_starts)
start_process = BaseProcess.start


def _note_and_start(process: BaseProcess) -> None:
    starts.append(f"multiprocessing {process.name}")  # a fork server's children are no audited event here
    start_process(process)


BaseProcess.start = _note_and_start


@pytest.fixture(autouse=True)
def _one_thread_and_a_known_global_state():
    """Sums differ between one thread and two; and no test may lean on another's draws."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_unmarked_processes(request):
    """`make test-fast` leaves out what starts processes, so each such test must say that it does."""
    starts.clear()
    yield
    if starts and request.node.get_closest_marker("processes") is None:
        pytest.fail(f"mark this test with pytest.mark.processes: it started {starts[0]}")
