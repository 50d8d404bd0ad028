"""The rows of a sweep on a GPU, without one."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.perf import sweeps
from benchmark.perf.table import MET, MISSED, Row


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """A sweep takes ten seconds however many runs it has, one after the other; a GPU idles, works and idles."""
    given, state = [], tmp_path / "state"
    state.write_text("")

    def command(words, **environment):
        given.append((words, environment))
        configurations = int(words[words.index("--budget") + 1])
        for number in range(4 * configurations):
            place = Path(words[words.index("--results") + 1]) / "study" / "runs" / str(number)
            place.mkdir(parents=True)
            (place / "status.json").write_text("{}")
        while len(state.read_text()) < 4:  # until the GPU was looked at so often
            time.sleep(0.01)
        return 10.0, ""

    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        f"#!/bin/sh\nprintf x >> {state}\ncase $(wc -c < {state}) in 1) echo 0;; 2) echo 93;; 3) echo 97;; *) echo 0;; esac\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sweeps, "_command", command)
    monkeypatch.setattr(sweeps, "recipe_for", lambda _: SimpleNamespace(find=Path))
    monkeypatch.setattr(sweeps, "SAMPLE_SECONDS", 0.01)
    return given


@pytest.mark.processes
def test_runs_that_share_a_gpu_against_eager_ones_alone(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "PACKED_CONFIGURATIONS", 30)
    packed, busy = sweeps.gpu_sweep(tmp_path, 0.25, 1)
    assert packed.median == pytest.approx(30)
    assert packed.verdict == MET
    assert busy.values == [93.0, 97.0]
    assert busy.verdict == MET
    (together, nothing), (alone, eager) = commands
    assert "auto" in together
    assert not nothing
    assert alone[-4:] != together[-4:]
    assert eager == {sweeps.EAGER: "1"}


@pytest.mark.processes
def test_packing_that_does_not_help_misses_its_goal(commands, tmp_path):
    rows = [row for row in sweeps.gpu_sweep(tmp_path, 0.25, 1) if isinstance(row, Row)]
    assert rows[0].verdict == MISSED  # 16 times as many in the same time


def test_without_the_images_it_is_a_remark(tmp_path):
    (remark,) = sweeps.gpu_sweep(tmp_path, 0.25, 1)
    assert "not measured" in remark
