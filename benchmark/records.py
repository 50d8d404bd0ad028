"""Rows on disk: what was measured, when in training, and how. Written atomically, read with a torn last line forgiven."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.errors import UserError


def protocol_id(protocol: Mapping[str, Any]) -> str:
    """A hash of a protocol; why a value is not available does not count, for it was to be measured like the others."""
    how = {key: value for key, value in protocol.items() if key != "not_available"}
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Row:
    """One measurement of one run."""

    iteration: int
    metric: str
    value: float | None
    """None where the metric is not available; `protocol["not_available"]` says why."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    """How it was measured. Values of different protocols do not compare."""

    @property
    def protocol_id(self) -> str:
        """The hash of its protocol."""
        return protocol_id(self.protocol)

    def as_json(self) -> dict[str, Any]:
        """For a line of records.jsonl: the fields and the protocol's hash."""
        return {**asdict(self), "protocol_id": self.protocol_id}


class RecordFile:
    """The rows of one run, in the order in which they were measured."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows at the end, on the disk when this returns."""
        append_lines(self.path, [json.dumps(row.as_json(), allow_nan=False) for row in map(_finite, rows)])

    def read(self) -> list[Row]:
        """All whole rows; a last line that a killed writer left unfinished is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]  # bytes: a damaged disk may hold what is no text
        return [_finite(_row(line, f"{self.path}, line {number}")) for number, line in enumerate(lines, 1)]

    def rewind(self, rows: int) -> None:
        """Keep the first rows only: those that were there when the checkpoint was saved from which a run goes on."""
        kept = self.read()[:rows]
        write_atomically(self.path, "".join(json.dumps(row.as_json(), allow_nan=False) + "\n" for row in kept))


def _row(line: bytes, where: str) -> Row:
    try:
        row = Row(**{key: value for key, value in json.loads(line).items() if key != "protocol_id"})
        if not all(isinstance(number, int | float | None) for number in (row.value, row.low, row.high, row.n)):
            raise TypeError("a value is no number")
        if not (isinstance(row.iteration, int) and isinstance(row.metric, str) and isinstance(row.protocol, dict)):
            raise TypeError("its iteration, metric or protocol is none")
        if row.n is not None and not abs(row.n) < 2**63:
            raise ValueError(f"n is {row.n:g}")
        if b"\\u" in line:  # half a character, which no other file can hold
            json.dumps(row.as_json(), ensure_ascii=False).encode()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{where} is no row: {error}") from None
    return row


LARGEST = 1e100
"""Values beyond this are taken as infinite: no metric has such, and no axis can show them."""


def _finite(row: Row) -> Row:
    """JSON has no NaN: a value that is not finite is not available, and the row says so."""
    numbers = (row.value, row.low, row.high)
    if all(number is None or abs(number) < LARGEST for number in numbers):
        return row
    odd = next(number for number in numbers if number is not None and not abs(number) < LARGEST)
    protocol = {**row.protocol, "not_available": f"the value is {odd if isinstance(odd, float) else f'beyond {LARGEST:g}'}"}
    return Row(row.iteration, row.metric, None, None, None, row.n, protocol)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines at the end of a file, on the disk when this returns; what a killed writer left of a line goes."""
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


def environment() -> dict[str, str]:
    """What decides about the last bits of a run beside its configuration."""
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
