"""Write files whole or not at all, append lines that survive a kill, and read JSON with an error a user can act on."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.errors import UserError


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines at the end of a file, on the disk when this returns; what a killed writer left of a line is removed."""
    with path.open("a+b") as file:
        if file.tell() and _last_byte(file) != b"\n":  # the next line must not be glued to it
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside the file and rename: readers see the old content or the new, never a half; on the disk when this returns."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(temporary).chmod(0o644)
        move_into_place(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_litter(folder: Path) -> None:
    """Remove what killed writers left unfinished in a folder that is held against other processes."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def move_into_place(part: Path, path: Path) -> None:
    """Rename a finished file to its name, its content and its name on the disk when this returns."""
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(path: Path) -> None:
    """Find out before hours of work whether a file can be written at their end.

    Raises:
        UserError: if its folder is not there, or may not be written.
    """
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"cannot write {path}: {path.parent} is no folder that can be written")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, for people to read."""
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        UserError: if the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"there is no {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON: {error}") from None
