"""How many runs share a GPU, and how: what can be said of it without one."""

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.engines import mps, packing
from benchmark.engines.local import ALLOCATOR, LocalEngine
from benchmark.engines.open import open_engine
from benchmark.engines.packing import Failed, Packing, probe_by_doubling, probe_gpu, runs_that_pay, train_together
from benchmark.runner.runner import Options, run_study, untrained
from benchmark.settings import Working
from tests.studies import tiny_study

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]
NOWHERE = "GPU-nowhere"


def run_of(model: str):
    """A run of one of the tests' models."""
    return tiny_study([f"tests.support.{model}"]).runs[-1]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 104.0}, 1),
        ({1: 100.0, 2: 106.0}, 2),
        ({1: 812.0, 2: 1400.0, 4: 1905.0, 8: 2010.0}, 8),
        ({1: 812.0, 2: 1400.0, 4: 1950.0, 8: 2010.0}, 4),
        ({1: 100.0, 2: 180.0, 4: 90.0}, 2),
        ({4: 95.0, 2: 50.0, 8: 100.0}, 4),
    ],
)
def test_the_smallest_number_that_is_nearly_the_fastest_pays(rates, expected):
    assert runs_that_pay(rates) == expected
    assert runs_that_pay(rates, share=1.0) == max(rates, key=rates.get)


def measured(rates: dict[int, float]):
    """Measures what a table says, and runs out of memory beyond it."""

    def rate(count: int) -> float:
        if count not in rates:
            raise Failed("out of memory")
        return rates[count]

    return rate


@pytest.mark.parametrize(
    ("rates", "most", "tried", "line"),
    [
        ({1: 812, 2: 1400, 4: 1905, 8: 2010, 16: 9000}, 64, [1, 2, 4, 8], "1,905 with 4, 2,010 with 8: 8 at once"),
        (
            {1: 812, 2: 1400, 4: 1905, 8: 2010},
            7,
            [1, 2, 4],
            "one GPU does 812 iterations a second with 1 run, 1,400 with 2, 1,905",
        ),
        ({1: 0.5, 2: 0.51}, 64, [1, 2], "one GPU does 0.50 iterations a second with 1 run, 0.51 with 2: 1 at once"),
        ({1: 100, 2: 200}, 64, [1, 2], "200 with 2 (4 failed: out of memory): 2 at once"),
        ({}, 64, [], "how many runs pay on a GPU could not be probed (out of memory): 1 at once"),
    ],
)
def test_doubling_ends_where_more_are_hardly_faster_fail_or_have_no_core(rates, most, tried, line):
    result = probe_by_doubling(measured(rates), most)
    assert list(result.rates) == tried
    assert line in str(result)
    assert "\n" not in str(result)
    assert result.runs == (runs_that_pay(result.rates) if tried else 1)


@pytest.mark.parametrize("count", [1, 2])
def test_so_many_processes_train_at_once(count):
    rates = train_together(run_of("Tiny"), count, "cpu", {}, seconds=0.3)
    assert len(rates) == count
    assert all(rate > 0 for rate in rates)


@pytest.mark.parametrize(
    ("model", "reason"),
    [("Raises", "RuntimeError: a bug in <the> model"), ("Dies", "a process ended early"), ("Hangs", "no answer for 2 seconds")],
)
def test_a_model_that_does_not_train_ends_the_probe_with_a_reason_and_leaves_no_process(monkeypatch, model, reason):
    monkeypatch.setattr(packing, "WARM_UP_SECONDS", 2.0)
    monkeypatch.setattr(packing, "END_SECONDS", 0.2)
    with pytest.raises(Failed, match=reason):
        train_together(run_of(model), 2, "cpu", {}, seconds=0.3)
    assert not multiprocessing.active_children()


def test_a_gpu_that_cannot_be_probed_gets_one_run():
    result = probe_gpu(run_of("Tiny"), NOWHERE, most=8)
    assert (result.rates, result.runs) == ({}, 1)
    assert result.failed


def working(**changes) -> Working:
    values = dict.fromkeys(Working.__dataclass_fields__, None)
    defaults = {"engine": "local", "device": "cpu", "retries": 0, "checkpoints": True, "tensorboard": False}
    return Working(**{**values, **defaults, **changes})


def nobody_looks():
    raise AssertionError("the runs were looked at")
    yield


@pytest.fixture
def gpus(monkeypatch):
    """A machine of 16 cores and two GPUs of which the first does so many iterations a second; what it was asked."""
    asked = []

    def probe(run, gpu, most):
        asked.append((run.model, gpu, most))
        return Packing({count: rate for count, rate in {1: 100.0, 2: 190.0, 4: 300.0}.items() if count <= most})

    monkeypatch.setattr(packing, "probe_gpu", probe)
    monkeypatch.setattr("benchmark.engines.local.cores", lambda: 16)
    monkeypatch.setattr("benchmark.engines.devices.resolve_device", lambda _: "cuda")
    monkeypatch.setattr("benchmark.engines.devices.visible_gpus", lambda: ["5", "6"])
    monkeypatch.setenv("PATH", "")
    return asked


