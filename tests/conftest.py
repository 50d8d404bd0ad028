import os
import tempfile

import pytest
import torch

# Ray's own token would be looked for in each node's HOME, and the nodes of our tests have homes of their own.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
# Worker processes see the environment as it was when their server started: what changes goes through files in here.
os.environ["TEST_FLAGS"] = tempfile.mkdtemp(prefix="alphagan-test-flags-")


@pytest.fixture(autouse=True)
def _one_thread_and_a_known_global_state():
    """Sums differ between one thread and two; and no test may lean on another's draws."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
