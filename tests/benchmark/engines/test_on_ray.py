"""The same runs on a Ray cluster whose nodes see nothing of this machine's folders, one of which disappears."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import cache
from benchmark.data.datasets import load_dataset
from benchmark.engines.engine import Job
from benchmark.errors import UserError
from benchmark.records.run_folder import RunFolder
from benchmark.runner.runner import Options, run_study
from benchmark.runner.scheduler import Limits
from tests.studies import contents, do, tiny_study
from tests.support import try_to_read

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

from benchmark.engines import ray_task  # noqa: E402
from benchmark.engines.on_ray import RayEngine  # noqa: E402

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[3]
STORE = 256 * 2**20
"""ColorMNIST-mini (118 MB) fits: what does not would go to the disk, and Ray takes none that is over 95 % full."""
PATIENT_HEALTH = {"health_check_period_ms": 2000, "health_check_timeout_ms": 10_000, "health_check_failure_threshold": 5}
"""A busy machine is no dead one; a node that is removed is noticed by its closed connection."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head without cores and two nodes of one core, each with a home and an empty cache of its own."""
    tmp_path, monkeypatch = tmp_path_factory.mktemp("cluster"), pytest.MonkeyPatch()
    monkeypatch.setenv("RAY_worker_niceness", "0")  # Ray's workers would wait for everything else on a busy machine
    shutil.copytree(ROOT / "tests" / "ray_guard", tmp_path / "guard")
    packages = [ROOT / name for name in ("benchmark", "metrics", "baselines", "alphagan", "tests")]
    forbidden = [tmp_path / "results", tmp_path / "data", cache.root(), *packages]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE, "_system_config": PATIENT_HEALTH}
    ray_cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = []
    for name in ("a", "b"):
        monkeypatch.chdir(tmp_path / name)
        env = {
            "HOME": str(tmp_path / name),
            "XDG_CACHE_HOME": str(tmp_path / name / "cache"),
            "ALPHAGAN_CACHE": "",
            "PYTHONPATH": str(tmp_path / "guard"),
            "FORBIDDEN_ROOTS": os.pathsep.join(map(str, forbidden)),
        }
        nodes.append(ray_cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars=env))
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster.address)
    yield ray_cluster, nodes, tmp_path
    ray.shutdown()
    ray_cluster.shutdown()
    monkeypatch.undo()


def test_a_node_disappears_and_all_runs_are_done_once_with_the_local_engines_records(cluster, tmp_path):
    ray_cluster, nodes, seen_by_none = cluster
    study = tiny_study(["tests.support.Tiny", "age"], seeds=2, iterations=150)
    do(study, tmp_path / "local")
    results, storage = seen_by_none / "results", tmp_path / "storage"
    engine = RayEngine(1, ["tests.support.Tiny"], storage=f"file://{storage}")
    assert engine.places == 2

    lost, over = [], threading.Event()

    def remove_a_node():
        """As soon as a training there has saved itself."""
        while not lost and not over.wait(0.05):
            for task in list(engine.tasks.values()):
                saved = storage / "tiny" / f"{task.job.run.id}.zip"
                if task.node == nodes[0].node_id and saved.exists():
                    lost.append(task.job.run.id)
                    ray_cluster.remove_node(nodes[0], allow_graceful=False)
                    return

    def look():
        there = NodeAffinitySchedulingStrategy(nodes[1].node_id, soft=False)
        ask = ray.remote(try_to_read).options(num_cpus=0, scheduling_strategy=there)
        data = cache.place("colormnist-mini", load_dataset("colormnist-mini").fingerprint) / "train.npy"
        return ray.get([ask.remote(str(path)) for path in (results / "tiny" / "study.json", data, ROOT / "benchmark" / "cli.py")])

    (results / "tiny").mkdir(parents=True)
    (results / "tiny" / "study.json").write_text("{}")
    assert look() == ["PermissionError"] * 3
    assert try_to_read(str(results / "tiny" / "study.json")) == "2 bytes"
    (results / "tiny" / "study.json").unlink()

    thread = threading.Thread(target=remove_a_node)
    thread.start()
    try:
        outcome = run_study(study, results, engine, Options())
    finally:
        over.set()
        thread.join()
    assert outcome.counts == {"done": len(study.runs)}
    assert contents(results) == contents(tmp_path / "local")
    attempts = {run.id: RunFolder(results / "tiny" / "runs" / run.id).attempts() for run in study.runs}
    assert attempts[lost[0]][-1]["from_iteration"] > 0  # it went on elsewhere from what was saved
    assert all(len(made) == 1 for name, made in attempts.items() if name not in lost)
    assert not list(storage.rglob("*.zip"))
    assert (results / "tiny" / "runs" / lost[0] / "checkpoint.ckpt").exists()


