"""Nothing is computed twice: runs of other studies are copied, shorter ones gone on with."""

import json
from dataclasses import replace

import pytest
import torch

from benchmark.records.run_folder import RunFolder
from benchmark.studies.run import Run
from tests.studies import contents, do, tiny_study

pytestmark = pytest.mark.processes

MODELS = ["tests.support.Tiny", "age"]


def place(study, results, model="age") -> RunFolder:
    run = next(run for run in study.runs if run.model == model)
    return RunFolder(results / study.name / "runs" / run.id)


def rows_of(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in (folder.path / "records.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A finished study of 20 iterations."""
    results = tmp_path_factory.mktemp("results")
    study = tiny_study(MODELS)
    assert do(study, results, 2).counts == {"done": 4}
    return study, results


def test_what_another_study_has_done_is_copied_and_says_from_where(short):
    study, results = short
    other = replace(study, name="other")
    outcome = do(other, results)
    assert (outcome.copied, outcome.finished_before, outcome.counts) == (4, 4, {"done": 4})
    for model in ("age", "real"):
        first, second = place(study, results, model), place(other, results, model)
        assert not second.attempts()
        assert json.loads((second.path / "run.json").read_text())["from"] == {
            "study": "tiny",
            "run": first.path.name,
            "iterations": 20,
        }
        for name in ("records.jsonl", "samples.png", "status.json"):
            assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    assert (place(other, results).path / "checkpoint.ckpt").exists()
    assert do(other, results).worked is False


def test_a_copied_run_gets_what_its_new_study_measures_otherwise(short):
    study, results = short
    other = replace(study, name="otherwise").with_evaluation(replace(study.settings.evaluation, critic_steps=3))
    outcome = do(other, results)
    assert (outcome.copied, outcome.finished_before, outcome.counts, outcome.unmeasured) == (4, 0, {"done": 4}, 0)
    assert [attempt["from_iteration"] for attempt in place(other, results).attempts()] == [20]


@pytest.mark.parametrize("iterations", [40, 30])
def test_more_iterations_go_on_to_the_weights_of_one_long_run(short, tmp_path, iterations):
    _, results = short
    long = replace(tiny_study(MODELS, iterations=iterations), name=f"long{iterations}")
    outcome = do(long, results)
    assert (outcome.continued, outcome.counts) == (2, {"done": 4})
    do(long, tmp_path)
    here, there = place(long, results), place(long, tmp_path)
    assert [attempt["from_iteration"] for attempt in here.attempts()] == [20]
    weights = [torch.load(place.path / "checkpoint.ckpt", weights_only=True)["state_dict"] for place in (here, there)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert (here.path / "samples.png").read_bytes() == (there.path / "samples.png").read_bytes()
    end = [
        {row["metric"]: row["value"] for row in rows_of(place) if row["iteration"] == iterations and "/" not in row["metric"]}
        for place in (here, there)
    ]
    differing = {metric for metric in end[1] if end[0][metric] != end[1][metric]}
    # The critic beside the training begins half way: at 20 of 40 it is the long run's, at 15 of 30 it came too late.
    assert differing == (set() if iterations == 40 else {"critic_in_training", "critic_in_training_gap"})
    late = [row for row in rows_of(here) if row["metric"] == "critic_in_training"]
    assert late[-1].get("missing") == ("unavailable" if iterations == 30 else None)


def test_a_study_that_is_given_more_iterations_under_its_name_goes_on(tmp_path):
    short, long = tiny_study(MODELS), tiny_study(MODELS, iterations=40)
    do(short, tmp_path)
    outcome = do(long, tmp_path)
    assert (outcome.continued, outcome.left_over, outcome.counts) == (2, 4, {"done": 4})


def test_a_run_that_was_begun_here_goes_on_here(short, tmp_path):
    study, results = short
    other = replace(study, name="begun")
    target = place(other, results)
    target.path.mkdir(parents=True)
    (target.path / "run.json").write_text("{}")
    outcome = do(other, results)
    assert outcome.copied == 3
    assert len(target.attempts()) == 1


def test_identity_is_what_decides_about_the_weights(short):
    study, _ = short
    run = next(run for run in study.runs if run.model == "age")
    settings = replace(run.settings, evaluation=replace(run.settings.evaluation, critic_steps=9))
    assert replace(run, settings=settings).id == run.id
    assert replace(run, settings=replace(run.settings, budget=7, seeds=3)).id == run.id
    longer = replace(run, settings=replace(run.settings, iterations=21))
    assert longer.id != run.id
    assert longer.lineage == run.lineage
    changes = {
        "path": "baselines.DCGAN",
        "dataset": "cifar10",
        "fingerprint": "other",
        "hyperparameters": {**run.hyperparameters, "latent_dim": 7},
        "seed": 1,
        "code": "other",
        **{name: replace(run.settings, **{name: 3}) for name in ("width", "batch_size", "threads", "precision")},
    }
    variants = [
        replace(run, **({name: value} if name in Run.__dataclass_fields__ else {"settings": value}))
        for name, value in changes.items()
    ]
    assert (
        len({variant.id for variant in (run, *variants)})
        == len({variant.lineage for variant in (run, *variants)})
        == len(changes) + 1
    )


def test_what_was_copied_is_what_was_done(short):
    study, results = short
    before = contents(results / "tiny")
    do(replace(study, name="again"), results)
    assert contents(results / "tiny") == before


def test_a_foreign_study_that_cannot_be_read_is_no_source(short):
    study, results = short
    damaged = results / "aaa" / "runs" / place(study, results).path.name
    damaged.mkdir(parents=True)
    (damaged / "status.json").write_text("{")
    assert do(replace(study, name="beside"), results).copied == 4


def test_one_that_failed_elsewhere_does_not_hide_one_that_was_done(short):
    study, results = short
    failed = results / "aab" / "runs" / place(study, results).path.name
    failed.mkdir(parents=True)
    (failed / "status.json").write_text('{"status": "failed"}')
    assert do(replace(study, name="beside-too"), results).copied == 4
