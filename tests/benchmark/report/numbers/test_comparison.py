"""What shares a pair of axes, and which runs count."""

import json
import math

import pandas as pd
import pytest

from benchmark.records.rows import RecordFile, Row
from benchmark.report.numbers.comparison import not_measured
from benchmark.report.sections.critic import Critic
from metrics.catalogue import METRICS, MetricInfo
from tests.benchmark.report.pretended import (
    AGAIN,
    PROTOCOL,
    PretendedRun,
    at_end,
    page_data,
    report_of,
    results_of,
    summary_of,
    without_value,
    write_runs,
    write_study,
)

MATCH = MetricInfo("diversity", "Diversity", "match", "")
OTHER = {"steps": 200}


@pytest.mark.slow
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
    results = results_of(folder)
    assert results.main["critic"][0].values.value.tolist() == [-0.1, -8, -1, -2, -40]  # the protocol that most runs have
    assert [len(comparison.values) for comparison in results.comparisons["critic"]] == [5, 4]
    gaps = Critic().table(results)  # a gap of 0.5 is more than a tenth of 1 and of 2
    assert gaps[["n", "remembers", "gap"]].to_numpy().tolist() == [[3, 2, 0.5]]
    assert "warning: 2 of 3" in page
    assert page_data(page)["values"]["critic"]["value"] == [-0.1, -8, -1, -2, -40]


@pytest.mark.slow
def test_values_of_two_protocols_are_never_in_one_plot(study, undrawn):
    records = RecordFile(study / "runs" / "run-2" / "records.jsonl")
    records.append([Row(10, "critic", -0.5, n=5, protocol={"steps": 7})])
    report = report_of(study)
    assert {path.name for path in (report / "figures").glob("critic*.png")} == {"critic.png", "critic_2.png"}
    summary = pd.read_csv(report / "summary.csv")
    assert sorted(summary[summary.model == "dcgan"].n) == [1, 5]


def test_of_protocols_that_equally_many_runs_have_the_latest_is_the_main_one(tmp_path):
    further = [Row(10, "critic", -7.0, n=5, protocol=OTHER)]
    results = results_of(write_study(tmp_path / "tie", [("dcgan", "done", -1.0)], further=lambda _: further))
    assert [comparison.protocol for comparison in results.comparisons["critic"]] == [OTHER, PROTOCOL]
    assert [comparison.protocol for comparison in results.main["critic"]] == [OTHER]


def test_runs_of_another_protocol_are_not_counted_as_lost_and_missing_values_are(study):
    for run, row in (
        ("run-3", without_value("critic", "not_finite", "the value is nan")),
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
        without_value("critic", "not_finite", "the value is -inf"),
        without_value("critic", "unavailable", "no weights"),
        at_end("critic", None),  # without any reason
        at_end("fid", 1),  # no row of the critic
        at_end("critic", -100, OTHER),
    ]
    runs = [PretendedRun("dcgan", rows=[row], hyperparameters={"rate": number}) for number, row in enumerate(ends)]
    runs += [PretendedRun("dcgan", "failed"), PretendedRun("dcgan", "running")]
    folder = write_runs(tmp_path / "ends", runs)
    results = results_of(folder)
    (comparison,) = results.main["critic"]
    assert (comparison.without_value("dcgan"), comparison.not_measured("dcgan")) == (2, 4)
    assert comparison.of("dcgan").run.tolist() == ["run-0", "run-1", "run-2", "run-7"]
    assert comparison.sweep("dcgan").costs.tolist() == [1, 3, math.inf, math.inf]
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
    results = results_of(write_runs(tmp_path / "order", runs))
    (comparison,) = results.main["critic"]
    assert comparison.counted.run.tolist() == ["run-5", "run-0", "lost", "run-1", "run-6", "run-3"]
    assert comparison.of("dcgan").value.tolist() == pytest.approx([-4, 0, math.nan, -5, -2], nan_ok=True)
    assert comparison.models == ["dcgan", "age"]
    assert (comparison.of_reference("real").tolist(), comparison.of_reference("noise").tolist()) == ([-3], [])
    assert comparison.of("real").empty
    assert comparison.reference == -3


