"""Studies from end to end, in worker processes, on real digits."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.engines.local import LocalEngine, cores
from benchmark.errors import UserError
from benchmark.model.train import Watcher
from benchmark.report.write import make_report
from benchmark.runner.runner import Options, Outcome, evaluate_study
from benchmark.trial.trial import run_trial
from tests.studies import ITERATIONS, contents, do, tiny_study

pytestmark = pytest.mark.processes


def measure(folder: Path, evaluation) -> Outcome:
    """Take what a study's runs lack."""
    return evaluate_study(folder, evaluation, LocalEngine(1), Options())


class Steps(Watcher):
    """Notes the iterations that it is told."""

    def __init__(self, then=id):
        self.seen, self.then = [], then

    def advanced(self, iteration):
        self.seen.append(iteration)
        self.then(iteration)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was run once, and its results folder."""
    results = tmp_path_factory.mktemp("results")
    study = tiny_study()
    assert do(study, results, min(2, cores())).counts == {"done": 4}
    return study, results


def rows_of(finished, model: str) -> pd.DataFrame:
    study, results = finished
    run = next(run for run in study.runs if run.model == model)
    lines = (results / "tiny" / "runs" / run.id / "records.jsonl").read_text().splitlines()
    return pd.DataFrame([json.loads(line) for line in lines])


def test_a_run_leaves_its_files(finished):
    study, results = finished
    for run in study.runs:
        names = {path.name for path in (results / "tiny" / "runs" / run.id).iterdir()}
        expected = {"run.json", "records.jsonl", "status.json", "samples.png", "attempts.jsonl", "progress", ".lock"}
        expected |= set() if run.is_reference else {"checkpoint.ckpt"}
        expected |= {"reconstructions.png", "codes.npz"} if run.model == "age" else set()
        assert names == expected
    assert json.loads((results / "tiny" / "study.json").read_text())["settings"]["iterations"] == ITERATIONS


def test_records_hold_losses_curves_and_metrics_before_and_after(finished):
    rows = rows_of(finished, "age")
    measured = {"mode_kl", "modes_covered", "recognised_share", "recognised_modes", "critic", "critic_gap", "sample_diversity"}
    measured |= {f"reconstruction_{kind}" for kind in ("l1", "mse", "ms_ssim")}
    measured |= {f"code_{kind}" for kind in ("mean", "correlation", "distance")}
    assert measured == set(rows[rows.iteration == 0].metric)
    assert measured | {"critic_in_training", "critic_in_training_gap"} <= set(rows[rows.iteration == ITERATIONS].metric)
    assert {"loss/encoder/real", "loss/generator/code"} <= set(rows.metric)
    assert {"critic_curve/validation", "critic_curve/test"} <= set(rows.metric)
    assert rows.value.notna().all()
    assert rows[rows.metric.str.startswith("loss/")].iteration.unique().tolist() == [10, 20]


def test_the_sanity_rows_are_measured_by_the_models_protocols(finished):
    protocols = []
    for model in ("real", "noise", "age"):
        rows = rows_of(finished, model)
        end = rows[(rows.iteration == ITERATIONS) & ~rows.metric.str.contains("/")]
        protocols.append(dict(zip(end.metric, end.protocol.map(str), strict=True)))
    assert protocols[0] == protocols[1]
    assert protocols[0].items() <= protocols[2].items()
    assert {name.split("_")[0] for name in set(protocols[2]) - set(protocols[0])} == {"reconstruction", "code"}


def test_the_same_study_gives_the_same_records_and_pictures(finished, tmp_path):
    study, results = finished
    do(study, tmp_path)
    assert contents(tmp_path / "tiny") == contents(results / "tiny")


def test_a_finished_study_does_no_work(finished):
    study, results = finished
    before = {path: path.stat().st_mtime_ns for path in (results / "tiny" / "runs").rglob("*")}
    outcome = do(study, results)
    assert outcome.finished_before == len(study.runs) == 4
    assert not outcome.worked
    assert before == {path: path.stat().st_mtime_ns for path in (results / "tiny" / "runs").rglob("*")}


@pytest.mark.parametrize("stopped_at", ["before its first checkpoint", "at a checkpoint", "after training"])
def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_records(finished, tmp_path, stopped_at):
    study, results = finished
    run = next(run for run in study.runs if run.model == "age")
    whole = results / "tiny" / "runs" / run.id
    folder = tmp_path / run.id
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(asdict(run)))

    class Killed(BaseException):
        pass

    def stop(iteration):
        # Progress is told before the checkpoint of the same iteration is saved.
        if stopped_at == "before its first checkpoint" or (stopped_at == "at a checkpoint" and iteration == 20):
            raise Killed

    if stopped_at == "after training":
        run_trial(folder, "cpu", Watcher())
        (folder / "status.json").unlink()
    else:
        with pytest.raises(Killed):
            run_trial(folder, "cpu", Steps(stop))
    with (folder / "records.jsonl").open("a") as file:
        file.write('{"iteration": 20, "metr')  # a row that was torn when it was killed
    steps = Steps()
    assert run_trial(folder, "cpu", steps) == "done"
    expected = {"before its first checkpoint": [10, 20], "at a checkpoint": [20], "after training": []}
    assert steps.seen == expected[stopped_at]
    assert (folder / "records.jsonl").read_bytes() == (whole / "records.jsonl").read_bytes()
    assert (folder / "samples.png").read_bytes() == (whole / "samples.png").read_bytes()


def test_a_model_that_raises_diverges_or_dies_is_a_result_and_the_others_are_done(tmp_path):
    study = tiny_study([f"tests.support.{name}" for name in ("Raises", "Diverges", "Dies", "Tiny")])
    assert do(study, tmp_path, min(2, cores()), retries=1).counts == {"done": 3, "diverged": 1, "failed": 2}
    folders = {run.model.rpartition(".")[2]: tmp_path / "tiny" / "runs" / run.id for run in study.runs}
    status = {name: json.loads((folder / "status.json").read_text()) for name, folder in folders.items()}
    assert status["Raises"]["reason"] == "RuntimeError: a bug in <the> model"
    assert "a bug in <the> model" in (folders["Raises"] / "error.txt").read_text()
    assert "is nan by iteration 10" in status["Diverges"]["reason"]
    assert "exit code 9" in status["Dies"]["reason"]
    page = make_report([tmp_path / "tiny"], tmp_path / "tiny" / "report").read_text()
    assert "a bug in \\u003cthe\\u003e model" in page
    assert do(study, tmp_path, retries=0).finished_before == 4  # the failed ones were tried again, the diverged one was not


def test_another_study_of_the_same_name_is_refused(finished):
    study, results = finished
    other = replace(study, settings=replace(study.settings, batch_size=9))
    with pytest.raises(UserError, match="batch_size is 8 there, 9 here"):
        do(other, results)


@pytest.fixture
def copied(finished, tmp_path):
    study, results = finished
    shutil.copytree(results, tmp_path / "results")
    return study, tmp_path / "results"


def weights_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("checkpoint.ckpt"))}


def test_a_finished_study_is_measured_by_another_protocol_without_training(copied):
    study, results = copied
    folder = results / "tiny"
    kept, before = weights_of(folder), {path: path.read_text() for path in folder.rglob("records.jsonl")}
    evaluation = replace(study.settings.evaluation, critic_steps=3)
    outcome = measure(folder, evaluation)
    assert (outcome.finished_before, outcome.unmeasured) == (0, 0)
    assert weights_of(folder) == kept
    for path, text in before.items():
        assert path.read_text().startswith(text)
        added = [json.loads(line) for line in path.read_text()[len(text) :].splitlines()]
        assert [(row["metric"], row["iteration"], row["protocol"]["steps"]) for row in added] == [
            ("critic", ITERATIONS, 3),
            ("critic_gap", ITERATIONS, 3),
        ]
    assert not measure(folder, evaluation).worked
    again = study.with_evaluation(evaluation)
    assert do(again, results).finished_before == 4  # what evaluate did, run does not do again
    assert (
        len(
            pd.read_csv(make_report([folder], folder / "report").parent / "summary.csv")
            .query("metric == 'critic'")
            .protocol.unique()
        )
        == 2
    )


def test_values_measured_later_are_those_that_a_study_measured_so_would_have(copied, tmp_path):
    study, results = copied
    evaluation = replace(study.settings.evaluation, critic_steps=3, batch_norm_draws=24)
    measure(results / "tiny", evaluation)
    do(study.with_evaluation(evaluation), tmp_path / "anew")
    for run in study.runs:
        rows = [
            [json.loads(line) for line in (folder / "tiny" / "runs" / run.id / "records.jsonl").read_text().splitlines()]
            for folder in (results, tmp_path / "anew")
        ]
        late, early = (
            {(row["metric"], row["protocol_id"]): row["value"] for row in values_of_run if row["iteration"] == ITERATIONS}
            for values_of_run in rows
        )
        compared = {
            key: value for key, value in early.items() if not key[0].startswith(("loss", "critic_in_training", "critic_curve"))
        }
        assert len(compared) >= 7
        assert compared.items() <= late.items()


def test_a_measurement_that_fails_leaves_the_run_done_and_is_told(copied):
    study, results = copied
    folder = results / "tiny"
    run = next(run for run in study.runs if run.model == "age")
    (folder / "runs" / run.id / "checkpoint.ckpt").write_bytes(b"damaged")
    assert measure(folder, replace(study.settings.evaluation, critic_steps=3)).unmeasured == 1
    status = json.loads((folder / "runs" / run.id / "status.json").read_text())
    assert status["status"] == "done"
    assert "cannot be loaded" in status["reason"]
    assert "cannot be loaded" in (folder / "runs" / run.id / "error.txt").read_text()


def test_more_seeds_extend_a_study_and_fewer_leave_the_others_in_the_folder(tmp_path):
    single, double = tiny_study(["tests.support.Tiny"]), tiny_study(["tests.support.Tiny"], seeds=2)
    assert do(single, tmp_path).finished_before == 0
    outcome = do(double, tmp_path)
    assert (outcome.finished_before, outcome.counts["done"], outcome.left_over) == (3, 4, 0)
    outcome = do(single, tmp_path)
    assert (outcome.finished_before, outcome.counts["done"], outcome.left_over) == (3, 3, 1)


def test_code_that_changed_since_is_not_trained_under_the_old_name(tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    study = replace(study, runs=tuple(replace(run, code="older") for run in study.runs))
    assert do(study, tmp_path).counts["failed"] == 1
    status = json.loads((tmp_path / "tiny" / "runs" / study.runs[-1].id / "status.json").read_text())
    assert "is not what run" in status["reason"]
