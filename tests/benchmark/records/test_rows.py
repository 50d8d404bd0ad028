import json
import os

import pytest

from benchmark.errors import UserError
from benchmark.files import read_json, write_atomically, write_json
from benchmark.records.rows import RecordFile, Row, make_rows
from metrics.values import Value

ROWS = [Row(0, "a", 1.5, 1.0, 2.0, 10, {"seed": 1}), Row(5, "b", None), Row(10, "a", 0.1 + 0.2)]


def test_rows_come_back_bit_for_bit(tmp_path):
    records = RecordFile(tmp_path / "records.jsonl")
    records.append(ROWS[:2])
    records.append(ROWS[2:])
    assert records.read() == ROWS
    assert RecordFile(tmp_path / "none.jsonl").read() == []


def test_a_torn_last_line_is_left_out(tmp_path):
    records = RecordFile(tmp_path / "records.jsonl")
    records.append(ROWS)
    content = records.path.read_text()
    records.path.write_text(content[:-20])
    assert records.read() == ROWS[:2]


def test_rewind_keeps_the_first_rows_and_removes_what_was_torn(tmp_path):
    records = RecordFile(tmp_path / "records.jsonl")
    records.append(ROWS)
    with records.path.open("a") as file:
        file.write('{"iteration": 11, "met')
    records.rewind(2)
    records.append(ROWS[2:])
    assert records.read() == ROWS


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_missing_and_the_row_says_why(tmp_path, value):
    records = RecordFile(tmp_path / "records.jsonl")
    records.append([Row(1, "a", value, n=3)])
    (row,) = records.read()
    assert (row.value, row.missing, row.n, row.protocol) == (None, "not_finite", 3, {})
    assert str(value) in row.reason
    json.loads(records.path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    write_json(path, {"status": "done"})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "other")
    assert read_json(path) == {"status": "done"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        read_json(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"torn\.json is no valid JSON"):
        read_json(tmp_path / "torn.json")


def test_what_follows_a_torn_line_is_whole(tmp_path):
    file = RecordFile(tmp_path / "records.jsonl")
    file.append([Row(1, "a", 1.0), Row(1, "b", 2.0)])
    content = file.path.read_bytes()
    file.path.write_bytes(content[:-20])
    file.append([Row(2, "c", 3.0)])
    assert [row.metric for row in file.read()] == ["a", "c"]


def test_a_row_without_a_value_has_the_protocol_that_was_asked_for_and_says_why_beside_it(tmp_path):
    row = Row(1, "a", None, protocol={"steps": 1}, missing="failed", reason="because")
    assert row.protocol_id == Row(9, "b", 2.0, protocol={"steps": 1}).protocol_id
    assert row.protocol_id != Row(1, "a", None, protocol={"steps": 2}).protocol_id
    file = RecordFile(tmp_path / "records.jsonl")
    file.append([row])
    assert json.loads(file.path.read_text())["protocol_id"] == row.protocol_id
    assert file.read() == [row]


def test_a_row_with_a_value_is_written_as_ever():
    content = Row(5, "critic", -1.5, -2.0, -1.0, 10, {"seed": 1}).as_json()
    line = (
        '{"iteration": 5, "metric": "critic", "value": -1.5, "low": -2.0, "high": -1.0, "n": 10, "protocol": {"seed": 1}, '
        '"protocol_id": "a4bbadc1c789"}'
    )
    assert json.dumps(content) == line


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("the value is nan", "not_finite"),
        ("the value is beyond 1e+100", "not_finite"),
        ("measuring it failed: RuntimeError: a bug", "failed"),
        ("the critic has had 4 of its 5 training steps", "unavailable"),
    ],
)
def test_rows_of_earlier_versions_whose_protocol_has_the_reason_are_read_alike(tmp_path, sentence, missing):
    old = {"iteration": 5, "metric": "fid", "value": None, "low": None, "high": None, "n": None}
    old |= {"protocol": {"samples": 7, "not_available": sentence}, "protocol_id": "whatever"}
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(old) + "\n")
    assert RecordFile(path).read() == [Row(5, "fid", None, protocol={"samples": 7}, missing=missing, reason=sentence)]


def test_values_become_rows_and_what_was_asked_for_in_vain_too():
    values = [Value("a", 1.0, 0.5, 1.5, 3), Value("a/extra", 2.0)]
    assert make_rows(7, values, {"steps": 1}, ["b", "a"], "failed", "because") == [
        Row(7, "a", 1.0, 0.5, 1.5, 3, {"steps": 1}),
        Row(7, "a/extra", 2.0, protocol={"steps": 1}),
        Row(7, "b", None, protocol={"steps": 1}, missing="failed", reason="because"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{garbage",
        "[]",
        '{"iteration": 1}',
        '{"iteration": 1, "metric": "x", "value": "<b>"}',
        '{"iteration": 1, "metric": "x", "value": null, "missing": "lazy"}',
    ],
)
def test_a_damaged_row_is_named(tmp_path, line):
    path = tmp_path / "records.jsonl"
    RecordFile(path).append([Row(1, "x", 2.0)])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"records.jsonl, line 2 is no row"):
        RecordFile(path).read()
