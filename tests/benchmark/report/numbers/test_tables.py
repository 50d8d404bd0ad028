"""Studies on disk as tables: what is read, what is pooled, what is missing and why."""

import json

import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.records.rows import Row
from benchmark.records.run_folder import RunFolder
from benchmark.records.study_folder import report_folder, study_folders
from benchmark.report.numbers.comparison import not_measured
from benchmark.report.numbers.tables import COLUMNS, label_settings, read_tables, unknown_metrics
from benchmark.report.write import make_report
from metrics.catalogue import MetricInfo
from tests.benchmark.report.pretended import (
    PROTOCOL,
    PretendedRun,
    at_end,
    report_of,
    results_of,
    summary_of,
    without_value,
    write_runs,
    write_study,
)

MATCH = MetricInfo("diversity", "Diversity", "match", "")
OTHER = {"steps": 200}


def test_records_csv_is_tidy_and_complete(study, undrawn):
    records = pd.read_csv(report_of(study) / "records.csv")
    assert list(records.columns) == [
        "study", "run", "model", "dataset", "seed", "iteration", "status", "metric", "value", "low", "high", "n", "protocol",
        "hyperparameters",
        "protocol_id", "missing", "reason",
    ]  # fmt: skip
    assert len(records) == 10 + 9
    assert json.loads(records.hyperparameters[0])["learning_rate"] == 1e-3
    assert set(records.status) == {"done", "diverged", "failed", "missing"}
    assert tuple(records.columns) == COLUMNS


def test_a_run_that_somebody_works_on_is_running(study):
    with RunFolder(study / "runs" / "run-11").claimed():
        assert read_tables([study]).runs.status.iloc[11] == "running"
    assert read_tables([study]).runs.status.iloc[11] == "missing"


def test_what_is_no_study_is_named(tmp_path):
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(UserError, match="lacks 'study'"):
        make_report([tmp_path], tmp_path / "report")


RUN = {"model": "dcgan", "seed": 0, "hyperparameters": {}}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: [], "is no table"),
        (lambda _: 3, "is no table"),
        (lambda study: study | {"runs": []}, "'runs' is no table"),
        (lambda study: study | {"environment": None}, "'environment' is no table"),
        (lambda study: study | {"settings": {"iterations": 10, "batch_size": 64}}, "'settings' lacks the number 'width'"),
        (lambda study: study | {"settings": study["settings"] | {"iterations": "10"}}, "lacks the number 'iterations'"),
        (lambda study: study | {"runs": {"run-0": {"model": "dcgan", "seed": 0}}}, "'run-0' lacks"),
        (lambda study: study | {"runs": {"run-0": None}}, "'run-0' lacks"),
        (lambda study: study | {"fingerprint": 7}, "'fingerprint' is no text"),
        (lambda study: study | {"study": ""}, "'study' is no text"),
        (lambda study: study | {"code": ["age"]}, "'code' is no table"),
        (lambda study: study | {"runs": {"../../outside": RUN}}, "has a name that is no folder's"),
        (lambda study: study | {"runs": {"/etc": RUN}}, "has a name that is no folder's"),
        (lambda study: study | {"runs": {"run-0": RUN | {"model": "line\r\nbreak"}}}, "has a model that is no name"),
        (lambda study: study | {"runs": {"run-0": RUN | {"model": 7}}}, "has a model that is no name"),
        (lambda study: study | {"runs": {"run-0": RUN | {"seed": "zero"}}}, "has a seed that is no whole number"),
        (lambda study: study | {"runs": {"run-0": RUN | {"hyperparameters": [1]}}}, "has hyperparameters that are no table"),
        (lambda study: study | {"runs": {"run-0": RUN | {"hyperparameters": {"a": "\ud800"}}}}, "half a character"),
    ],
)
def test_a_damaged_study_is_refused_in_a_line(study, damage, said):
    path = study / "study.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=said) as refused:
        read_tables([study])
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"status": "do',
        "[]",
        "3",
        "null",
        "{}",
        '{"status": "finished"}',
        '{"status": "done", "seconds": 3}',
        '{"status": "done", "seconds": {"training": "long"}}',
        '{"status": "done", "seconds": {"training": null}}',
        '{"status": "done", "critic": "good"}',
    ],
)
def test_a_damaged_status_is_refused_in_a_line(study, text):
    path = study / "runs" / "run-3" / "status.json"
    path.write_text(text)
    with pytest.raises(UserError, match="does not say how a run ended") as refused:
        read_tables([study])
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_torn_last_line_is_forgiven_and_a_damaged_one_in_the_middle_is_named(study):
    path = study / "runs" / "run-2" / "records.jsonl"
    whole = path.read_bytes()
    before = read_tables([study]).records
    path.write_bytes(whole + whole[:50])
    pd.testing.assert_frame_equal(read_tables([study]).records, before)
    path.write_bytes(whole + b"\xff\xfe torn")
    pd.testing.assert_frame_equal(read_tables([study]).records, before)
    for damage in (
        b"\xff\xfe\x00",
        b"\x00\x00",
        b'{"iteration": 0, "metric"',
        b"[1]",
        b'{"iteration": "0", "metric": "x", "value": 1}',
        b'{"iteration": 0, "metric": 1, "value": 1}',
        b'{"iteration": 0, "metric": "x", "value": 1, "protocol": "p"}',
    ):
        path.write_bytes(whole + damage + b"\n" + whole)
        with pytest.raises(UserError, match=r"run-2/records\.jsonl, line 3 is no row"):
            read_tables([study])


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", "1e999", "1e308"])
def test_a_value_that_is_not_finite_is_missing_and_the_row_says_why(study, text):
    """As another program may write it, for ours does not."""
    path = study / "runs" / "run-2" / "records.jsonl"
    line = {"iteration": 10, "metric": "critic", "value": 0, "low": None, "high": None, "n": 5, "protocol": PROTOCOL}
    path.write_text(json.dumps(line).replace('"value": 0', f'"value": {text}') + "\n")
    row = summary_of(study).loc["dcgan"]
    assert (row.n, row.without_value, row.runs) == (4, 1, 5)
    assert row["median"] == -3  # of -1, -2, -3, -4 and one that ranks worst
    records = read_tables([study]).records.query("run == 'run-2'")
    assert records.value.isna().all()
    assert records[["missing", "reason"]].iloc[0].tolist() == ["not_finite", f"the value is {float(text)}"]


