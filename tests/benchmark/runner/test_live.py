"""What the live view says of runs that are made up, by a clock that is set by hand; no training."""

import re
import sys
import time
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from benchmark.runner import live
from benchmark.runner.live import LiveView
from tests.support import make_run

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def _a_usual_environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


def named(model, seed=0, iterations=100):
    return replace(make_run(iterations=iterations), model=model, path=model, seed=seed)


def plain():
    return Console(file=StringIO(), force_terminal=False, width=80)


def terminal(width=80, height=24, **more):
    return Console(file=StringIO(), force_terminal=True, width=width, height=height, **more)


def lines(console):
    """What a console without a terminal got; the last line is the sum at the end."""
    return console.file.getvalue().splitlines()


def picture(view, **size):
    """The view's present picture, as a terminal of some size would show it."""
    own, view._console = view._console, terminal(**size)
    view._console.print(view._picture())
    shown, view._console = view._console, own
    return [CODE.sub("", line).rstrip() for line in lines(shown)]


def row(view, model):
    """A model's line in the picture: its numbers, and the best."""
    words = next(line for line in picture(view) if line.startswith(model)).split()
    return [int(word) for word in words[1:6]], words[6:]


RUNS = [named("real"), named("noise"), *(named(model, seed) for seed in range(2) for model in ("dcgan", "age"))]
REAL, NOISE, DCGAN, AGE, DCGAN_2, AGE_2 = RUNS


def test_the_picture_counts_runs_by_model_and_in_all():
    view = LiveView(RUNS, {REAL.id: "done"}, 2, terminal())
    for run in (NOISE, DCGAN, AGE):
        view.started(run, 0)
    view.advanced(DCGAN, 100)
    view.advanced(AGE, 40)
    shown = picture(view)
    assert shown[0].startswith("1 of 6 runs, 2 at once")
    assert " ".join(shown[2].split()) == "model done running diverged failed waiting best critic (higher is better)"
    assert [line.split()[0] for line in shown[3:8]] == ["dcgan", "age", "real", "noise", "all"]
    assert shown[9:] == [
        f"{NOISE.id}    0 / 100",
        f"{DCGAN.id}  100 / 100  measuring",
        f"{AGE.id}     40 / 100",
    ]
    view.ended(NOISE, "done", -8.0)
    view.ended(DCGAN, "diverged", None)
    view.ended(AGE, "failed", None, "because")
    assert row(view, "dcgan")[0] == [0, 0, 1, 0, 1]
    assert row(view, "age")[0] == [0, 0, 0, 1, 1]
    assert row(view, "all")[0] == [2, 0, 1, 1, 2]


def test_the_best_critic_is_the_highest():
    view = LiveView(RUNS, {}, 2, terminal())
    view.ended(DCGAN, "done", -2.314)
    view.ended(DCGAN_2, "done", -5.0)
    view.ended(AGE, "done", float("nan"))
    assert row(view, "age")[1] == []
    view.ended(AGE_2, "done", -7.0)
    assert row(view, "dcgan")[1] == ["-2.314", DCGAN.id]
    assert row(view, "age")[1] == ["-7", AGE_2.id]


def test_the_score_of_a_run_that_had_ended_before_counts_and_is_no_news():
    console = plain()
    view = LiveView(RUNS, {DCGAN.id: "done"}, 2, console)
    view.ended(DCGAN, "done", -1.0)
    assert lines(console) == []
    assert row(view, "dcgan") == ([1, 0, 0, 0, 1], ["-1", DCGAN.id])


def test_the_time_left_follows_from_what_was_done_since_the_start(clock):
    runs = [named("dcgan", seed) for seed in range(4)]
    view = LiveView(runs, {runs[0].id: "done"}, 1, terminal(), clock=clock)
    assert view._time_left() is None
    view.started(runs[1], 60)  # found there: no speed of today's
    assert view._time_left() is None
    clock.now += 50
    view.advanced(runs[1], 110 - 60)  # less than it had: a broken checkpoint costs
    view.advanced(runs[1], 85)  # 25 iterations in 50 seconds; 15 + 2 * 100 are left, and measuring three runs
    assert view._time_left() == pytest.approx(2 * (15 + 200 + 3 * 10))
    assert "9 %, 0:00:50, about 8 min left" in picture(view)[0]
    view.ended(runs[1], "diverged", None)  # nothing was worked off by that
    assert view._time_left() == pytest.approx(2 * (200 + 2 * 10))
    for run in runs[2:]:
        view.ended(run, "done", -1.0)
    assert picture(view)[0].endswith("100 %, 0:00:50")


