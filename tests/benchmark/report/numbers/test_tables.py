"""Studies on disk as tables: what counts, what is pooled, what is missing and why."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.model.registry import in_order
from benchmark.records.rows import RecordFile, Row
from benchmark.records.run_folder import RunFolder
from benchmark.records.study_folder import report_folder, study_folders
from benchmark.report.drawing.style import colours
from benchmark.report.numbers.comparison import not_measured
from benchmark.report.numbers.ranking import best_first, costs, quartiles, value_of
from benchmark.report.numbers.tables import COLUMNS, label_settings, read_tables, unknown_metrics
from benchmark.report.sections.scores import noise_levels, overfitting, sentence
from benchmark.report.write import make_report
from metrics.catalogue import MEASURES, Measure
from tests.benchmark.report.pretended import (
    AGAIN,
    PROTOCOL,
    PretendedRun,
    at_end,
    compared,
    page_data,
    report_of,
    summary_of,
    write_runs,
    write_study,
)

MATCH = Measure("diversity", "Diversity", "match", "")
OTHER = {"steps": 200}


# What is better


@pytest.mark.parametrize(
    ("measure", "expected"),
    [(MEASURES["critic"], [3.0, 2.0, -1.0]), (MEASURES["mode_kl"], [-1.0, 2.0, 3.0]), (MATCH, [2.0, 3.0, -1.0])],
)
def test_the_best_follow_the_goal(measure, expected):
    values = np.array([2.0, -1.0, 3.0])
    assert values[best_first(values, measure, 1.8)].tolist() == expected


def test_quartiles_against_numpy():
    values = np.random.default_rng(0).normal(size=23)
    for measure in (MEASURES["critic"], MEASURES["mode_kl"]):
        assert quartiles(costs(values, measure, 0.0), measure) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))


def test_quartiles_of_a_match_metric_are_of_the_distances_to_the_reference():
    # distances 1, 3 and 0.5; between 0.5 and 1, 1, between 1 and 3
    assert quartiles(costs(np.array([1.0, 5.0, 2.5]), MATCH, 2.0), MATCH) == (0.75, 1.0, 2.0)
    # values on both sides do not average to perfection
    assert quartiles(costs(np.array([1.0, 3.0]), MATCH, 2.0), MATCH) == (1.0, 1.0, 1.0)


def test_without_real_images_nothing_is_nearest_to_them():
    values = np.array([0.3, 0.1])
    assert np.isinf(costs(values, MATCH, math.nan)).all()
    assert quartiles(costs(values, MATCH, math.nan), MATCH) == (None, None, None)
    rows = pd.DataFrame({"model": ["dcgan", "age"], "median": [0.3, 0.1], "n": [2, 2], "without_value": [0, 0]})
    assert sentence(rows, MATCH).startswith("No ranking")


def test_equals_stay_in_their_order_and_runs_without_a_value_come_last():
    values = np.array([np.nan, 1.0, 2.0, 1.0, np.nan])
    assert best_first(values, MEASURES["mode_kl"], 0).tolist() == [1, 3, 2, 0, 4]
    assert best_first(values, MEASURES["critic"], 0).tolist() == [2, 1, 3, 0, 4]


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e300])
def test_huge_and_tiny_values_are_ranked_like_others(size):
    values = np.array([2.0, -1.0, 3.0]) * size
    for measure in (MEASURES["critic"], MEASURES["mode_kl"], MATCH):
        assert best_first(values, measure, 1.8 * size).tolist() == best_first(values / size, measure, 1.8).tolist()
        assert value_of(float(costs(values, measure, 0.0)[0]), measure) == 2 * size


def test_models_keep_their_order_and_their_colour():
    models = in_order(pd.Series(["zeta.New", "dcgan", "alphagan", "beta.New"]))
    assert models == ["alphagan", "dcgan", "beta.New", "zeta.New"]
    assert colours(models)["dcgan"] == colours(["dcgan"])["dcgan"]
    assert len(set(colours(models).values())) == len(colours(models))


# What is read


def test_records_csv_is_tidy_and_complete(study, undrawn):
    records = pd.read_csv(report_of(study) / "records.csv")
    assert list(records.columns) == [
        "study", "run", "model", "dataset", "seed", "iteration", "status", "metric", "value", "low", "high", "n", "protocol",
        "hyperparameters",
        "protocol_id",
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
    assert json.loads(records.protocol.iloc[0])["not_available"] == f"the value is {float(text)}"


def test_a_whole_number_that_no_float_can_hold_is_missing_too(study):
    path = study / "runs" / "run-2" / "records.jsonl"
    row = json.dumps(Row(10, "critic", -1.0, protocol=PROTOCOL).as_json())
    path.write_text(row.replace("-1.0", "1" + 400 * "0") + "\n")
    records = read_tables([study]).records.query("run == 'run-2'")
    assert json.loads(records.protocol.iloc[0])["not_available"] == "the value is beyond 1e+100"


def test_a_metric_without_any_finite_value_is_listed_with_its_reason(tmp_path):
    reasons = [{**PROTOCOL, "not_available": "the value is inf"}, {**AGAIN, "not_available": "of a second evaluation"}]
    folder = write_study(
        tmp_path / "inf", [("dcgan", "done", -1.0)], further=lambda _: [at_end("fid", None, reason) for reason in reasons]
    )
    tables, found, _ = compared(folder)
    key = Row(0, "", None, protocol=PROTOCOL).protocol_id
    assert not_measured(tables, found) == {MEASURES["fid"].title: f"the value is inf (protocol {key})"}


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


# What is compared


def test_values_of_two_protocols_never_meet(tmp_path, undrawn):
    """Three runs measured by one protocol, two of them and the sanity rows by another as well."""

    def further(number):
        rows = [Row(10, "critic_gap", 0.5, 0.4, 0.6, 5, PROTOCOL)]
        if number < 4:
            rows.append(Row(10, "critic", -100.0 - number, n=5, protocol=OTHER))
        return rows

    runs = [
        ("real", "done", -0.1),
        ("noise", "done", -8.0),
        ("dcgan", "done", -1.0),
        ("dcgan", "done", -2.0),
        ("dcgan", "done", -40.0),
    ]
    folder = write_study(tmp_path / "two", runs, further=further)
    page = (report_of(folder) / "index.html").read_text()
    summary = pd.read_csv(folder / "report" / "summary.csv").query("model == 'dcgan'").set_index("protocol")
    assert summary["median"].to_dict() == {json.dumps(PROTOCOL): -2, json.dumps(OTHER): -102.5}
    assert {path.name for path in (folder / "report" / "figures").glob("critic*.png")} == {"critic.png", "critic_2.png"}
    tables, found, main = compared(folder)
    assert main["critic"][0].values.value.tolist() == [-0.1, -8, -1, -2, -40]  # the protocol that most runs have
    assert [len(some.values) for some in found["critic"]] == [5, 4]
    gaps = overfitting(tables, main)
    assert [(row["n"], row["remembers"], row["gap"]) for row in gaps] == [
        (3, 2, 0.5)
    ]  # a gap of 0.5 is more than a tenth of 1 and of 2
    assert "warning: 2 of 3" in page
    assert page_data(page)["values"]["critic"]["value"] == [-0.1, -8, -1, -2, -40]


def test_values_of_two_protocols_are_never_in_one_plot(study, undrawn):
    records = RecordFile(study / "runs" / "run-2" / "records.jsonl")
    records.append([Row(10, "critic", -0.5, n=5, protocol={"steps": 7})])
    report = report_of(study)
    assert {path.name for path in (report / "figures").glob("critic*.png")} == {"critic.png", "critic_2.png"}
    summary = pd.read_csv(report / "summary.csv")
    assert sorted(summary[summary.model == "dcgan"].n) == [1, 5]


def test_of_protocols_that_equally_many_runs_have_the_latest_is_the_main_one(tmp_path):
    further = [Row(10, "critic", -7.0, n=5, protocol=OTHER)]
    _, found, main = compared(write_study(tmp_path / "tie", [("dcgan", "done", -1.0)], further=lambda _: further))
    assert [some.protocol for some in found["critic"]] == [OTHER, PROTOCOL]
    assert [some.protocol for some in main["critic"]] == [OTHER]


def test_runs_of_another_protocol_are_not_counted_as_lost_and_missing_values_are(study):
    reason = {**PROTOCOL, "not_available": "the value is nan"}
    for run, row in (
        ("run-3", Row(10, "critic", None, n=5, protocol=reason)),
        ("run-2", Row(10, "critic", -5.0, protocol={"s": 7})),
    ):
        records = RecordFile(study / "runs" / run / "records.jsonl")
        records.rewind(1)
        records.append([row])
    summary = summary_of(study)
    rows = summary[summary.index == "dcgan"].sort_values("n")
    assert rows.n.tolist() == [1, 3]  # a value that is not available makes no protocol of its own
    assert rows.without_value.tolist() == [0, 1]
    assert rows["median"].tolist() == [-5, -3.5]


def test_what_could_not_be_measured_is_missing_and_what_was_not_finite_ranks_worst(tmp_path):
    ends = [
        at_end("critic", -1),
        at_end("critic", -3),
        at_end("critic", None, {**PROTOCOL, "not_available": "the value is -inf"}),
        at_end("critic", None, {**PROTOCOL, "not_available": "no weights"}),
        at_end("critic", None),  # without any reason
        at_end("fid", 1),  # no row of the critic
        at_end("critic", -100, OTHER),
    ]
    runs = [PretendedRun("dcgan", rows=[row], hyperparameters={"rate": number}) for number, row in enumerate(ends)]
    runs += [PretendedRun("dcgan", "failed"), PretendedRun("dcgan", "running")]
    folder = write_runs(tmp_path / "ends", runs)
    _, _, main = compared(folder)
    (some,) = main["critic"]
    assert (some.without_value("dcgan"), some.not_measured("dcgan")) == (2, 4)
    assert some.of("dcgan").run.tolist() == ["run-0", "run-1", "run-2", "run-7"]
    assert some.sweep("dcgan").costs.tolist() == [1, 3, math.inf, math.inf]
    summary = summary_of(folder).query("metric == 'critic'").set_index("protocol")
    row = summary.loc[json.dumps(PROTOCOL)]
    assert (row.runs, row.done, row.failed, row.n, row.without_value, row.not_measured) == (9, 7, 1, 2, 2, 4)
    assert (row["median"], row.quartile_3) == (pytest.approx(math.nan, nan_ok=True), -2.5)  # -1 -3 none none
    assert (row.configurations, row.seeds) == (4, 1)
    assert (summary.loc[json.dumps(OTHER)].n, summary.loc[json.dumps(OTHER)].not_measured) == (1, 6)


def test_runs_stand_in_the_studys_order_the_seeds_of_a_configuration_in_theirs(tmp_path):
    cells = [("dcgan", 1, 1), ("age", 1, 0), ("dcgan", 2, 1), ("real", 0, 0), ("dcgan", 1, 0), ("dcgan", 2, 0)]
    runs = [
        PretendedRun(model, rows=[at_end("critic", -number)], hyperparameters={"rate": rate}, seed=seed)
        for number, (model, rate, seed) in enumerate(cells)
    ]
    runs.insert(2, PretendedRun("dcgan", "failed", hyperparameters={"rate": 1}, seed=2, name="lost"))
    _, _, main = compared(write_runs(tmp_path / "order", runs))
    (some,) = main["critic"]
    assert some.counted.run.tolist() == ["run-5", "run-0", "lost", "run-1", "run-6", "run-3"]
    assert some.of("dcgan").value.tolist() == pytest.approx([-4, 0, math.nan, -5, -2], nan_ok=True)
    assert some.models == ["dcgan", "age"]
    assert (some.of_reference("real").tolist(), some.of_reference("noise").tolist()) == ([-3], [])
    assert some.of("real").empty
    assert some.reference == -3


def test_the_main_protocol_of_a_metric_to_match_is_one_that_real_images_have(tmp_path):
    runs = [PretendedRun("real", rows=[at_end("sample_diversity", 0.5)])]
    runs += [PretendedRun("dcgan", rows=[at_end("sample_diversity", 0.25, OTHER), at_end("critic", -1)]) for _ in range(3)]
    runs += [PretendedRun("dcgan", rows=[at_end("sample_diversity", 0.75)])]
    runs += [PretendedRun("real", rows=[at_end("sample_diversity", None, {**OTHER, "not_available": "no time"})])]
    _, found, main = compared(write_runs(tmp_path / "match", runs))
    assert [some.protocol for some in found["sample_diversity"]] == [PROTOCOL, OTHER]
    assert [some.protocol for some in main["sample_diversity"]] == [PROTOCOL]
    assert main["sample_diversity"][0].is_ranked
    assert not found["sample_diversity"][1].is_ranked


def test_sanity_rows_choose_no_main_protocol(tmp_path):
    runs = [PretendedRun(model, rows=[at_end("critic", -1, OTHER)]) for model in ("real", "noise", "noise", "dcgan")]
    runs += [PretendedRun("dcgan", rows=[at_end("critic", -1)]) for _ in range(2)]
    assert [some.protocol for some in compared(write_runs(tmp_path / "sane", runs))[2]["critic"]] == [PROTOCOL]


def test_a_second_evaluation_that_could_be_of_two_is_of_none(tmp_path):
    first = {"kind": "post-hoc", "seed": 0}
    again = at_end("critic", -2, first | {"seed": 1, "evaluation": "second"})
    runs = [
        PretendedRun("dcgan", rows=[at_end("critic", -1, first), at_end("critic", -3, first | {"seed": 5}), again]),
        PretendedRun("dcgan", rows=[at_end("critic", -1, first), again]),
    ]
    _, found, _ = compared(write_runs(tmp_path / "two", runs))
    seconds = {some.protocol["seed"]: some.values.second.tolist() for some in found["critic"]}
    assert seconds == {0: pytest.approx([math.nan, -2], nan_ok=True), 5: pytest.approx([math.nan], nan_ok=True)}


def test_noise_levels_are_those_of_their_protocol_and_setting(tmp_path):
    def further(base):
        return lambda number: [
            Row(10, f"sample_diversity{name}", value + shift, n=5, protocol=protocol)
            for protocol, shift in ((PROTOCOL, 0.0), (OTHER, 0.25))
            for name, value in (("", base), ("/noise 0.05", base + 0.0625), ("/noise 0.1", base + 0.125))
            if number == 0 or (not name and protocol == PROTOCOL)
        ]

    runs = [("real", "done", -0.1), ("dcgan", "done", -1.0)]
    one = write_study(tmp_path / "one", runs, further=further(0.5))
    other = write_study(tmp_path / "other", runs, further=further(0.25), settings={"width": 1})
    for number, run in enumerate(("run-0", "run-1")):  # a run's name is the hash of what determines it
        (other / "runs" / run).rename(other / "runs" / f"other-{number}")
    text = (other / "study.json").read_text()
    (other / "study.json").write_text(text.replace('"run-', '"other-'))
    tables, found, main = compared(one, other)
    a, b = tables.settings
    assert (a, b) == ("colormnist-mini, width 0.25", "colormnist-mini, width 1")
    assert noise_levels(tables, main["sample_diversity"]) == {
        a: {"+ noise 0.05": 0.5625, "+ noise 0.1": 0.625},
        b: {"+ noise 0.05": 0.3125, "+ noise 0.1": 0.375},
    }
    further_one = [some for some in found["sample_diversity"] if some.protocol == OTHER and some.setting == a]
    assert noise_levels(tables, further_one) == {a: {"+ noise 0.05": 0.8125, "+ noise 0.1": 0.875}}


def test_a_second_evaluation_stands_beside_its_first_and_is_no_comparison_of_its_own(tmp_path):
    """What differs between the two: the critic's seed, and the split with its number of images; a third protocol has none."""
    first = {"kind": "post-hoc", "seed": 0}
    codes = {"split": "test", "images": 100, "device": "cpu"}
    rows = [
        at_end("critic", -1, first),
        at_end("critic", -2, first | {"seed": 1, "evaluation": "second"}),
        at_end("critic", -3, first | {"kind": "another"}),
        at_end("code_mean", 0.5, codes),
        at_end("code_mean", 0.75, codes | {"split": "validation", "images": 70, "evaluation": "second"}),
        at_end("mode_kl", 1),
        at_end("mode_kl", None, {**AGAIN, "not_available": "the value is nan"}),
    ]
    _, found, _ = compared(write_runs(tmp_path / "again", [PretendedRun("alphagan", rows=rows)]))
    seen = {
        (metric, one.protocol_id): (one.values.value.item(), one.values.second.item())
        for metric in found
        for one in found[metric]
    }
    assert list(seen.values()) == [
        (-3, pytest.approx(math.nan, nan_ok=True)),
        (-1, -2),
        (1, pytest.approx(math.nan, nan_ok=True)),
        (0.5, 0.75),
    ]