def test_a_whole_number_that_no_float_can_hold_is_missing_too(study):
    path = study / "runs" / "run-2" / "records.jsonl"
    row = json.dumps(Row(10, "critic", -1.0, protocol=PROTOCOL).as_json())
    path.write_text(row.replace("-1.0", "1" + 400 * "0") + "\n")
    records = read_tables([study]).records.query("run == 'run-2'")
    assert records[["missing", "reason"]].iloc[0].tolist() == ["not_finite", "the value is beyond 1e+100"]


def test_a_row_that_was_written_twice_counts_once_and_the_last_counts(tmp_path):
    folder = write_study(
        tmp_path / "twice", [("dcgan", "done", -1.0)], further=lambda _: [Row(10, "critic", -3.0, n=5, protocol=PROTOCOL)]
    )
    row = summary_of(folder).loc["dcgan"]
    assert (row.n, row["median"]) == (1, -3)


def test_an_unfinished_study_has_a_report_and_an_empty_one_says_so(tmp_path, undrawn):
    folder = write_study(tmp_path / "running", [("dcgan", "running", None), ("age", "done", -1.0)])
    assert make_report([folder], folder / "report").exists()
    empty = write_study(tmp_path / "empty", [])
    with pytest.raises(UserError, match="no records yet") as refused:
        make_report([empty], empty / "report")
    assert "\n" not in str(refused.value)
    assert not (empty / "report").exists()
    with pytest.raises(UserError, match="no records yet"):
        make_report([write_runs(tmp_path / "planned", [PretendedRun("dcgan", "missing")])], tmp_path / "report")


def test_metrics_that_nobody_knows_are_counted(tmp_path):
    rows = [at_end("beauty", 1), at_end("beauty", 2, OTHER), at_end("critic", -1), at_end("critic_gap", 1), at_end("loss/x", 1)]
    rows += [at_end("sample_diversity/noise 0.1", 1), at_end("critic_curve/test", 1), at_end("critic_in_training_gap", 0)]
    results = results_of(write_runs(tmp_path / "unknown", [PretendedRun("dcgan", rows=rows)]))
    assert unknown_metrics(results.tables) == {"beauty": 2}


# Several studies


def runs_named(prefix, *values):
    return [
        PretendedRun("dcgan", rows=[at_end("critic", value)], name=f"{prefix}-{number}", hyperparameters={"rate": number})
        for number, value in enumerate(values)
    ]


