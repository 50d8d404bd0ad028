"""Keep the lock of the shared training code: `python -m benchmark.model.lock`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from benchmark.errors import UserError
from benchmark.model import fingerprint
from benchmark.model.fingerprint import Lock, read_lock, shared_trees

COMMAND = "python -m benchmark.model.lock"
BEFORE_THE_LOCK = 1
"""The version of commits that have no lock."""
FEW = 3
"""Models that a line has room for."""

Hashes = dict[str, str]
"""Of trained tensors by their names."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Say whether the shared training code still is the version that it is locked as.

    Runs are named for the version, not for the code: an upgrade that trains the same bits keeps all runs, and one that does not
    trains them anew. So whoever changes that code (networks, losses, the contract's loop) does one of two things:

    \b
    python -m benchmark.model.lock prove HEAD   it trains as before: show it, and the version stays
    python -m benchmark.model.lock raise        it does not: the version goes up, and all runs are named anew
    """  # noqa: D301 - the mark is click's, for lines that stay as they are


@cli.command()
def check() -> None:
    """Compare the code with the lock; exit code 2 where they differ."""
    locked = read_lock()
    changed = changes(locked)
    if changed:
        raise UserError(
            f"{', '.join(changed)}: not as locked in {fingerprint.LOCK.name} (version {locked.version}); if all models train the "
            f"same bits as before, `{COMMAND} prove COMMIT` shows it and takes the new trees, else `{COMMAND} raise`"
        )
    click.echo(f"The shared training code is version {locked.version}, as locked.")


@cli.command("raise")
def raise_version() -> None:
    """Raise the version: runs of the new code get names of their own, and finished ones are not gone on with."""
    version = read_lock().version + 1
    write_lock(Lock(version, shared_trees()))
    click.echo(f"The shared training code is version {version} from now on. Say so in the changelog: all runs are named anew.")


@cli.command()
@click.argument("commit")
def prove(commit: str) -> None:
    """Show that all models train as at COMMIT, which is locked under the same version; then the lock takes the new trees.

    Every model that has a short name is trained there and here: a few iterations at 28, 32 and 64 pixels, narrow, on the CPU, on
    the same random pixels. All weights, buffers and optimizers' states must be equal, bit for bit. A model that is on one side
    only is named and skipped.

    What none of these models uses is not seen, nor is what only a GPU computes: where you changed that, think, or raise.
    """
    locked = read_lock()
    with checkout(commit) as folder:
        check_version(folder, commit, locked.version)
        before = train(folder, f"training at {commit}")
    after = train(repository(), "training here")
    compared = compare(before, after, commit)
    write_lock(Lock(locked.version, shared_trees()))
    click.echo(f"{compared} trainings give the same bits as at {commit}: today's trees are locked as version {locked.version}.")


def changes(locked: Lock) -> list[str]:
    """Name the shared modules that are not as they are locked, by their labels."""
    trees = shared_trees()
    return sorted(label for label in trees.keys() | locked.trees.keys() if trees.get(label) != locked.trees.get(label))


def write_lock(lock: Lock) -> None:
    """Write the lock, beside and renamed."""
    part = fingerprint.LOCK.with_suffix(".part")
    part.write_text(json.dumps(asdict(lock), indent=2, sort_keys=True) + "\n")
    part.replace(fingerprint.LOCK)


def repository() -> Path:
    """Find the checkout that this file is part of."""
    return Path(__file__).resolve().parents[2]


def git(*words: str) -> None:
    """Run git in the checkout.

    Raises:
        UserError: with what it says, if it fails.
    """
    command = ("git", "-C", str(repository()), *words)
    ran = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - git looks at what a commit's name is
    if ran.returncode:
        raise UserError(f"git {words[0]}: {ran.stderr.strip() or ran.stdout.strip()}")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Give the files of a commit in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="alphagan-prove-") as parent:
        folder = Path(parent, "checkout")
        git("worktree", "add", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            git("worktree", "remove", "--force", str(folder))


def check_version(folder: Path, commit: str, version: int) -> None:
    """Hold a commit to being the version that its lock says; else anything could be shown to be as before.

    Raises:
        UserError: if it is another version, or changed the code without having shown or raised it.
    """
    lock = folder / "benchmark" / "model" / fingerprint.LOCK.name
    if not lock.exists():
        if version != BEFORE_THE_LOCK:
            raise UserError(f"{commit} is from before the lock, which is version {BEFORE_THE_LOCK}, and here is {version}")
        return
    locked = Lock(**json.loads(lock.read_text()))
    if locked.version != version:
        raise UserError(f"{commit} is version {locked.version}, and here is {version}: name a commit of version {version}")
    words = [sys.executable, "-m", "benchmark.model.lock", "check"]
    if subprocess.run(words, cwd=folder, env=environment(), capture_output=True).returncode:  # noqa: S603 - our own command
        raise UserError(f"{commit} itself is not as its lock says: name the commit before its change")


def environment() -> dict[str, str]:
    """Make an environment in which a process imports from its folder, and from no checkout that a variable names."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}


def train(folder: Path, label: str) -> dict[str, Hashes | str]:
    """Train each model of a checkout in a process there; by model and size the hashes of what came out, or why nothing did.

    Raises:
        UserError: if the process fails.
    """
    script = Path(__file__).with_name("train_tiny.py").read_text()
    trained: dict[str, Hashes | str] = {}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", script], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        with process, click.progressbar(length=1, label=label, file=sys.stderr) as bar:
            for line in process.stdout or ():
                name, content, bar.length = json.loads(line)
                trained[name] = content
                bar.update(1)
        if process.returncode:
            errors.seek(0)
            raise UserError(f"{label}: {(errors.read().strip().splitlines() or ['the process was ended'])[-1]}")
    return trained


def compare(before: Mapping[str, Hashes | str], after: Mapping[str, Hashes | str], commit: str) -> int:
    """Compare trainings at a commit and here, and name those that cannot be compared.

    Returns:
        How many are the same.

    Raises:
        UserError: if one is not, or if there is nothing to compare.
    """
    compared, differing = 0, []
    for name in {**before, **after}:
        first, second = before.get(name), after.get(name)
        if first is None or second is None:
            click.echo(f"{name}: skipped, it is {'here' if first is None else f'at {commit}'} only")
        elif isinstance(first, dict) and isinstance(second, dict):
            compared += 1
            unequal = [tensor for tensor in first | second if first.get(tensor) != second.get(tensor)]
            differing += [f"{name} differs in {unequal[0]} and {len(unequal) - 1} more tensors"] if unequal else []
        elif first == second:
            click.echo(f"{name}: skipped, it cannot be trained: {first}")
        else:
            differing.append(f"{name} can be trained on one side only")
    if differing:
        rest = f", and {len(differing) - FEW} more" if len(differing) > FEW else ""
        raise UserError(f"{'; '.join(differing[:FEW])}{rest}: these are not the bits of {commit}; mend it, or `{COMMAND} raise`")
    if not compared:
        raise UserError("no model can be trained on both sides, so nothing is shown")
    return compared


def main() -> None:
    """Run the command: a user's mistake is one line and exit code 2."""
    try:
        cli.main(prog_name=COMMAND, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as request:
        click.echo(request.ctx.get_help())
    except (click.ClickException, UserError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo("error: " + " ".join(message.split()), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped. The lock is as it was.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
