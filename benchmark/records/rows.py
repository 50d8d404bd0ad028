"""Make rows of what was measured, write them to records.jsonl and read them back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from benchmark.errors import UserError
from benchmark.files import append_lines, write_atomically

if TYPE_CHECKING:
    from metrics.values import Value  # imports torch, and the report reads records without it


Missing = Literal["not_finite", "unavailable", "failed"]
"""Why a row has no value: it was measured and is infinite or not a number; it cannot be measured here; measuring it raised."""


def protocol_id(protocol: Mapping[str, Any]) -> str:
    """Hash a protocol: 12 hexadecimal digits."""
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Row:
    """One value of one run, or why there is none."""

    iteration: int
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    """The ends of its 95 % interval."""
    n: int | None = None
    """How many samples, images or steps it was measured on."""
    protocol: dict[str, Any] = field(default_factory=dict)
    """How it was measured, or was to be measured. Values of different protocols do not compare."""
    missing: Missing | None = None
    """Why there is no value; None where there is one."""
    reason: str = ""
    """The same in words, for people."""

    @property
    def protocol_id(self) -> str:
        """The hash of its protocol."""
        return protocol_id(self.protocol)

    def as_json(self) -> dict[str, Any]:
        """Convert to a line of records.jsonl: the fields, missing and reason only without a value, and the protocol's hash."""
        content = asdict(self)
        if self.value is not None:
            del content["missing"], content["reason"]
        return {**content, "protocol_id": self.protocol_id}


def make_rows(
    iteration: int,
    values: Iterable[Value],
    protocol: dict[str, Any],
    metrics: Iterable[str] = (),
    missing: Missing = "unavailable",
    reason: str = "",
) -> list[Row]:
    """Make the rows of values that were measured together.

    Args:
        iteration: of the training at which the generator was measured.
        values: what was measured.
        protocol: how.
        metrics: what was to be measured: those without a value get rows that say why, after the others.
        missing: why these have none.
        reason: the same in words.
    """
    rows = [Row(iteration, *value, protocol=protocol) for value in values]
    measured = {row.metric for row in rows}
    absent = [name for name in metrics if name not in measured]
    return rows + [Row(iteration, name, None, protocol=protocol, missing=missing, reason=reason) for name in absent]


class RecordFile:
    """Append and read the rows of one run, in the order in which they were measured."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows at the end, on the disk when this returns."""
        append_lines(self.path, [json.dumps(row.as_json(), allow_nan=False) for row in map(_finite, rows)])

    def read(self) -> list[Row]:
        """Read all whole rows; a last line that a killed writer left unfinished is left out.

        Raises:
            UserError: for a line that is no row.
        """
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
        content = json.loads(line)
        row = _of_earlier_version(Row(**{key: value for key, value in content.items() if key != "protocol_id"}))
        if not all(isinstance(number, int | float | None) for number in (row.value, row.low, row.high, row.n)):
            raise TypeError("a value is no number")
        if not (isinstance(row.iteration, int) and isinstance(row.metric, str) and isinstance(row.protocol, dict)):
            raise TypeError("its iteration, metric or protocol is none")
        if row.missing not in (None, *get_args(Missing)) or not isinstance(row.reason, str):
            raise ValueError(f"no value is missing because of {row.missing!r}")
        if row.n is not None and not abs(row.n) < 2**63:
            raise ValueError(f"n is {row.n:g}")
        if b"\\u" in line:  # half a character, which no other file can hold
            json.dumps(row.as_json(), ensure_ascii=False).encode()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{where} is no row: {error}") from None
    return row


def _of_earlier_version(row: Row) -> Row:
    """Move the reason for a missing value out of the protocol, where earlier versions wrote it as a sentence."""
    if "not_available" not in row.protocol:
        return row
    protocol = dict(row.protocol)
    reason = str(protocol.pop("not_available"))
    if row.value is not None:
        return replace(row, protocol=protocol)
    missing: Missing = "unavailable"
    if reason.startswith("the value is "):
        missing = "not_finite"
    elif reason.startswith("measuring it failed: "):
        missing = "failed"
    return replace(row, protocol=protocol, missing=missing, reason=reason)


LARGEST = 1e100
"""Values beyond this are taken as infinite: no metric has such, and no axis can show them."""


def _finite(row: Row) -> Row:
    """Take away a value that is not finite, which JSON cannot hold, and say so."""
    numbers = (row.value, row.low, row.high)
    if all(number is None or abs(number) < LARGEST for number in numbers):
        return row
    odd = next(number for number in numbers if number is not None and not abs(number) < LARGEST)
    reason = f"the value is {odd if isinstance(odd, float) else f'beyond {LARGEST:g}'}"
    return replace(row, value=None, low=None, high=None, missing="not_finite", reason=reason)
