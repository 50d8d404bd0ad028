import json
import os

import pytest

from benchmark.errors import UserError
from benchmark.files import read_json, write_atomically, write_json
from benchmark.records.rows import RecordFile, Row

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
def test_what_is_not_finite_is_not_available_and_says_so(tmp_path, value):
    records = RecordFile(tmp_path / "records.jsonl")
    records.append([Row(1, "a", value, n=3)])
    (row,) = records.read()
    assert row.value is None
    assert str(value) in row.protocol["not_available"]
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


def test_the_protocols_hash_knows_every_value_and_no_reason(tmp_path):
    row = Row(1, "a", None, protocol={"steps": 1, "not_available": "because"})
    assert row.protocol_id == Row(9, "b", 2.0, protocol={"steps": 1}).protocol_id
    assert row.protocol_id != Row(1, "a", None, protocol={"steps": 2}).protocol_id
    file = RecordFile(tmp_path / "records.jsonl")
    file.append([row])
    assert json.loads(file.path.read_text())["protocol_id"] == row.protocol_id
    assert file.read() == [row]


@pytest.mark.parametrize("line", ["{garbage", "[]", '{"iteration": 1}', '{"iteration": 1, "metric": "x", "value": "<b>"}'])
def test_a_damaged_row_is_named(tmp_path, line):
    path = tmp_path / "records.jsonl"
    RecordFile(path).append([Row(1, "x", 2.0)])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"records.jsonl, line 2 is no row"):
        RecordFile(path).read()