def test_failures_on_a_node_are_the_same_results_as_here(cluster, tmp_path):
    study = tiny_study([f"tests.support.{name}" for name in ("Raises", "Diverges", "Dies", "Hangs")])
    engine = RayEngine(1, ["tests.support.Tiny"], checkpoints=False)
    outcome = run_study(study, tmp_path / "results", engine, Options(limits=Limits(retries=1, run_timeout=20.0)))
    assert outcome.counts == {"done": 2, "diverged": 1, "failed": 3}
    status = {run.model: RunFolder(tmp_path / "results" / "tiny" / "runs" / run.id).status() for run in study.runs}
    assert status["tests.support.Raises"]["reason"] == "RuntimeError: a bug in <the> model"
    assert "is nan by iteration 10" in status["tests.support.Diverges"]["reason"]
    assert "attempt after attempt (2)" in status["tests.support.Dies"]["reason"]
    assert status["tests.support.Hangs"]["reason"] == "no end after 20 seconds (--run-timeout)"


@pytest.fixture
def job(tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    return Job(study.runs[-1], tmp_path / "run", "", "cpu", study="tiny")


def test_data_travels_where_the_node_has_none(job, tmp_path, monkeypatch):
    run = job.run
    packed = cache.pack(run.dataset, run.fingerprint)
    before = {name: bytes(content) for name, content in packed.items()}
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path / "elsewhere"))
    assert not cache.is_whole(cache.place(run.dataset, run.fingerprint))
    cache.unpack(run.dataset, run.fingerprint, packed)
    assert cache.is_whole(cache.place(run.dataset, run.fingerprint))
    assert {path.name: path.read_bytes() for path in cache.place(run.dataset, run.fingerprint).iterdir()} == before


def test_other_pixels_in_a_nodes_own_folder_fail_its_runs(job, tmp_path, monkeypatch):
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "prepared", lambda *_: "0123456789abcdef")
    with pytest.raises(UserError, match="its fingerprint is 0123456789ab there"):
        ray_task._fetch_data(job, ray_task.Supplies([], {}))


def test_saves_are_whole_and_only_what_came_farther_is_taken(job, tmp_path, monkeypatch):
    reached = {"there": 40, "here": 20}
    monkeypatch.setattr(ray_task, "saved_iteration", lambda folder: reached["here" if folder == job.folder else "there"])
    ray_task.write_files(job.folder, {name: f"{name} there".encode() for name in ray_task.SAVED})
    saves = ray_task.Saves(f"file://{tmp_path / 'storage'}", job, job.folder, 1)
    saves.put()
    ray_task.write_files(job.folder, dict.fromkeys(ray_task.SAVED, b"here"))
    reached["here"] = 60
    saves.fetch()
    assert (job.folder / "checkpoint.ckpt").read_bytes() == b"here"
    reached["here"] = 20
    saves.fetch()
    assert (job.folder / "checkpoint.ckpt").read_bytes() == b"checkpoint.ckpt there"
    assert [path.name for path in (tmp_path / "storage" / "tiny").iterdir()] == [f"{job.run.id}.zip"]
    saves.remove()
    saves.fetch()  # nothing there is nothing to do
    assert np.all([(job.folder / name).read_bytes() == f"{name} there".encode() for name in ray_task.SAVED])


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_a_cluster_that_is_not_there_is_one_line(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"there is no Ray cluster at RAY_ADDRESS={address}"):
        RayEngine(1, [])


def test_data_that_nothing_has_room_for_are_one_line(tmp_path):
    full = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    full["_system_config"] = {"local_fs_capacity_threshold": 0.0}  # any disk is full
    ray_cluster = Cluster(initialize_head=True, head_node_args=full)
    words = ["--models", "dcgan", "--budget", "1", "--iterations", "1", "--engine", "ray", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "benchmark", "run", *words]
    try:
        done = subprocess.run(command, env={**os.environ, "RAY_ADDRESS": ray_cluster.address}, capture_output=True, text=True)
    finally:
        ray_cluster.shutdown()
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: Ray's object store on this machine has no room for colormnist-mini:")
    assert "Traceback" not in done.stderr