def test_sanity_rows_count_a_tenth(clock):
    view = LiveView([REAL, DCGAN], {}, 1, terminal(), clock=clock)
    view.started(REAL, 0)
    clock.now += 11
    view.ended(REAL, "done", -0.1)
    assert view._time_left() == pytest.approx(110)


def test_measuring_finished_runs_again_is_work_as_well(clock):
    view = LiveView([DCGAN, AGE], {}, 1, terminal(), clock=clock)
    view.started(DCGAN, 100)
    view.started(AGE, 100)
    clock.now += 30
    view.ended(DCGAN, "done", -1.0)
    assert view._time_left() == pytest.approx(30)


def test_a_lost_attempt_is_said_and_costs_what_is_done_again(clock):
    console = plain()
    view = LiveView([DCGAN, AGE], {}, 2, console, clock=clock)
    view.started(DCGAN, 0)
    view.advanced(DCGAN, 70)
    view.left(DCGAN, "lost: killed by SIGKILL at iteration 70; tried again")
    view.left(AGE, "another process does it")  # it was not running here: no attempt was lost
    view.advanced(DCGAN, 71)  # late, and of no consequence
    assert lines(console) == [f"{DCGAN.id}: lost: killed by SIGKILL at iteration 70; tried again"]
    assert row(view, "dcgan")[0] == [0, 0, 0, 0, 1]
    assert not any("/ 100" in line for line in picture(view))
    clock.now += 50
    view.started(DCGAN, 50)
    assert row(view, "dcgan")[0] == [0, 1, 0, 0, 0]
    assert view._time_left() == pytest.approx(60 + 110)


def test_without_a_terminal_each_ended_run_is_a_line(clock):
    console = plain()
    with LiveView(RUNS, {REAL.id: "done", NOISE.id: "done"}, 2, console, clock=clock) as view:
        view.started(DCGAN, 0)
        view.started(AGE, 0)
        clock.now += 12
        view.ended(DCGAN, "done", -2.314)
        clock.now += 120
        view.ended(AGE, "failed", None, "RuntimeError: a\nbug")
        view.ended(AGE_2, "diverged", None, "judge is nan")
        view.say("something else")
        view.started(DCGAN_2, 0)
    assert lines(console) == [
        f" 3/6 {DCGAN.id}: done, critic -2.314 (12 s)",
        f" 4/6 {AGE.id}: failed: RuntimeError: a bug (2 min)",
        f" 5/6 {AGE_2.id}: diverged: judge is nan",
        "something else",
        "6 runs: 3 done, 1 diverged, 1 failed, about 2 min left",  # what runs when the view is left is not running any more
    ]


def test_without_a_terminal_a_long_silence_is_broken(clock, monkeypatch):
    monkeypatch.setattr(live, "POLL_SECONDS", 0.005)
    console = plain()
    with LiveView(RUNS, {REAL.id: "done"}, 2, console, clock=clock) as view:
        view.started(DCGAN, 0)
        view.started(AGE, 0)
        view.advanced(DCGAN, 60)
        clock.now += 59
        time.sleep(0.1)
        assert lines(console) == []
        clock.now += 1
        deadline = time.monotonic() + 10
        while not lines(console) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.1)  # once is enough
        assert lines(console) == ["6 runs: 1 done, 2 running (iterations 0 to 60 of 100), about 7 min left"]