def test_auto_lets_as_many_share_a_gpu_as_pay_and_says_so_once(gpus):
    study, said = tiny_study(["tests.support.Tiny"], seeds=20), []
    engine = open_engine(working(run_memory=1e-6), 1, [], untrained(study, Path("nowhere")), said.append)
    assert gpus == [("tests.support.Tiny", "5", 8)]
    assert said == ["one GPU does 100 iterations a second with 1 run, 190 with 2, 300 with 4: 4 at once"]
    assert engine.summary.startswith("8 at once on 2 GPUs, 4 on each, which share it by time slices (for MPS, nvidia-cuda-mps-")


def test_no_probe_asks_for_more_than_there_is_to_do(gpus):
    few = tiny_study(["tests.support.Tiny"], seeds=3)
    assert open_engine(working(run_memory=1e-6), 1, [], untrained(few, Path("nowhere"))).places == 4
    assert gpus.pop()[-1] == 2
    two = tiny_study(["tests.support.Tiny"], seeds=2)
    for study in (two, replace(two, runs=[run for run in two.runs if run.is_reference])):
        engine = open_engine(working(run_memory=1e-6), 1, [], untrained(study, Path("nowhere")))
        assert engine.summary.startswith("2 at once on 2 GPUs, 1 on each; each may take")
    assert not gpus


def test_a_number_or_a_cpu_needs_no_probe(gpus, monkeypatch):
    engine = open_engine(working(runs_per_gpu=3, workers=5), 1, [], nobody_looks())
    assert engine.summary.startswith("5 at once on 2 GPUs, up to 3 on each, which share it by time slices")
    monkeypatch.setattr("benchmark.engines.devices.visible_gpus", lambda: ["5"])
    engine = open_engine(working(runs_per_gpu=3, run_memory=1e-6), 1, [], nobody_looks())
    assert engine.summary.startswith("3 at once on 1 GPU, which share it by time slices")
    monkeypatch.undo()
    assert open_engine(working(), 1, [], nobody_looks()).device == "cpu"


@pytest.mark.parametrize(("asked", "given"), [(None, 1), (3, 3)])
def test_on_ray_auto_is_one(monkeypatch, asked, given):
    pytest.importorskip("ray")
    monkeypatch.setattr("benchmark.engines.on_ray.RayEngine", lambda *arguments: arguments)
    assert open_engine(working(engine="ray", runs_per_gpu=asked), 1, [], nobody_looks())[4] == given


def test_untrained_runs_are_those_of_models_that_are_not_finished(tmp_path):
    study = tiny_study(["tests.support.Tiny"], seeds=3)
    done, failed, missing = (run for run in study.runs if not run.is_reference)
    for run, status in ((done, "done"), (failed, "failed")):
        (tmp_path / "runs" / run.id).mkdir(parents=True)
        (tmp_path / "runs" / run.id / "status.json").write_text(json.dumps({"status": status}))
    assert list(untrained(study, tmp_path)) == [failed, missing]


THREADS = """
import os, sys
from dataclasses import replace
from pathlib import Path
from benchmark.engines.local import LocalEngine
from benchmark.runner.runner import Options, run_study
from tests.studies import tiny_study

if __name__ == "__main__":
    study = tiny_study(["tests.support.ShowsItsEnvironment"])
    run_study(replace(study, runs=study.runs[-1:]), Path(sys.argv[1]), LocalEngine(1, threads=1), Options())
    print(os.environ["OMP_NUM_THREADS"], "MKL_NUM_THREADS" in os.environ)
"""


def shown(results: Path) -> list[dict]:
    """What runs of `ShowsItsEnvironment` printed."""
    return [json.loads(path.read_text()) for path in results.glob("*/runs/*/output.txt")]


def test_workers_have_their_number_of_threads_before_torch_is_imported_and_the_parent_keeps_its_own(tmp_path):
    (tmp_path / "threads.py").write_text(THREADS)
    environment = {**os.environ, "OMP_NUM_THREADS": "7", "PYTHONPATH": str(ROOT), "MALLOC_TOP_PAD_": "1000000"}
    environment.pop("MKL_NUM_THREADS", None)
    command = [sys.executable, str(tmp_path / "threads.py"), str(tmp_path)]
    parent = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    (worker,) = shown(tmp_path)
    assert (worker["OMP_NUM_THREADS"], worker["MKL_NUM_THREADS"], worker["torch"]) == ("1", "1", 1)
    assert parent.stdout.split() == ["7", "False"]
    assert worker["MALLOC_TRIM_THRESHOLD_"] == ALLOCATOR["MALLOC_TRIM_THRESHOLD_"]
    assert worker["MALLOC_TOP_PAD_"] == "1000000"  # what the user says counts