def test_studies_of_the_same_setting_are_pooled(tmp_path):
    one = write_runs(tmp_path / "one", runs_named("a", -1, -3))
    other = write_runs(tmp_path / "other", runs_named("b", -5, -7), preset="paper")
    row = summary_of(one, other).loc["dcgan"]
    assert (row.study, row.setting, row.n, row["median"]) == ("one + other", "colormnist-mini", 4, -4)
    assert row.configurations == 2  # the same two rates in both studies, so each has two runs
    assert results_of(one, other).tables.settings == ["colormnist-mini"]


@pytest.mark.parametrize(
    ("facts", "settings"),
    [
        ({"dataset": "cifar10"}, ["colormnist-mini", "cifar10"]),
        ({"dataset": "cifar10", "settings": {"width": 1}}, ["colormnist-mini", "cifar10"]),
        ({"fingerprint": "e" * 64}, ["colormnist-mini, data ffffff", "colormnist-mini, data eeeeee"]),
        ({"iterations": 20}, ["colormnist-mini, 10 iterations", "colormnist-mini, 20 iterations"]),
        ({"settings": {"width": 1.0}}, ["colormnist-mini, width 0.25", "colormnist-mini, width 1"]),
        ({"settings": {"batch_size": 32}}, ["colormnist-mini, batch 64", "colormnist-mini, batch 32"]),
        ({"settings": {"precision": "bf16"}}, ["colormnist-mini, float32", "colormnist-mini, bf16"]),
        ({"settings": {"threads": 4}}, ["colormnist-mini, 1 threads", "colormnist-mini, 4 threads"]),
        ({"iterations": 20, "settings": {"width": 1}},
         ["colormnist-mini, 10 iterations, width 0.25", "colormnist-mini, 20 iterations, width 1"]),
    ],
)  # fmt: skip
def test_studies_of_other_settings_are_never_pooled(tmp_path, facts, settings):
    one = write_runs(tmp_path / "one", runs_named("a", -1, -3))
    rows = [at_end("critic", -5, iteration=facts.get("iterations", 10))]
    other = write_runs(tmp_path / "other", [PretendedRun("dcgan", rows=rows, name="b")], **facts)
    results = results_of(one, other)
    assert results.tables.settings == settings
    assert [(comparison.setting, comparison.values.value.tolist()) for comparison in results.main["critic"]] == [
        (settings[0], [-1, -3]),
        (settings[1], [-5]),
    ]
    assert results.comparisons["critic"] == results.main["critic"]
    assert results.tables.runs.configuration.nunique() == 3  # configurations of two settings are two, alike as they are


@pytest.mark.parametrize(
    ("codes", "labels"),
    [
        ([{"dcgan.py": "a"}, {"dcgan.py": "b"}], ["one", "two"]),
        ([{"dcgan.py": "a", "age.py": "c"}, {"dcgan.py": "a", "age.py": "d"}], ["one", "two"]),
        ([{"dcgan.py": "a"}, {"dcgan.py": "b"}, {"dcgan.py": "a", "age.py": "c"}], ["one", "two", "one"]),
        ([{"dcgan.py": "a"}, {"age.py": "b"}], None),  # no model that both hold
        ([{"dcgan.py": "a"}, {"dcgan.py": "a", "age.py": "b"}, {}], None),
    ],
)
def test_studies_of_other_code_of_a_model_are_never_pooled(tmp_path, codes, labels):
    names = ("one", "two", "three")
    folders = [write_runs(tmp_path / name, runs_named(name, -1, -3), code=code) for name, code in zip(names, codes, strict=False)]
    rows = label_settings([json.loads((folder / "study.json").read_text()) for folder in folders])
    assert rows == [f"colormnist-mini, models as in {name}" if labels else "colormnist-mini" for name in labels or codes]
    assert results_of(*folders).tables.settings == list(dict.fromkeys(rows))


def test_studies_of_one_name_and_other_code_are_two_settings(tmp_path):
    folders = [
        write_runs(tmp_path / place / "digits", runs_named(place, -1), code={"dcgan.py": place}) for place in ("here", "there")
    ]
    first, second = results_of(*folders).tables.settings
    assert (first, second) == ("colormnist-mini, models as in digits", "colormnist-mini, models as in digits (2)")