def test_the_main_protocol_of_a_metric_to_match_is_one_that_real_images_have(tmp_path):
    runs = [PretendedRun("real", rows=[at_end("sample_diversity", 0.5)])]
    runs += [PretendedRun("dcgan", rows=[at_end("sample_diversity", 0.25, OTHER), at_end("critic", -1)]) for _ in range(3)]
    runs += [PretendedRun("dcgan", rows=[at_end("sample_diversity", 0.75)])]
    runs += [PretendedRun("real", rows=[without_value("sample_diversity", "unavailable", "no time", OTHER)])]
    results = results_of(write_runs(tmp_path / "match", runs))
    assert [comparison.protocol for comparison in results.comparisons["sample_diversity"]] == [PROTOCOL, OTHER]
    assert [comparison.protocol for comparison in results.main["sample_diversity"]] == [PROTOCOL]
    assert results.main["sample_diversity"][0].is_ranked
    assert not results.comparisons["sample_diversity"][1].is_ranked


def test_sanity_rows_choose_no_main_protocol(tmp_path):
    runs = [PretendedRun(model, rows=[at_end("critic", -1, OTHER)]) for model in ("real", "noise", "noise", "dcgan")]
    runs += [PretendedRun("dcgan", rows=[at_end("critic", -1)]) for _ in range(2)]
    assert [comparison.protocol for comparison in results_of(write_runs(tmp_path / "sane", runs)).main["critic"]] == [PROTOCOL]


def test_a_second_evaluation_that_could_be_of_two_is_of_none(tmp_path):
    first = {"kind": "post-hoc", "seed": 0}
    again = at_end("critic", -2, first | {"seed": 1, "evaluation": "second"})
    runs = [
        PretendedRun("dcgan", rows=[at_end("critic", -1, first), at_end("critic", -3, first | {"seed": 5}), again]),
        PretendedRun("dcgan", rows=[at_end("critic", -1, first), again]),
    ]
    results = results_of(write_runs(tmp_path / "two", runs))
    seconds = {comparison.protocol["seed"]: comparison.values.second.tolist() for comparison in results.comparisons["critic"]}
    assert seconds == {0: pytest.approx([math.nan, -2], nan_ok=True), 5: pytest.approx([math.nan], nan_ok=True)}


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
        without_value("mode_kl", "not_finite", "the value is nan", AGAIN),
    ]
    results = results_of(write_runs(tmp_path / "again", [PretendedRun("alphagan", rows=rows)]))
    seen = {
        (metric, one.protocol_id): (one.values.value.item(), one.values.second.item())
        for metric in results.comparisons
        for one in results.comparisons[metric]
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
    assert results_of(folder).comparisons == {}
    assert "How the runs ended" in page
    assert (folder / "report" / "records.csv").read_text().count("critic") == 1


def test_a_metric_without_any_finite_value_is_listed_with_its_reason(tmp_path):
    rows = [
        without_value("fid", "not_finite", "the value is inf"),
        without_value("fid", "unavailable", "of a second evaluation", AGAIN),
    ]
    folder = write_study(tmp_path / "inf", [("dcgan", "done", -1.0)], further=lambda _: rows)
    results = results_of(folder)
    key = Row(0, "", None, protocol=PROTOCOL).protocol_id
    assert not_measured(results.tables, results.comparisons) == {METRICS["fid"].title: f"the value is inf (protocol {key})"}


def test_a_random_stream_is_a_function_of_what_it_is_for(tmp_path):
    rows = [at_end("critic", -1), at_end("mode_kl", 1), at_end("critic", -1, OTHER)]
    comparisons = results_of(write_runs(tmp_path / "streams", [PretendedRun("dcgan", rows=rows)])).comparisons
    critic, other_critic, modes = *comparisons["critic"], *comparisons["mode_kl"]
    assert critic.source("median", "α", "b").integers(2**60) == critic.source("median", "α", "b").integers(2**60)
    purposes = [("a", "b"), ("a", "c"), ("ab",), ("b", "a")]
    draws = {critic.source(*purpose).integers(2**60) for purpose in purposes}
    draws |= {comparison.source("a", "b").integers(2**60) for comparison in (other_critic, modes)}
    assert len(draws) == 6
