"""Say in one line what a user got wrong."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user's: one line that names the thing, what was expected and what to do. Exit code 2, no traceback."""


class Diverged(ArithmeticError):
    """A run's losses or images stopped being finite: a result, not a failure."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Make the error for a name that is not there, with the nearest one that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UserError(f"unknown {kind} {name!r}: {hint}known are {', '.join(names)}")


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or what it came from, is that of a full disk or quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
