import os

import pytest
import torch

# Ray's own token would be looked for in each node's HOME, and the nodes of our tests have homes of their own.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")


@pytest.fixture(autouse=True)
def _one_thread_and_a_known_global_state():
    """Sums differ between one thread and two; and no test may lean on another's draws."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
