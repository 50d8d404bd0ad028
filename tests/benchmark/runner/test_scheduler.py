"""What becomes of runs that are lost, hang, or are worked on by somebody else."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import torch

from benchmark.engines.engine import Job
from benchmark.engines.local import LocalEngine, cores, memory, resolve_workers
from benchmark.engines.worker import work
from benchmark.errors import UserError
from benchmark.model.train import Watcher
from benchmark.records.rows import RecordFile, Row
from benchmark.records.run_folder import RunFolder
from benchmark.runner.runner import Options, run_study
from benchmark.settings import Settings
from benchmark.trial.attempt import Attempt
from tests.studies import ITERATIONS, contents, do, tiny_study
from tests.support import SETTINGS

pytestmark = pytest.mark.processes


def folders(study, results: Path) -> dict[str, RunFolder]:
    """The folders of runs by the class of their model."""
    return {run.model.rpartition(".")[2]: RunFolder(results / study.name / "runs" / run.id) for run in study.runs}


def test_of_twenty_runs_five_go_wrong_in_five_ways_and_fifteen_are_done(tmp_path):
    bad = tiny_study([f"tests.support.{name}" for name in ("Raises", "Diverges", "Dies", "Hangs", "Allocates")])
    good = tiny_study(["tests.support.Tiny"], seeds=13)
    study = replace(good, runs=(*bad.runs, *[run for run in good.runs if not run.is_reference]), models=bad.models)
    assert len(study.runs) == 20
    outcome = do(study, tmp_path, min(2, cores()), run_memory=2 * 2**30, retries=1, run_timeout=30.0)
    assert outcome.counts == {"done": 15, "diverged": 1, "failed": 4}
    assert outcome.complete
    status = {name: folder.status() for name, folder in folders(study, tmp_path).items()}
    assert status["Raises"]["reason"] == "RuntimeError: a bug in <the> model"
    assert "is nan by iteration 10" in status["Diverges"]["reason"]
    assert status["Dies"]["reason"] == "its process ended early with exit code 9, attempt after attempt (2)"
    assert status["Hangs"]["reason"] == "no end after 30 seconds (--run-timeout)"
    assert "out of memory: it took more than its 2.0 GiB" in status["Allocates"]["reason"]
    attempts = {name: len(folder.attempts()) for name, folder in folders(study, tmp_path).items()}
    # What raises or diverges would do so again; what hangs has had its time.
    expected = {"Raises": 1, "Diverges": 1, "Dies": 2, "Hangs": 1, "Allocates": 2}
    assert {name: attempts[name] for name in expected} == expected


def test_a_run_whose_worker_is_killed_goes_on_from_its_checkpoint_with_the_same_records(tmp_path):
    study = tiny_study(["tests.support.Tiny"], iterations=400)
    do(study, tmp_path / "calm")
    folder = folders(study, tmp_path / "killed")["Tiny"]

    def kill():
        wait_until(lambda: folder.iteration() >= 100)
        os.kill(folder.attempts()[0]["process"], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    assert do(study, tmp_path / "killed").counts == {"done": 3}
    thread.join()
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")
    first, second = folder.attempts()
    assert first["from_iteration"] == 0
    assert second["from_iteration"] in range(80, second["attempt_before_reached"] + 1, 80)


def test_a_run_that_somebody_else_does_is_waited_for_and_counted(tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    do(study, tmp_path / "theirs")
    run = study.runs[-1]
    finished, shared = (tmp_path / name / "tiny" / "runs" / run.id for name in ("theirs", "ours"))
    shared.mkdir(parents=True)
    held = RunFolder(shared).claimed()
    assert held.__enter__()

    def finish():
        rest = [tmp_path / "ours" / "tiny" / "runs" / other.id / "status.json" for other in study.runs[:-1]]
        try:
            wait_until(lambda: all(path.exists() for path in rest))
            for name in ("run.json", "records.jsonl", "status.json"):
                (shared / name).write_bytes((finished / name).read_bytes())
        finally:
            held.__exit__(None, None, None)

    thread = threading.Thread(target=finish)
    thread.start()
    outcome = do(study, tmp_path / "ours")
    thread.join()
    assert outcome.counts == {"done": 3}
    assert not RunFolder(shared).attempts()


def test_two_commands_on_one_folder_share_the_work(tmp_path):
    study = tiny_study(["tests.support.Tiny"], seeds=6)
    outcomes = []

    def command():
        outcomes.append(run_study(study, tmp_path, LocalEngine(1), Options()))

    threads = [threading.Thread(target=command) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.counts for outcome in outcomes] == [{"done": 8}] * 2
    places = [RunFolder(tmp_path / "tiny" / "runs" / run.id) for run in study.runs]
    assert [len(place.attempts()) for place in places] == [1] * 8
    do(study, tmp_path / "alone")
    assert contents(tmp_path / "alone" / "tiny") == contents(tmp_path / "tiny")


def job_for(study, results: Path) -> Job:
    run = study.runs[-1]
    return Job(run, results / study.name / "runs" / run.id, "", "cpu", study=study.name)


def test_a_worker_that_is_told_to_stop_saves_and_another_one_goes_on(tmp_path):
    study = tiny_study(["tests.support.Tiny"], iterations=200)
    job, calm = job_for(study, tmp_path / "stopped"), job_for(study, tmp_path / "calm")

    class StopAt50(Watcher):
        at = 0

        def advanced(self, iteration):
            self.at = iteration

        def stopping(self):
            return self.at == 50

    assert type(work(job, StopAt50())).__name__ == "Stopped"
    assert not RunFolder(job.folder).status_text()
    for attempt in (job, calm):
        assert type(work(attempt, Watcher())).__name__ == "Ended"
    assert [attempt["from_iteration"] for attempt in RunFolder(job.folder).attempts()] == [0, 50]
    assert contents(job.folder) == contents(calm.folder)


def test_time_of_earlier_attempts_counts(tmp_path):
    study = tiny_study(["tests.support.Tiny"], iterations=200)
    job = job_for(study, tmp_path)

    class SlowThenStop(Watcher):
        def advanced(self, _iteration):
            time.sleep(0.2)

        def stopping(self):
            return RunFolder(job.folder).iteration() == 50

    work(job, SlowThenStop())
    work(job, Watcher())
    assert RunFolder(job.folder).status()["seconds"]["training"] > 1.0  # five chunks of 0.2 s in the first attempt


def processes_of(session: int) -> list[psutil.Process]:
    """The processes of a session that are still there."""
    processes = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except (OSError, psutil.Error):
            continue
    return processes


def wait_until(happened, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def long_study(tmp_path):
    """A study that would take very long, as a command in a session of its own, with a run in training."""
    words = ["--models", "dcgan", "--budget", "1", "--iterations", "100000", "--study", "long", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "benchmark", "run", *words, "--width", "0.125", "--mode-samples", "64"]
    command += ["--critic-steps", "5", "--critic-images", "64", "--diversity-groups", "1", "--workers", "1"]
    (tmp_path / "long" / "runs").mkdir(parents=True)
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process, tmp_path / "long"
    for left in processes_of(process.pid):
        left.kill()
    process.communicate()


def test_workers_end_with_their_killed_parent_and_leave_no_status(long_study):
    process, folder = long_study
    wait_until(lambda: any(RunFolder(path).attempts() for path in folder.glob("runs/*")), 120)
    process.kill()
    process.wait()
    wait_until(lambda: not processes_of(process.pid), 30)
    assert not list(folder.glob("runs/*/status.json"))
    assert not list(folder.glob("runs/*/error.txt"))
    assert not any(RunFolder(path).is_claimed() for path in folder.glob("runs/*"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_to_the_whole_group_stops_a_study_in_order(long_study, name):
    process, folder = long_study
    wait_until(lambda: any(RunFolder(path).attempts() for path in folder.glob("runs/*")), 120)
    os.killpg(process.pid, getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopping: runs are being saved" in err
    assert "Stopped. What is finished is kept; the same command goes on." in err
    assert "0 done" in out
    assert "Traceback" not in err
    wait_until(lambda: not processes_of(process.pid), 30)


def test_workers_are_as_many_as_cores_memory_and_gpus_bear():
    assert resolve_workers(None, 1, run_memory=1) == cores()
    assert resolve_workers(None, 1, run_memory=memory()) == 1
    assert resolve_workers(None, 1, gpus=1, runs_per_gpu=1, run_memory=1) == 1
    assert resolve_workers(None, 1, gpus=100, runs_per_gpu=2, run_memory=1) == cores()
    with pytest.raises(UserError, match="WORKERS is at most"):
        resolve_workers(cores() + 1, 1)
    with pytest.raises(UserError, match="runs of 10000 threads need more"):
        resolve_workers(None, 10_000)


def test_a_full_disk_is_no_result(tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    job = job_for(study, tmp_path)

    class Full(Watcher):
        def advanced(self, _iteration):
            raise OSError(28, "No space left on device", "records.jsonl")

    event = work(job, Full())
    assert type(event).__name__ == "DiskFull"
    assert event.reason == "records.jsonl: No space left on device"
    assert not RunFolder(job.folder).status_text()
    assert not (job.folder / "error.txt").exists()
    assert type(work(job, Watcher())).__name__ == "Ended"
    assert RunFolder(job.folder).status()["status"] == "done"


def test_a_full_disk_stops_a_study_with_a_line_and_with_room_it_ends_with_the_right_records(tmp_path):
    study = tiny_study(["tests.support.FindsNoRoom", "age"])
    do(study, tmp_path / "calm")
    no_room = Path(os.environ["TEST_FLAGS"], "no room")
    no_room.touch()
    try:
        with pytest.raises(UserError, match=r"records: No space left on device; what is finished is kept: make room, and start"):
            do(study, tmp_path / "full", min(2, cores()))
    finally:
        no_room.unlink()
    assert not folders(study, tmp_path / "full")["FindsNoRoom"].status_text()
    assert not list((tmp_path / "full").rglob("error.txt"))
    assert do(study, tmp_path / "full").counts == {"done": 4}
    assert contents(tmp_path / "full") == contents(tmp_path / "calm")


def test_status_json_says_what_it_took(tmp_path):
    job = job_for(tiny_study(["tests.support.Tiny"]), tmp_path)
    work(job, Watcher())
    status = json.loads((job.folder / "status.json").read_text())
    assert status["attempts"] == 1
    assert 100 < status["peak_memory_mib"] < 10_000
    assert set(status["seconds"]) == {"training", "evaluation", "critic_in_training"}
    assert RunFolder(job.folder).iteration() == ITERATIONS


def test_rows_are_not_doubled_whether_they_have_a_value_or_a_reason(tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    records = RecordFile(tmp_path / "records.jsonl")
    attempt = Attempt(tmp_path, study.runs[-1], None, torch.device("cpu"), Watcher(), records, {})
    for _ in range(2):
        attempt.append_missing([Row(20, "critic", -1.0), Row(20, "fid", None)])
    attempt.append_missing([Row(20, "fid", 3.0)])  # what could not be had can be had now
    attempt.append_missing([Row(20, "fid", None)])
    assert [(row.metric, row.value) for row in records.read()] == [("critic", -1.0), ("fid", None), ("fid", 3.0)]


def test_a_models_thread_that_never_ends_holds_nobody_up_and_what_it_prints_is_kept(tmp_path):
    study = tiny_study(["tests.support.Lingers"])
    assert do(study, tmp_path).counts == {"done": 3}
    assert "hello from a model" in (folders(study, tmp_path)["Lingers"].path / "output.txt").read_text()


def test_settings_of_before_there_was_a_precision_are_read():
    content = asdict(SETTINGS)
    del content["precision"]
    assert Settings.from_json(content) == SETTINGS
