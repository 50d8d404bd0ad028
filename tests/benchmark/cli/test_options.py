"""Every setting is reached from the command line, from a study's file and from the Makefile, and held to the same bounds."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click
import pytest
from pydantic import ValidationError

from benchmark.cli.main import cli
from benchmark.cli.options import option_of
from benchmark.cli.variables import VariablesCommand
from benchmark.errors import UserError
from benchmark.perf.__main__ import main as perf
from benchmark.settings import (
    EVALUATION,
    SETTINGS,
    WORK,
    DottedPaths,
    FilePath,
    FolderPath,
    Kind,
    OneOf,
    Real,
    Setting,
    Switch,
    Text,
    Whole,
    rows_of,
)
from benchmark.studies.study_file import file_part, read_study_file

ROOT = Path(__file__).parents[3]
RUN = cli.commands["run"]


def examples(kind: Kind) -> tuple[list, list]:
    """Values of a kind that are to be taken and to be refused, as a file says them; its bounds are among them."""
    match kind:
        case Whole(least, auto):
            return [least, least + 7, *(["auto"] if auto else [])], [least - 1, 2.5, "many"]
        case Real(most):
            return [0.25, most or 1e9], [0, -1.0, "wide", float("nan"), *([most + 0.5] if most else [])]
        case OneOf(values):
            return [*values], ["other", 65]
        case Switch():
            return [True, False], ["maybe", 7]
        case DottedPaths():
            return [["mypackage.A", "mypackage.B"]], [[3]]
        case Text():
            return ["s3://bucket/it's here"], [3]
        case FilePath() | FolderPath():
            return ["some/place of mine"], [3]
    raise TypeError(kind)


def as_words(name: str, value: object) -> list[str]:
    word = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{word}" if value else f"--no-{word}"]
    return [f"--{word}={','.join(value) if isinstance(value, list) else value}"]


def taken(words: list[str]) -> dict:
    """What `run` is called with."""
    return RUN.make_context("run", words).params


def file_with(folder: Path, name: str, value: object) -> Path:
    part = "evaluation" if name in EVALUATION else "working" if name in WORK else None
    path = folder / "mine.yaml"
    path.write_text(json.dumps({part: {name: value}} if part else {name: value}))  # JSON is YAML
    return path


@dataclass
class Newcomer:
    """A table with a row that nobody has met before."""

    warm_up: Annotated[int, Setting(Whole(3), "Iterations that count for nothing.", {"quick": 3, "paper": 30}, "weights")]


def test_a_new_row_is_an_option_a_variable_and_a_key_without_more():
    command = VariablesCommand("warm", callback=lambda warm_up: warm_up, params=[])
    (row,) = rows_of(Newcomer).items()
    option_of(*row)(command)
    assert command.main(["--warm-up", "5"], standalone_mode=False) == 5
    assert command.main(["--variables", "WARM_UP=5"], standalone_mode=False) == 5
    part = file_part("Newcomer", rows_of(Newcomer))
    assert part.model_validate({"warm_up": 5}).warm_up == 5
    with pytest.raises(ValidationError):
        part.model_validate({"warm_up": 2})
    with pytest.raises(click.BadParameter):
        command.main(["--warm-up", "2"], standalone_mode=False)


def test_every_row_is_an_option_with_its_help():
    options = {option.name: option for option in RUN.params}
    for name, row in SETTINGS.items():
        assert options[name].help == row.help
    assert set(options) - set(SETTINGS) == {"dataset", "models", "preset", "study", "sections", "file", "dry_run"}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_option_and_a_file_take_the_same_values_and_refuse_the_same(name, tmp_path):
    good, bad = examples(SETTINGS[name].kind)
    for value in good:
        typed, written = taken(as_words(name, value)), taken(["--file", str(file_with(tmp_path, name, value))])
        assert typed[name] == written[name]
        assert typed[name] != taken([])[name] or value in (SETTINGS[name].default, "auto")
    for value in bad:
        with pytest.raises(UserError, match=name):
            read_study_file(file_with(tmp_path, name, value))
        if not isinstance(SETTINGS[name].kind, DottedPaths | Text | FilePath | FolderPath | Switch):  # every word is one of these
            with pytest.raises(click.BadParameter, match=re.escape(str(value))):
                taken(as_words(name, value))


def test_what_is_typed_wins_over_the_file_and_the_environment_too(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text("seeds: 2\nwidth: 0.5\nmodels: {dcgan: {latent_dim: 3}}\nworking: {retries: 5, results: there}")
    given = taken(["--seeds", "9", "--file", str(path)])
    assert (given["seeds"], given["width"], given["retries"], given["results"]) == (9, 0.5, 5, Path("there"))
    assert (given["models"], given["study"], given["dataset"]) == ({"dcgan": {"latent_dim": [3]}}, "mine", "colormnist-mini")
    assert taken(["--models", "age, dcgan", "--file", str(path)])["models"] == ("age", "dcgan")
    monkeypatch.setenv("RESULTS", "elsewhere")
    assert taken(["--file", str(path)])["results"] == Path("elsewhere")
    assert taken(["--file", str(path), "--results", "here"])["results"] == Path("here")


def make(tmp_path: Path, target: str, *words: str) -> subprocess.CompletedProcess:
    """Call make with a stand-in for Python that notes how it was called."""
    tmp_path.mkdir(exist_ok=True)
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" >"{tmp_path}/words"\n')
    program.chmod(0o755)
    command = ["make", "--silent", "--old-file=.venv/.installed", f"BIN={tmp_path}", target, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def called(tmp_path: Path) -> list[str]:
    return (tmp_path / "words").read_text().split("\0")[:-1]


@pytest.mark.processes
def test_every_setting_arrives_through_the_makefile(tmp_path):
    values = {name: examples(row.kind)[0][0] for name, row in SETTINGS.items()}
    values |= {
        "dataset": "/x/bob's pics",
        "models": ["age", "dcgan"],
        "preset": "paper",
        "study": "a$HOME b",
        "dry_run": True,
        "sections": ["mine.A", "mine.B"],
    }
    text = {
        name: ",".join(value) if isinstance(value, list) else str(int(value) if isinstance(value, bool) else value)
        for name, value in values.items()
    }
    made = make(tmp_path, "bench", *(f"{name.upper()}={value}" for name, value in text.items()))
    assert made.returncode == 0, made.stderr
    python, benchmark, command, *words = called(tmp_path)
    assert (python, benchmark, command) == ("-m", "benchmark", "run")
    given = taken(words)
    typed = taken([word for name, value in values.items() for word in (as_words(name, value))])
    assert given == typed
    assert (given["dataset"], given["study"], given["dry_run"]) == ("/x/bob's pics", "a$HOME b", True)


@pytest.mark.parametrize(
    "value",
    ["it's", "two  words", "a$HOME b", "`touch ran`", "$(touch ran)", "'; touch ran; '", '"q"', "a\\", "*", "#1", "a=b", "$$"],
)
@pytest.mark.processes
def test_no_value_is_read_by_make_or_by_a_shell(tmp_path, value):
    made = make(tmp_path, "bench", f"STORAGE={value}")
    assert made.returncode == 0, made.stderr
    assert called(tmp_path)[-1] == f"STORAGE={value}"
    assert not (ROOT / "ran").exists()


@pytest.mark.processes
def test_what_was_left_in_the_environment_is_no_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDS", "42")
    assert make(tmp_path, "bench", "WIDTH=1").returncode == 0
    assert called(tmp_path)[3:] == ["--variables", "WIDTH=1"]


@pytest.mark.processes
def test_a_report_takes_its_studies_as_a_variable(tmp_path):
    assert make(tmp_path, "report", "STUDY=one two", "RESULTS=r").returncode == 0
    given = cli.commands["report"].make_context("report", called(tmp_path)[3:]).params
    assert (given["studies"], given["results"]) == (("one", "two"), Path("r"))


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("SEDES=3", "unknown variable 'SEDES': did you mean 'SEEDS'"),
        ("SEEDS", None),
        ("DRY_RUN=maybe", "DRY_RUN is 'maybe'"),
        ("VARIABLES=3", "unknown variable 'VARIABLES'"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_known_ones(variable, message):
    if message is None:
        assert taken(["--variables", variable])["seeds"] is None
        return
    with pytest.raises(UserError, match=message) as refused:
        taken(["--variables", variable])
    assert "BATCH_SIZE" in str(refused.value) or "yes or no" in str(refused.value)


def test_switches_as_variables():
    for value, expected in (("1", True), ("yes", True), ("0", False), ("no", False), ("", None)):
        assert taken(["--variables", f"SECOND_EVALUATION={value}"])["second_evaluation"] is expected
        assert taken(["--variables", f"DRY_RUN={value}"])["dry_run"] is bool(expected)


def test_arguments_as_variables(tmp_path):
    for command, variable, expected in (
        ("evaluate", "STUDY=mine", {"study": "mine"}),
        ("check", "MODEL=mygan.MyGAN", {"model": "mygan.MyGAN"}),
        ("report", "STUDY=one two", {"studies": ("one", "two")}),
    ):
        assert cli.commands[command].make_context(command, ["--variables", variable]).params.items() >= expected.items()


@pytest.mark.processes
def test_perf_takes_variables(tmp_path):
    assert make(tmp_path, "perf", "PERF=full", "DEVICE=cuda", "DATA_DIR=/my data").returncode == 0
    module, name, *words = called(tmp_path)
    assert (module, name) == ("-m", "benchmark.perf")
    given = perf.make_context("perf", words).params
    assert (given["full"], given["device"], given["data_dir"]) == (True, "cuda", Path("/my data"))


def test_every_command_takes_variables():
    commands = [command for command in cli.commands.values() if not isinstance(command, click.Group)]
    assert all(isinstance(command, VariablesCommand) for command in commands)
