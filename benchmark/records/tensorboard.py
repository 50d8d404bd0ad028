"""Write rows for TensorBoard too, for those who watch trainings there; the records stay what everything else reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.records.rows import RecordFile, Row


class LoggedRecords(RecordFile):
    """Write records whose rows are also TensorBoard's scalars, by metric and iteration."""

    def __init__(self, path: Path, writer: Any) -> None:
        super().__init__(path)
        self.writer = writer

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows at the end, on the disk when this returns; those with a value become scalars."""
        rows = list(rows)
        super().append(rows)
        for row in rows:
            if row.value is not None:
                self.writer.add_scalar(row.metric, row.value, row.iteration)
        self.writer.flush()


@contextmanager
def open_records(folder: Path, iteration: int, tensorboard: bool) -> Iterator[RecordFile]:
    """Open the records of a run's folder.

    Args:
        folder: of the run.
        iteration: where the attempt begins: what TensorBoard saw of later ones is superseded.
        tensorboard: whether rows also go to `tensorboard/` there.
    """
    path = folder / "records.jsonl"
    if not tensorboard:
        yield RecordFile(path)
        return
    with summary_writer()(folder / "tensorboard", purge_step=iteration + 1) as writer:
        yield LoggedRecords(path, writer)


def summary_writer() -> Any:
    """Import TensorBoard's writer.

    Raises:
        UserError: if it is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs a package more: pip install 'alphagan-benchmark[tensorboard]'") from None
    return SummaryWriter