def test_where_only_second_evaluations_are_there_is_nothing_to_compare(tmp_path, undrawn):
    folder = write_runs(tmp_path / "second", [PretendedRun("dcgan", rows=[at_end("critic", -1, AGAIN)])])
    page = (report_of(folder) / "index.html").read_text()
    assert compared(folder)[1] == {}
    assert "How the runs ended" in page
    assert (folder / "report" / "records.csv").read_text().count("critic") == 1


def test_metrics_that_nobody_knows_are_counted(tmp_path):
    rows = [at_end("beauty", 1), at_end("beauty", 2, OTHER), at_end("critic", -1), at_end("critic_gap", 1), at_end("loss/x", 1)]
    rows += [at_end("sample_diversity/noise 0.1", 1), at_end("critic_curve/test", 1), at_end("critic_in_training_gap", 0)]
    tables, *_ = compared(write_runs(tmp_path / "unknown", [PretendedRun("dcgan", rows=rows)]))
    assert unknown_metrics(tables) == {"beauty": 2}


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
    assert compared(one, other)[0].settings == ["colormnist-mini"]


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
    tables, found, main = compared(one, other)
    assert tables.settings == settings
    assert [(some.setting, some.values.value.tolist()) for some in main["critic"]] == [
        (settings[0], [-1, -3]),
        (settings[1], [-5]),
    ]
    assert found["critic"] == main["critic"]
    assert tables.runs.configuration.nunique() == 3  # configurations of two settings are two, alike as they are


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
    found = label_settings([json.loads((folder / "study.json").read_text()) for folder in folders])
    assert found == [f"colormnist-mini, models as in {name}" if labels else "colormnist-mini" for name in labels or codes]
    assert compared(*folders)[0].settings == list(dict.fromkeys(found))