DAEMON = """#!/bin/sh
echo "$* $(cat) CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES $CUDA_MPS_PIPE_DIRECTORY" | tr -s ' ' >> {calls}
test -d "$CUDA_MPS_PIPE_DIRECTORY" -a -d "$CUDA_MPS_LOG_DIRECTORY" || exit 7
{rest}
"""


class Daemon:
    """A program by the name of NVIDIA's that notes how it is called."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"
        self.program = folder / "nvidia-cuda-mps-control"
        self.does("exit 0")

    def does(self, rest: str) -> None:
        """Let it end with these words of a shell."""
        self.program.write_text(DAEMON.format(calls=self.calls, rest=rest))
        self.program.chmod(0o755)

    def heard(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setattr(mps, "DEFAULT_PIPES", tmp_path / "no pipes")
    monkeypatch.setattr(mps, "computing_on", lambda gpus: f"print('there are {gpus} GPUs')")
    return Daemon(tmp_path / "bin")


def test_runs_that_share_gpus_are_told_of_a_daemon_that_ends_with_them(daemon, tmp_path):
    study = tiny_study(["tests.support.ShowsItsEnvironment"], seeds=3)
    engine = LocalEngine(3, ["4", "5"])
    assert engine.summary.startswith("3 at once on 2 GPUs, up to 2 on each, which share it by MPS; each may take")
    run_study(study, tmp_path, engine, Options())
    start, stop = daemon.heard()
    assert start.startswith("-d CUDA_VISIBLE_DEVICES=4,5 /")
    assert stop.split() == ["quit", *start.split()[1:]]
    pipes = start.split()[-1]
    assert not Path(pipes).exists()
    told = shown(tmp_path)
    assert [worker["CUDA_MPS_PIPE_DIRECTORY"] for worker in told] == [pipes] * 3
    assert {worker["CUDA_VISIBLE_DEVICES"] for worker in told} <= {"0", "1"}  # a daemon of two GPUs calls them so
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_a_daemon_ends_also_after_an_exception_and_uuids_stay(daemon):
    with LocalEngine(3, ["GPU-a", "GPU-b"]) as engine:
        assert engine.sharing.environment_on("GPU-b")["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    with pytest.raises(KeyboardInterrupt), LocalEngine(2, ["4"]):
        raise KeyboardInterrupt
    assert [call.split()[0] for call in daemon.heard()] == ["-d", "quit"] * 2


def test_who_has_a_gpu_alone_needs_no_daemon(daemon):
    for engine in (LocalEngine(2, ["4", "5"]), LocalEngine(1, ["4"]), LocalEngine(2)):
        with engine:
            assert "MPS" not in engine.summary
    assert not daemon.heard()


@pytest.mark.parametrize("where", ["named", "in the usual place"])
def test_a_users_own_daemon_is_used_and_left_alone(daemon, tmp_path, monkeypatch, where):
    if where == "named":
        monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    else:
        (tmp_path / "no pipes").mkdir()
        (tmp_path / "no pipes" / "control").touch()
    with LocalEngine(2, ["4"]) as engine:
        assert "which share it by the MPS that is running" in engine.summary
        assert engine.sharing.environment_on("4") == {"CUDA_VISIBLE_DEVICES": "4"}
    assert not daemon.heard()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("it fails", "no licence"),
        ("it says nothing", "exit code 3"),
        ("it hangs", "took more than"),
        ("no GPU answers", "GPU-no"),
    ],
)
def test_where_mps_does_not_work_runs_take_turns_and_a_line_says_why(daemon, monkeypatch, what, reason):
    if what == "no GPU answers":  # a daemon starts also where its server cannot
        monkeypatch.setattr(mps, "computing_on", lambda _: "import os; raise OSError(os.environ['CUDA_VISIBLE_DEVICES'])")
    else:
        monkeypatch.setattr(mps, "DAEMON_SECONDS", 0.5)
        rest = {"it fails": "echo no licence; exit 1", "it says nothing": "exit 3", "it hangs": "exec sleep 60"}[what]
        daemon.does(f'test "$1" = -d || exit 0; {rest}')
    said = []
    with LocalEngine(2, [NOWHERE], say=said.append) as engine:
        assert "which share it by time slices (MPS does not work here)" in engine.summary
        assert engine.sharing.environment_on(NOWHERE) == {"CUDA_VISIBLE_DEVICES": NOWHERE}
    (line,) = said
    assert line.startswith("MPS does not work here (")
    assert reason in line
    assert [call.split()[0] for call in daemon.heard()] == ["-d", "quit"]


def test_a_gpu_is_tried_by_computing_on_it():
    tried = subprocess.run([sys.executable, "-c", mps.computing_on(1)], env={**os.environ, "CUDA_VISIBLE_DEVICES": NOWHERE})
    assert tried.returncode != 0
