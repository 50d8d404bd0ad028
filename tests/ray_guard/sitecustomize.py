"""For the nodes of a test's cluster: what lies below FORBIDDEN_ROOTS is on another machine, and cannot be opened."""

import os
import sys

ROOTS = [os.path.realpath(root) for root in os.environ.get("FORBIDDEN_ROOTS", "").split(os.pathsep) if root]
EVENTS = {"open", *(f"os.{name}" for name in ("listdir", "scandir", "mkdir", "rename", "remove", "rmdir", "link", "truncate"))}


def forbid(event, arguments):
    """Python tells this of everything that it opens."""
    if event not in EVENTS:
        return
    for argument in arguments[:2]:
        if isinstance(argument, str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(argument))
            if any(path == root or path.startswith(root + os.sep) for root in ROOTS):
                raise PermissionError(13, "another machine's", path)


if ROOTS:
    sys.addaudithook(forbid)
