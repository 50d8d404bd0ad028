"""Rows, intervals and verdicts by hand, and the exit code that they make."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmark.errors import UserError
from benchmark.perf import __main__ as command
from benchmark.perf import start
from benchmark.perf.table import MET, MISSED, WITHIN_NOISE, Goal, Row, Table, interval, number

AT_MOST, AT_LEAST = Goal("at most", 1.03), Goal("at least", 1.4)


@pytest.mark.parametrize(
    ("n", "left_out"),
    [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (10, 1), (11, 1), (12, 2), (20, 5)],  # 2 P(Bin(9, 1/2) <= 1) = 20 / 512 = 0.039
)
def test_the_interval_is_that_of_the_sign_test(n, left_out):
    assert interval([float(value) for value in reversed(range(n))]) == (left_out, n - 1 - left_out)


def test_the_ratio_is_the_median_of_the_ratios_of_pairs():
    row = Row("it", [10, 20, 30], "s", None, "that", [20, 20, 20])
    assert row.judged == [0.5, 1.0, 1.5]
    assert (row.median, row.interval, row.verdict) == (1.0, (0.5, 1.5), "")
    inverse = Row("it", [10, 20, 40], "s", None, "that", [20, 20, 20], inverse=True)
    assert inverse.judged == [2.0, 1.0, 0.5]
    assert inverse.median == 1.0


@pytest.mark.parametrize(
    ("values", "goal", "verdict"),
    [
        ([1.03], AT_MOST, MET),
        ([1.0, 1.02, 1.2], AT_MOST, MET),  # by its median, whatever the spread
        ([1.02, 1.04, 1.05], AT_MOST, WITHIN_NOISE),
        ([1.04, 1.05, 1.06], AT_MOST, MISSED),
        ([1.4], AT_LEAST, MET),
        ([1.3, 1.39, 1.41], AT_LEAST, WITHIN_NOISE),
        ([1.3, 1.35, 1.39], AT_LEAST, MISSED),
        ([1.031] * 8 + [1.0] * 2, AT_MOST, WITHIN_NOISE),  # of ten, the second is the interval's end
        ([1.031] * 9 + [1.0], AT_MOST, MISSED),
        ([9.0], None, ""),
    ],
)
def test_a_goal_is_missed_by_more_than_the_noise_or_not(values, goal, verdict):
    assert Row("alone", values, "", goal).verdict == verdict
    assert Row("beside another", values, "s", goal, "one second", [1.0] * len(values)).verdict == verdict


def test_a_row_without_values_or_pairs_is_refused():
    with pytest.raises(ValueError, match="0 of ours"):
        Row("it", [], "s")
    with pytest.raises(ValueError, match="2 of ours, 1 of theirs"):
        Row("it", [1, 2], "s", None, "that", [1])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (17, "17"), (0.01234, "0.0123"), (1.0346, "1.035"), (12.345, "12.35"), (123.45, "123.5"), (73500.4, "73,500")],
)
def test_numbers_have_about_four_digits(value, text):
    assert number(value) == text


def test_the_table_is_printed_as_it_grows_and_written_as_markdown(tmp_path: Path, capsys: pytest.CaptureFixture):
    table = Table("a machine")
    table.extend("things", [Row("slow", [2.0, 2.2, 2.1], "s", AT_MOST, "fast", [1.0, 1.0, 1.0]), "another: not measured"])
    assert table.missed == ["slow, against fast"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "a machine"
    assert printed[-1] == "  another: not measured"
    assert " ".join(printed[-2].split()) == "slow, against fast 2.100 1 s ours/other 2.100 2 to 2.200 3 at most 1.03 MISSED"
    table.write(tmp_path / "table.md")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0] == "a machine"
    assert "| slow, against fast | 2.100 | 1 | s | ours/other 2.100 | 2 to 2.200 | 3 | at most 1.03 | MISSED |" in lines
    assert lines[-1] == "another: not measured"


@pytest.mark.parametrize(("seconds", "code"), [([0.5, 0.5], 0), ([0.9, 1.2], 0), ([1.1, 1.2], 1)])
def test_a_missed_goal_is_exit_code_1(monkeypatch, seconds, code):
    monkeypatch.setattr(start, "rows", lambda repeats: [Row("--help", seconds[:repeats], "s", Goal("at most", 1))])
    result = CliRunner().invoke(command.main, ["--only", "starting", "--repeats", "2"])
    assert result.exit_code == code
    assert ("Missed: --help" in result.output) == bool(code)


def test_the_table_cannot_be_lost_at_the_end(tmp_path: Path):
    result = CliRunner().invoke(command.main, ["--only", "starting", "--markdown", str(tmp_path / "not there" / "table.md")])
    assert "is no folder that can be written" in str(result.exception)


def test_what_cannot_be_measured_is_a_mistake_of_the_user(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert isinstance(CliRunner().invoke(command.main, ["--device", "cuda"]).exception, UserError)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    refused = CliRunner().invoke(command.main, ["--device", "cuda", "--only", "data"]).exception
    assert "measures training and sweeps, not data" in str(refused)