@pytest.mark.parametrize("console", [plain, lambda: terminal(width=300)], ids=["plain", "terminal"])
def test_names_and_reasons_are_shown_as_they_are(console):
    shown = console()
    model = named("[b]x[/]", iterations=5)
    with LiveView([model], {}, 1, shown) as view:
        view.started(model, 0)
        view.say("[link=a]b[/] :warning:")
        view.left(model, "lost: [/]")
        view.started(model, 0)
        assert f"{model.id}  0 / 5" in picture(view)
        view.ended(model, "failed", 1.0, "KeyError: [bold] [/] :boom: \x1b[31m\n" + 500 * "x")
    assert row(view, "[b]x[/] ") == ([0, 0, 0, 1, 0], ["1", model.id])
    said = shown.file.getvalue()
    assert "[link=a]b[/] :warning:\n" in said
    assert f"{model.id}: lost: [/]" in said
    assert f"{model.id}: failed, critic 1: KeyError: [bold] [/] :boom:  [31m xxx" in said
    assert "\x1b[31m xxx" not in said
    assert said.count("x") < 250


def test_a_terminal_keeps_the_last_picture_and_the_lines_above_it():
    console = terminal()
    with LiveView([DCGAN, AGE], {}, 2, console) as view:
        for run in (DCGAN, AGE):
            view.started(run, 0)
        view.ended(DCGAN, "done", -1.5)
        view.ended(AGE, "failed", None, "because")
    said = console.file.getvalue()
    last = CODE.sub("", said.rpartition("\x1b[2K")[2]).splitlines()  # what came after the last line that was erased
    assert last[0].startswith("2 of 2 runs")
    assert last[3].split() == ["dcgan", "1", "0", "0", "0", "0", "-1.5", DCGAN.id]
    assert f" 2/2 {AGE.id}: failed: because" in CODE.sub("", said)
    assert said.endswith("\x1b[?25h")  # the cursor is there again


@pytest.mark.parametrize("console", [plain, lambda: terminal(_environ={"TERM": "dumb"})], ids=["file", "dumb"])
def test_where_nothing_can_move_there_are_no_codes(console):
    shown = console()
    with LiveView(RUNS, {}, 2, shown) as view:
        view.ended(DCGAN, "failed", None, "because")
        time.sleep(0.3)
    assert "\x1b" not in shown.file.getvalue()
    assert len(lines(shown)) == 2


def test_forced_colours_are_no_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with LiveView(RUNS, {}, 2) as view:
        view.ended(DCGAN, "done", -1.0)
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines()[0] == f" 1/6 {DCGAN.id}: done, critic -1"


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal(color_system="standard")
    with LiveView([AGE], {}, 2, console) as view:
        view.ended(AGE, "failed", None, "because")
    assert "\x1b[2K" in console.file.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*[34][0-7]m", console.file.getvalue())


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 8), (50, 12), (140, 50)])
def test_the_picture_fits(width, height):
    runs = [named(f"some.package.Model{number}With{'A' * 40}LongName") for number in range(60)]
    view = LiveView(runs, {}, 40, terminal())
    for run in runs[:40]:
        view.started(run, 0)
    view.ended(runs[0], "done", -123.456)
    shown = picture(view, width=width, height=height)
    assert len(shown) < height
    assert max(map(len, shown)) <= width
    assert re.fullmatch(r"and \d+ more running", shown[-1])
    assert sum(" / 100" in line for line in shown) <= 8
    if width >= 80 and height >= 24:  # what tells names apart stays
        assert runs[0].id[-12:] in "".join(shown)


def test_ten_thousand_runs_cost_no_more_than_ten(clock):
    """Both counted in the calls that are made, which do not depend on the machine."""

    def calls(number):
        runs = [named(f"model{seed % 4}", seed) for seed in range(number)]
        view = LiveView(runs, {run.id: "done" for run in runs[: number // 2]}, 4, terminal(), clock=clock)
        view.started(runs[-1], 0)
        count = 0

        def counting(frame, event, argument):
            nonlocal count
            count += 1

        sys.setprofile(counting)
        try:
            view.advanced(runs[-1], 50)
            view.ended(runs[-1], "done", -1.0)
            view._picture()
        finally:
            sys.setprofile(None)
        return count, view

    few, _ = calls(10)
    many, view = calls(10_000)
    assert many < 1.1 * few
    assert picture(view)[0].startswith("5001 of 10000 runs")
