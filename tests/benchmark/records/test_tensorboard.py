"""The rows of a run for TensorBoard, by metric and iteration."""

import json

import pytest

from benchmark.engines.engine import Job
from benchmark.engines.worker import work
from benchmark.errors import UserError
from benchmark.model.train import Watcher
from benchmark.records.rows import Row
from benchmark.records.tensorboard import open_records, summary_writer
from tests.studies import tiny_study

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder) -> dict[tuple[str, int], float]:
    events = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    return {(tag, event.step): event.value for tag in events.Tags()["scalars"] for event in events.Scalars(tag)}


def test_every_row_with_a_value_is_a_scalar(tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    run = study.runs[-1]
    work(Job(run, tmp_path, "", "cpu", tensorboard=True, study="tiny"), Watcher())
    rows = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    expected = {(row["metric"], row["iteration"]): row["value"] for row in rows if row["value"] is not None}
    events = scalars(tmp_path)
    assert len(expected) > 20
    assert events.keys() == expected.keys()
    assert all(events[key] == pytest.approx(value, rel=1e-6) for key, value in expected.items())


def test_what_a_lost_attempt_had_told_is_superseded(tmp_path):
    for begin, value in ((0, 1.0), (10, 2.0)):
        with open_records(tmp_path, begin, tensorboard=True) as records:
            records.append([Row(iteration, "loss/x", value) for iteration in (10, 20) if iteration > begin])
    assert scalars(tmp_path) == {("loss/x", 10): 1.0, ("loss/x", 20): 2.0}


def test_without_the_package_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'alphagan-benchmark\[tensorboard\]'"):
        summary_writer()