def test_of_a_run_that_several_studies_hold_the_rows_of_all_copies_count(tmp_path):
    """Each was measured in ways of its own; a value wins over a reason for having none, whichever comes first."""
    copies = {
        "one": [at_end("critic", -1), without_value("fid", "unavailable", "no weights"), at_end("mode_kl", 2)],
        "other": [
            at_end("critic", -1),
            at_end("fid", 7),
            at_end("inception_score", 3),
            without_value("mode_kl", "unavailable", "no weights"),
        ],
    }
    folders = [write_runs(tmp_path / name, [PretendedRun("dcgan", rows=rows, name="same")]) for name, rows in copies.items()]
    for order in (folders, folders[::-1]):
        results = results_of(*order)
        assert {metric: comparison.values.value.tolist() for metric, (comparison,) in results.comparisons.items()} == {
            "critic": [-1], "fid": [7], "inception_score": [3], "mode_kl": [2],
        }  # fmt: skip
        assert len(results.tables.records) == 4
        assert not_measured(results.tables, results.comparisons) == {}


def test_of_two_copies_the_values_of_the_one_that_came_farthest_count(tmp_path):
    """The other may have been interrupted and trained again."""
    copies = {"failed": [Row(0, "critic", -9.0, protocol=PROTOCOL), at_end("loss/x", 1)], "done": [at_end("critic", -1)]}
    copies["done"] += [Row(0, "critic", -8.0, protocol=PROTOCOL), at_end("loss/x", 2)]
    folders = [write_runs(tmp_path / name, [PretendedRun("dcgan", name, rows, name="same")]) for name, rows in copies.items()]
    for order in (folders, folders[::-1]):
        records = read_tables(order).records.set_index(["metric", "iteration"]).value
        assert records.to_dict() == {("critic", 10): -1, ("critic", 0): -8, ("loss/x", 10): 2}


def test_a_run_that_two_studies_hold_counts_once_and_its_finished_copy_wins(tmp_path):
    unfinished = [
        *runs_named("a", -1, -3),
        PretendedRun("dcgan", "missing", name="b-0"),
        PretendedRun("dcgan", "failed", name="c-0"),
    ]
    finished = [
        *runs_named("a", -1, -3),
        *runs_named("b", -5),
        PretendedRun("dcgan", "diverged", [at_end("loss/x", 1)], name="c-0"),
    ]
    for number, (first, second) in enumerate(((unfinished, finished), (finished, unfinished))):
        one, other = (write_runs(tmp_path / f"{number}{name}", runs) for name, runs in (("one", first), ("other", second)))
        row = summary_of(one, other).loc["dcgan"]
        assert (row.runs, row.n, row.done, row.diverged, row.failed) == (4, 3, 3, 1, 0)
        tables = read_tables([one, other])
        assert len(tables.records) == 4  # none of them twice
        assert tables.runs.set_index("run").study["b-0"] == f"{number}{('other', 'one')[number]}"


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        ("missing", "diverged", "diverged"),
        ("missing", "failed", "failed"),
        ("failed", "diverged", "diverged"),
        ("failed", "done", "done"),
    ],
)
def test_of_two_copies_the_one_that_came_farthest_counts(tmp_path, one, other, counts):
    for number, pair in enumerate(((one, other), (other, one))):
        folders = [
            write_runs(tmp_path / f"{number}-{place}", [PretendedRun("dcgan", status, [at_end("loss/x", 1)], name="same")])
            for place, status in enumerate(pair)
        ]
        assert read_tables(folders).runs.status.tolist() == [counts]


def test_studies_by_name_by_path_or_all_of_them(study):
    results = study.parent
    assert study_folders(results, []) == study_folders(results, ["golden"]) == study_folders(results, [str(study)]) == [study]
    assert study_folders(results, ["golden", str(study), "golden"]) == [study]
    with pytest.raises(UserError, match="did you mean 'golden'"):
        study_folders(results, ["goldn"])
    with pytest.raises(UserError, match="make bench"):
        study_folders(results / "golden", [])


def test_the_report_of_several_studies_lies_in_a_folder_that_they_name(tmp_path):
    one, other = tmp_path / "one", tmp_path / "elsewhere" / "other"
    assert report_folder(tmp_path, [one]) == one / "report"
    assert report_folder(tmp_path, [one, other]) == tmp_path / "one+other" / "report"
    with pytest.raises(UserError, match="--output"):
        report_folder(tmp_path, [tmp_path / f"{number:030}" for number in range(10)])
