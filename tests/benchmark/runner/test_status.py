"""How far a study is, seen from another process."""

import io

import pytest
from rich.console import Console

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.records.run_folder import RunFolder, as_status
from benchmark.runner.status import show_status
from tests.studies import tiny_study


@pytest.fixture
def folder(tmp_path):
    """A study of which one run is done, one has failed, one runs, one was begun, and the others were not."""
    study = tiny_study(["tests.support.Tiny"], seeds=6)
    write_json(tmp_path / "study.json", {**study.as_json(), "environment": {}})
    places = [RunFolder(tmp_path / "runs" / run.id) for run in study.runs if not run.is_reference]
    for place in places[:4]:
        place.path.mkdir(parents=True)
        place.begin(0)
    write_json(places[0].path / "status.json", {"status": "done", "critic": -1.25})
    write_json(places[1].path / "status.json", {"status": "failed", "reason": "it [bold]broke[/]"})
    places[2].begin(10)
    places[2].advance(15)
    with places[2].claimed() as is_claimed:
        assert is_claimed
        yield tmp_path, places


def shown(folder) -> str:
    text = io.StringIO()
    show_status(folder, Console(file=text, width=140))
    return text.getvalue()


def test_it_counts_and_names_the_best_and_says_who_runs_and_why_some_failed(folder):
    path, places = folder
    lines = shown(path).splitlines()
    model = next(line for line in lines if line.startswith("tests.support.Tiny"))
    assert model.split()[1:] == ["1", "1", "0", "1", "3", "-1.25", places[0].path.name]
    assert f"  {places[2].path.name}: iteration 15 of 20, attempt 2" in lines
    assert f"  {places[1].path.name}: failed: it [bold]broke[/]" in lines
    assert next(line for line in lines if line.startswith("real")).split()[1:] == ["0", "0", "0", "0", "1"]


def test_looking_leaves_no_trace(folder):
    path, _ = folder
    before = sorted(path.rglob("*"))
    shown(path)
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("text", ["{", "[]", '{"status": "gone"}', "{}"])
def test_a_status_that_says_nothing_is_named(tmp_path, text):
    with pytest.raises(UserError, match=r"status.json does not say how a run ended"):
        as_status(text, tmp_path)
