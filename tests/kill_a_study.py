"""Kill a study at random moments, over and over, and compare what it leaves with an undisturbed one.

    python -m tests.kill_a_study --kills 50

Three kinds of SIGKILL in turn: the whole process group, one worker, the parent alone. The same command is started again at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import psutil
from tqdm import tqdm

from benchmark.model.train import CHECKPOINTS, CHUNK
from benchmark.records.run_folder import RunFolder

KINDS = ("group", "worker", "parent")
ITERATIONS = 600
INTERVAL = max(CHUNK, ITERATIONS // CHECKPOINTS // CHUNK * CHUNK)
WORKERS = 2
STUDY = f"""
study: killed
iterations: {ITERATIONS}
width: 0.125
evaluation: {{batch_norm_draws: 16, critic_width: 0.05, critic_steps: 5, critic_images: 64, mode_samples: 64, diversity_groups: 1,
  reconstructions: 16, cifar10_samples: 0}}
"""
COMPARED = ("records.jsonl", "samples.png", "reconstructions.png", "codes.npz", "run.json")


def command(results: Path, models: str, budget: int) -> list[str]:
    """The command that is killed and started again."""
    results.mkdir(exist_ok=True)
    (results / "study.yaml").write_text(STUDY)
    words = f"--file {results / 'study.yaml'} --models {models} --budget {budget} --retries 1000 --workers {WORKERS}"
    return [sys.executable, "-m", "benchmark", "run", *words.split(), "--results", str(results)]


def start(words: list[str]) -> subprocess.Popen:
    """The study in a session of its own."""
    return subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def reached(results: Path) -> int:
    """Grows whenever any attempt does something."""
    places = [RunFolder(path.parent) for path in results.glob("killed/runs/*/attempts.jsonl")]
    return sum(place.iteration() + len(place.attempts()) for place in places)


def wait_for_life(study: subprocess.Popen, results: Path) -> bool:
    """Wait until an attempt does something; False if the study ended first."""
    before = reached(results)
    while study.poll() is None:
        if reached(results) != before:
            return True
        time.sleep(0.05)
    return False


def kill(study: subprocess.Popen, kind: str, chance: random.Random) -> bool:
    """Kill what the kind says; False if there was no such process."""
    try:
        if kind == "group":
            os.killpg(study.pid, signal.SIGKILL)
        elif kind == "parent":
            study.kill()
        else:
            servers = psutil.Process(study.pid).children()
            workers = [worker for server in servers for worker in server.children()]
            if not workers:
                return False
            chance.choice(workers).kill()
    except (psutil.Error, ProcessLookupError):
        return False
    return True


def disturbed(words: list[str], results: Path, kills: int, chance: random.Random, kinds: tuple[str, ...] = KINDS) -> Counter[str]:
    """Run a study to its end with so many kills on the way; how many of each kind there were."""
    done: Counter[str] = Counter()
    bar = tqdm(total=kills, desc="kills")
    study = start(words)
    while study.poll() is None or done.total() < kills:
        if study.poll() is not None:
            if study.returncode == 0:
                break  # it ended before all kills were spent
            study = start(words)
        if done.total() == kills:
            study.wait()
            break
        if not wait_for_life(study, results):
            continue
        time.sleep(chance.uniform(0, 8))  # from the first sign of life to the middle of the trainings
        kind = kinds[done.total() % len(kinds)]
        if kill(study, kind, chance):
            done[kind] += 1
            bar.update()
            if kind != "worker":
                study.wait()
                study = start(words)
    while study.returncode != 0:
        study = start(words)
        study.wait()
    return done


def computed(results: Path) -> int:
    """The iterations that all attempts together computed."""
    total = 0
    for path in results.glob("killed/runs/*/attempts.jsonl"):
        attempts = RunFolder(path.parent).attempts()
        ends = [attempt["attempt_before_reached"] for attempt in attempts[1:]] + [RunFolder(path.parent).iteration()]
        total += sum(end - attempt["from_iteration"] for attempt, end in zip(attempts, ends, strict=True))
    return total


def differences(results: Path, undisturbed: Path) -> list[str]:
    """What is not as the undisturbed study left it: lost, doubled, torn, or another value."""
    found = []
    names = {path.relative_to(undisturbed) for path in undisturbed.glob("killed/runs/*/*") if path.name in COMPARED}
    for name in sorted(names | {path.relative_to(results) for path in results.glob("killed/runs/*/*") if path.name in COMPARED}):
        first, second = undisturbed / name, results / name
        if not (first.exists() and second.exists()):
            found.append(f"{name} is only {'here' if second.exists() else 'there'}")
        elif first.read_bytes() != second.read_bytes():
            found.append(f"{name} differs")
    for path in results.glob("killed/**/*.json"):
        with contextlib.suppress(ValueError):
            json.loads(path.read_text())
            continue
        found.append(f"{path} cannot be read")
    found += [f"{path} was left" for path in results.glob("killed/runs/*/*.part")]
    return found


@click.command()
@click.option("--kills", default=50, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--models", default="dcgan,age", show_default=True)
@click.option("--budget", default=4, show_default=True)
def main(kills: int, seed: int, models: str, budget: int) -> None:
    """Kill a study and print what became of it; exit code 1 if anything was lost, doubled or changed."""
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, results = Path(folder) / "undisturbed", Path(folder) / "killed"
        begin = time.monotonic()
        subprocess.run(command(undisturbed, models, budget), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        calm = time.monotonic() - begin
        done = disturbed(command(results, models, budget), results, kills, random.Random(seed))
        expected, total = computed(undisturbed), computed(results)
        wrong = differences(results, undisturbed)
        attempts = sum(len(RunFolder(path.parent).attempts()) for path in results.glob("killed/runs/*/attempts.jsonl"))
    bound = expected + done.total() * WORKERS * INTERVAL
    for name, value in {
        "kills": ", ".join(f"{n} {kind}" for kind, n in sorted(done.items())),
        "seconds, undisturbed and killed": f"{calm:.0f}, {time.monotonic() - begin - calm:.0f}",
        "attempts": attempts,
        "iterations of the undisturbed study": expected,
        "iterations computed": total,
        "allowed (undisturbed + kills x workers x interval)": bound,
        "lost, doubled, changed or unreadable": len(wrong),
    }.items():
        click.echo(f"{name:<52} {value}")
    click.echo("\n".join(wrong))
    sys.exit(bool(wrong) or total > bound or done.total() < kills)


if __name__ == "__main__":
    main()
