"""Rows on disk: what was measured, when in training, and how. Written atomically, read with a torn last line forgiven."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.files import append_lines, write_atomically


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