def test_studies_of_one_name_and_other_code_are_two_settings(tmp_path):
    folders = [
        write_runs(tmp_path / place / "digits", runs_named(place, -1), code={"dcgan.py": place}) for place in ("here", "there")
    ]
    first, second = compared(*folders)[0].settings
    assert (first, second) == ("colormnist-mini, models as in digits", "colormnist-mini, models as in digits (2)")


def test_of_a_run_that_several_studies_hold_the_rows_of_all_copies_count(tmp_path):
    """Each was measured in ways of its own; a value wins over a reason for having none, whichever comes first."""
    nothing = {**PROTOCOL, "not_available": "no weights"}
    copies = {
        "one": [at_end("critic", -1), at_end("fid", None, nothing), at_end("mode_kl", 2)],
        "other": [at_end("critic", -1), at_end("fid", 7), at_end("inception_score", 3), at_end("mode_kl", None, nothing)],
    }
    folders = [write_runs(tmp_path / name, [PretendedRun("dcgan", rows=rows, name="same")]) for name, rows in copies.items()]
    for order in (folders, folders[::-1]):
        tables, found, _ = compared(*order)
        assert {metric: some.values.value.tolist() for metric, (some,) in found.items()} == {
            "critic": [-1], "fid": [7], "inception_score": [3], "mode_kl": [2],
        }  # fmt: skip
        assert len(tables.records) == 4
        assert not_measured(tables, found) == {}


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
