"""A metric of the user's own, by dotted path: measured, recorded and reported like ours."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmark.errors import UserError
from benchmark.evaluation.evaluate import evaluate, lacking, protocols_id, reference_subject, unavailable
from benchmark.evaluation.measurements import Scope
from benchmark.evaluation.study_metrics import catalogue_of, described, measurements_of
from benchmark.files import read_json
from benchmark.model.fingerprint import source_roots
from benchmark.records.rows import RecordFile
from benchmark.report.write import make_report
from metrics.catalogue import METRICS
from tests.benchmark.report.conftest import save_nothing
from tests.studies import do, tiny_study
from tests.support import SETTINGS

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"
# The documentation's own example is the user's metric, so that it cannot rot.
EXAMPLE = next(code for code in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "class Brightness" in code)
PATH = "mymetrics.Brightness"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder that is looked through for modules, and what writes the user's file there."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(code=EXAMPLE, name="mymetrics"):
        (tmp_path / f"{name}.py").write_text(code)

    write()
    yield write
    for name in ("mymetrics", "others"):
        sys.modules.pop(name, None)
    _forget()


def _forget():
    from benchmark.evaluation import study_metrics

    study_metrics._measurements.cache_clear()


def evaluated_by(*paths, **values):
    return replace(SETTINGS.evaluation, metrics=paths, **values)


@pytest.mark.processes
def test_a_users_metric_is_measured_recorded_and_reported_like_ours(own, tmp_path, monkeypatch):
    study = tiny_study(["tests.support.Tiny"], evaluation=evaluated_by(PATH, second_evaluation=True))
    outcome = do(study, tmp_path)
    assert (outcome.counts, outcome.unmeasured) == ({"done": 3}, 0)
    folder = tmp_path / study.name
    for run in study.runs:
        rows = [row for row in RecordFile(folder / "runs" / run.id / "records.jsonl").read() if row.metric == "brightness"]
        assert [(row.iteration, row.protocol.get("evaluation")) for row in rows] == [
            *([] if run.is_reference else [(0, None)]),
            (20, None),
            (20, "second"),
        ]
        assert all(row.low < row.value < row.high and row.n == 500 for row in rows)
        assert {row.protocol["measurement"] for row in rows} == {PATH}
        assert rows[-1].value != rows[-2].value  # other samples
    described_there = read_json(folder / "study.json")["metrics"]
    assert described_there["brightness"]["unit"] == "mean pixel, of [-1, 1]"
    sys.modules.pop("mymetrics")
    (tmp_path / "mymetrics.py").unlink()  # the report reads records, and needs no code of the user's
    monkeypatch.setattr("benchmark.report.page.figure_folder.save", save_nothing)  # drawing is what takes a report's time
    page = make_report([folder], tmp_path / "report")
    summary = pd.read_csv(page.with_name("summary.csv")).query("metric == 'brightness'").set_index("model")
    assert set(summary.index) == {"real", "noise", "tests.support.Tiny"}
    assert (summary.goal == "match").all()
    assert summary.loc["noise", "best"] == pytest.approx(0, abs=0.05)
    text = page.read_text()
    for words in ("Brightness of samples", "mean pixel, of [-1, 1]", "earest to real is better"):
        assert words in text
    assert (page.parent / "figures" / "brightness.png").exists()


@pytest.mark.processes
def test_a_finished_study_is_measured_by_a_metric_that_comes_later(own, tmp_path):
    study = tiny_study(["tests.support.Tiny"])
    do(study, tmp_path)
    assert "metrics" not in read_json(tmp_path / study.name / "study.json")
    outcome = do(study.with_evaluation(evaluated_by(PATH)), tmp_path)
    assert (outcome.finished_before, outcome.counts, outcome.unmeasured) == (0, {"done": 3}, 0)
    assert list(read_json(tmp_path / study.name / "study.json")["metrics"]) == ["brightness"]
    rows = RecordFile(tmp_path / study.name / "runs" / study.runs[-1].id / "records.jsonl").read()
    assert [row.iteration for row in rows if row.metric == "brightness"] == [20]
    assert do(study.with_evaluation(evaluated_by(PATH)), tmp_path).finished_before == 3
    # Measured without it, or by another one, its values stay, and so does how they are read.
    do(study, tmp_path)
    assert list(read_json(tmp_path / study.name / "study.json")["metrics"]) == ["brightness"]


def test_it_stands_behind_ours_in_either_evaluation_and_in_the_protocols_of_today(own, dataset):
    measurements = measurements_of(evaluated_by(PATH))
    assert measurements_of(evaluated_by(PATH)) == measurements
    assert [measurement.second for measurement in measurements] == [False] * 8 + [True] * 8
    assert measurements[7].metrics == measurements[15].metrics == ("brightness",)
    assert list(catalogue_of(evaluated_by(PATH))) == [*METRICS, "brightness"]
    assert described(evaluated_by()) == {}
    with_it, without = (
        Scope(dataset, replace(SETTINGS, evaluation=evaluation)) for evaluation in (evaluated_by(PATH), evaluated_by())
    )
    assert protocols_id(with_it) != protocols_id(without)
    assert [measurement.metrics for measurement in lacking([], with_it, 3)][-1] == ("brightness",)


@pytest.fixture(scope="module")
def dataset():
    from benchmark.data.datasets import load_dataset

    return load_dataset("colormnist-mini")


def test_its_value_is_that_of_the_samples(own, dataset):
    scope = Scope(dataset, replace(SETTINGS, evaluation=evaluated_by(PATH)), "noise")
    measurement = measurements_of(scope.evaluation)[7]
    ((row,),) = evaluate(reference_subject("noise", scope, torch.device("cpu")), 3, [measurement])
    subject = reference_subject("noise", scope, torch.device("cpu"))
    assert row.value == pytest.approx(torch.cat(list(subject.draw(500, "brightness"))).mean().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        ("brightness", ("", ""), ["metric 'brightness'", "dotted path"]),
        ("nowhere.Brightness", ("", ""), ["metric 'nowhere.Brightness'", "no module 'nowhere'"]),
        ("mymetrics.Brigthness", ("", ""), ["'Brigthness'", "did you mean 'Brightness'?"]),
        ("mymetrics.MetricInfo", ("", ""), ["no subclass of benchmark.evaluation.measurements.Measurement"]),
        (PATH, ('"brightness", "Bri', '"fid", "Bri'), ["the name 'fid' is taken"]),
        (PATH, ('"brightness", "Bri', '"critic_gap", "Bri'), ["the name 'critic_gap' is taken"]),
        (PATH, ('"brightness", "Bri', '"../brightness", "Bri'), ["'../brightness'", "letters, digits and underscores"]),
        (PATH, ('"match"', '"high"'), ["the goal of 'brightness' is 'high'", "maximize, minimize, match"]),
        (PATH, ("catalogue =", "metrics ="), ["`catalogue` must be a tuple of metrics.catalogue.MetricInfo"]),
        (PATH, ("def details", "def detail"), ["lacks the methods details"]),
    ],
)
def test_what_is_wrong_with_it_is_said_in_a_line(own, path, change, words):
    own(EXAMPLE.replace(*change))
    with pytest.raises(UserError) as error:
        measurements_of(evaluated_by(path))
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def measured_noise(dataset):
    scope = Scope(dataset, replace(SETTINGS, evaluation=evaluated_by(PATH)), "noise")
    ((row,),) = evaluate(reference_subject("noise", scope, torch.device("cpu")), 3, [measurements_of(scope.evaluation)[7]])
    return row


def test_tensors_as_values_become_numbers(own, dataset):
    own(EXAMPLE.replace("means.mean().item(), means.std().item()", "means.mean(), means.std()"))
    row = measured_noise(dataset)
    assert all(type(number) is float for number in (row.value, row.low, row.high))
    assert row.low < row.value < row.high


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('around("brightness"', 'around("darkness"'), "'darkness', and its catalogue has brightness"),
        (("means.mean().item()", "'bright'"), "could not convert|must be real|unsupported"),
    ],
)
def test_a_value_that_is_none_is_a_failed_row(own, dataset, change, reason):
    own(EXAMPLE.replace(*change))
    row = measured_noise(dataset)
    assert (row.metric, row.value, row.missing) == ("brightness", None, "failed")
    assert re.search(reason, row.reason)


@pytest.mark.parametrize("details", ['{"samples": object()}', '{"samples": 1 / 0}'])
def test_a_protocol_that_cannot_be_written_down_is_said_before_a_study_starts(own, dataset, details):
    own(EXAMPLE.replace('{"samples": 500}', details))
    with pytest.raises(UserError, match="metric brightness: its protocol cannot be written down"):
        unavailable(Scope(dataset, replace(SETTINGS, evaluation=evaluated_by(PATH))))


def test_a_metric_that_yields_nothing_has_no_value(own, dataset):
    own(EXAMPLE.replace("yield around", "if False:\n            yield around"))
    scope = Scope(dataset, replace(SETTINGS, evaluation=evaluated_by(PATH)), "noise")
    measurement = measurements_of(scope.evaluation)[7]
    ((row,),) = evaluate(reference_subject("noise", scope, torch.device("cpu")), 3, [measurement])
    assert (row.metric, row.value, row.missing) == ("brightness", None, "unavailable")


def test_its_source_travels_with_a_study(own, tmp_path):
    assert tmp_path / "mymetrics.py" in source_roots([PATH])


def test_two_metrics_of_one_name_are_refused(own):
    own(name="others")
    with pytest.raises(UserError, match="'brightness' is taken by another metric of this study"):
        measurements_of(evaluated_by(PATH, "others.Brightness"))
    assert len(measurements_of(evaluated_by(PATH, PATH))) == 16
