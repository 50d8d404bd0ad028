"""Golden records, made by hand, give a summary that is checked by hand; no training."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.figures import BEST, box_plot, colours, in_order
from benchmark.measures import MEASURES, Measure
from benchmark.records import RecordFile, Row, write_json
from benchmark.report import (
    best_first,
    final_values,
    main_protocol,
    make_report,
    noise_levels,
    overfitting,
    ranked_quartiles,
    read_records,
    read_runs,
    read_study,
    sentence,
    status_counts,
    study_folders,
)

MATCH = Measure("diversity", "Diversity", "match", "")
PROTOCOL = {"steps": 100}


def write_study(folder, runs, iterations=10, further=()):
    """A study's folder; runs: (model, status, value at the end of `critic`); further rows of every run that is done."""
    folder.mkdir()
    study = {
        "study": folder.name,
        "dataset": "colormnist-mini",
        "fingerprint": "f" * 64,
        "preset": "quick",
        "settings": {"iterations": iterations, "batch_size": 64, "width": 0.25},
        "benchmark": "0",
        "environment": {"torch": "2", "machine": "x", "instruction_set": "y"},
        "runs": {},
    }
    for number, (model, status, value) in enumerate(runs):
        name = f"run-{number}"
        study["runs"][name] = {"model": model, "seed": 0, "hyperparameters": {"learning_rate": 1e-3, "note": "<b>"}}
        run = folder / "runs" / name
        run.mkdir(parents=True)
        write_json(run / "run.json", {})
        if status != "running":
            write_json(run / "status.json", {"status": status, "reason": "because", "seconds": {"training": 1.0}})
        rows = [Row(0, "critic", -9.0, n=5, protocol=PROTOCOL)] if model not in ("real", "noise") else []
        if value is not None:
            rows.append(Row(iterations, "critic", value, value - 0.1, value + 0.1, 5, PROTOCOL))
        if status == "done":
            rows += further(number) if further else []
        RecordFile(run / "records.jsonl").append(rows)
    write_json(folder / "study.json", study)
    return folder


@pytest.fixture
def study(tmp_path):
    runs = [("real", "done", -0.1), ("noise", "done", -8.0)]
    runs += [("dcgan", "done", value) for value in (-5.0, -1.0, -3.0, -2.0, -4.0)]
    runs += [
        ("age", "done", -2.0),
        ("age", "done", -1.0),
        ("age", "diverged", None),
        ("age", "failed", None),
        ("age", "running", None),
    ]
    return write_study(tmp_path / "golden", runs)


def summary_of(folder) -> pd.DataFrame:
    make_report(folder)
    return pd.read_csv(folder / "report" / "summary.csv").set_index("model")


def test_quartiles_by_hand_and_against_numpy(study):
    row = summary_of(study).loc["dcgan"]
    assert (row.best, row.quartile_1, row["median"], row.quartile_3, row.iqr) == (-1, -4, -3, -2, 2)
    assert row.median_before_training == -9
    values = np.random.default_rng(0).normal(size=23)
    for measure in (MEASURES["critic"], MEASURES["mode_kl"]):
        assert ranked_quartiles(values, 0, measure, 0.0) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))


def test_diverged_and_failed_runs_are_counted_and_rank_worst(study):
    row = summary_of(study).loc["age"]
    assert (row.runs, row.n, row.done, row.diverged, row.failed) == (5, 2, 2, 1, 1)
    # Ended runs in rank: -1, -2, none, none. The upper quartile lies at rank 0.75, the median between a value and none.
    assert row.quartile_3 == pytest.approx(-1.75)
    assert np.isnan(row["median"])
    assert np.isnan(row.quartile_1)
    assert row.best == -1


@pytest.mark.parametrize(
    ("measure", "expected"),
    [(MEASURES["critic"], [3.0, 2.0, -1.0]), (MEASURES["mode_kl"], [-1.0, 2.0, 3.0]), (MATCH, [2.0, 3.0, -1.0])],
)
def test_the_best_follow_the_goal(measure, expected):
    assert best_first(np.array([2.0, -1.0, 3.0]), measure, 1.8).tolist() == expected


def test_quartiles_of_a_match_metric_rank_by_distance_to_the_reference():
    assert ranked_quartiles(np.array([1.0, 5.0, 2.5]), 0, MATCH, 2.0) == (1.75, 1.0, 3.0)


def test_records_csv_is_tidy_and_complete(study):
    make_report(study)
    records = pd.read_csv(study / "report" / "records.csv")
    assert list(records.columns) == [
        "study", "run", "model", "dataset", "seed", "iteration", "status", "metric", "value", "low", "high", "n", "protocol",
        "hyperparameters",
        "protocol_id",
    ]  # fmt: skip
    assert len(records) == 10 + 9
    assert json.loads(records.hyperparameters[0])["learning_rate"] == 1e-3
    assert set(records.status) == {"done", "diverged", "failed", "missing"}


def test_the_ten_best_are_black_circles(tmp_path):
    values = pd.DataFrame({"model": "dcgan", "value": np.arange(-14.0, 0.0), "run": range(14)})
    figure = box_plot(values, MEASURES["critic"], {"dcgan": 2})
    assert figure.axes[0].get_xticklabels()[0].get_text() == "DCGAN\nn = 14 of 16"
    circles = figure.axes[0].collections[-1]
    assert sorted(circles.get_offsets()[:, 1]) == list(np.arange(-float(BEST), 0.0))
    assert circles.get_edgecolor().tolist() == [[0, 0, 0, 1]]
    assert not circles.get_facecolor().size


def test_one_run_and_a_users_model_make_a_report(tmp_path):
    page = make_report(write_study(tmp_path / "one", [("mypackage.MyGAN", "done", -1.0)])).read_text()
    assert "mypackage.MyGAN" in page


def test_the_page_is_self_contained_and_escapes(tmp_path):
    page = make_report(
        write_study(tmp_path / "x", [("<script>alert(1)</script>", "done", -1.0), ("dcgan", "failed", None)])
    ).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="data:image/png;base64,' in page


def test_an_unfinished_study_has_a_report_and_an_empty_one_says_so(tmp_path):
    assert make_report(write_study(tmp_path / "running", [("dcgan", "running", None), ("age", "done", -1.0)])).exists()
    with pytest.raises(UserError, match="no records yet"):
        make_report(write_study(tmp_path / "empty", []))


def test_values_of_two_protocols_are_never_in_one_plot(study):
    records = RecordFile(study / "runs" / "run-2" / "records.jsonl")
    records.append([Row(10, "critic", -0.5, n=5, protocol={"steps": 7})])
    make_report(study)
    assert {path.name for path in (study / "report" / "figures").glob("critic*.png")} == {"critic.png", "critic_2.png"}
    summary = pd.read_csv(study / "report" / "summary.csv")
    assert sorted(summary[summary.model == "dcgan"].n) == [1, 5]


def test_runs_of_another_protocol_are_not_counted_as_lost_and_missing_values_are(study):
    reason = {**PROTOCOL, "not_available": "the value is nan"}
    for run, row in (
        ("run-3", Row(10, "critic", None, n=5, protocol=reason)),
        ("run-2", Row(10, "critic", -5.0, protocol={"s": 7})),
    ):
        records = RecordFile(study / "runs" / run / "records.jsonl")
        records.rewind(1)
        records.append([row])
    make_report(study)
    summary = pd.read_csv(study / "report" / "summary.csv")
    rows = summary[summary.model == "dcgan"].sort_values("n")
    assert rows.n.tolist() == [1, 3]  # a value that is not available makes no protocol of its own
    assert rows.without_value.tolist() == [0, 1]
    assert rows["median"].tolist() == [-5, -3.5]


def test_a_model_that_lost_its_runs_is_named_in_the_sentence(study):
    make_report(study)
    text = sentence(pd.read_csv(study / "report" / "summary.csv"), MEASURES["critic"])
    assert "AGE has no median: 2 of its 4 runs have no value" in text


def test_what_is_no_study_is_named(tmp_path):
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(UserError, match="lacks 'study'"):
        make_report(tmp_path)


def test_a_failed_sanity_row_is_counted(tmp_path):
    folder = write_study(tmp_path / "lost", [("real", "failed", None), ("dcgan", "done", -1.0)])
    counts = {row["model"]: row for row in status_counts(read_runs(folder, read_study(folder)))}
    assert counts["real"]["failed"] == 1


def test_a_report_of_the_same_records_is_the_same_to_the_byte(study):
    make_report(study)
    first = {path: path.read_bytes() for path in (study / "report").rglob("*") if path.is_file()}
    make_report(study)
    assert first == {path: path.read_bytes() for path in (study / "report").rglob("*") if path.is_file()}
    assert {path.suffix for path in first} == {".html", ".csv", ".png", ".svg"}


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (
            [-1.0],
            "AGE is best here (-1) and DCGAN is last (-3); real images score -0.1; noise scores -8. Each box holds 1 to 2 runs",
        ),
        ([-4.0, -4.5], "DCGAN is best here (-3) and AGE is last (-4.25)"),
        ([-3.0], "every model scores -3;"),
        ([], "The median over the configurations of DCGAN is -3; real"),
    ],
)
def test_the_sentence_is_made_of_the_numbers(tmp_path, ages, expected):
    runs = [("real", "done", -0.1), ("noise", "done", -8.0), ("dcgan", "done", -2.0), ("dcgan", "done", -4.0)]
    folder = write_study(tmp_path / "said", runs + [("age", "done", value) for value in ages])
    make_report(folder)
    assert expected in sentence(pd.read_csv(folder / "report" / "summary.csv"), MEASURES["critic"])


def test_models_keep_their_order_and_their_colour():
    models = in_order(pd.Series(["zeta.New", "dcgan", "alphagan", "beta.New"]))
    assert models == ["alphagan", "dcgan", "beta.New", "zeta.New"]
    assert colours(models)["dcgan"] == colours(["dcgan"])["dcgan"]
    assert len(set(colours(models).values())) == len(colours(models))


def test_studies_by_name_by_path_or_all_of_them(study):
    results = study.parent
    assert study_folders(results, []) == study_folders(results, ["golden"]) == study_folders(results, [str(study)]) == [study]
    with pytest.raises(UserError, match="did you mean 'golden'"):
        study_folders(results, ["goldn"])
    with pytest.raises(UserError, match="make bench"):
        study_folders(results / "golden", [])


OTHER = {"steps": 200}


def test_values_of_two_protocols_never_meet(tmp_path):
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
    page = make_report(folder).read_text()
    summary = pd.read_csv(folder / "report" / "summary.csv").query("model == 'dcgan'").set_index("protocol")
    assert summary["median"].to_dict() == {json.dumps(PROTOCOL): -2, json.dumps(OTHER): -102.5}
    assert {path.name for path in (folder / "report" / "figures").glob("critic*.png")} == {"critic.png", "critic_2.png"}
    records = read_records(folder, read_runs(folder, read_study(folder)))
    final = final_values(records, read_runs(folder, read_study(folder)))
    main = main_protocol(final)
    assert main.value.tolist() == [-0.1, -8, -1, -2, -40]  # the protocol that most runs have
    found = overfitting(records, read_runs(folder, read_study(folder)), main)
    assert [(row["n"], row["remembers"], row["gap"]) for row in found] == [
        (3, 2, 0.5)
    ]  # a gap of 0.5 is more than a tenth of 1 and of 2
    assert "warning: 2 of 3" in page
    assert "-102" not in page.split("<h2>All runs</h2>")[1]


def test_noise_levels_are_those_of_their_protocol(tmp_path):
    def further(number):
        real = [
            Row(10, f"sample_diversity/noise {level:g}", value, n=5, protocol=protocol)
            for protocol, base in ((PROTOCOL, 0.5), (OTHER, 0.7))
            for level, value in ((0.05, base + 0.01), (0.1, base + 0.02))
        ]
        return real if number == 0 else []

    folder = write_study(tmp_path / "noise", [("real", "done", -0.1), ("dcgan", "done", -1.0)], further=further)
    records = read_records(folder, read_runs(folder, read_study(folder)))
    found = noise_levels(records, Row(0, "", None, protocol=OTHER).protocol_id)
    assert found == {"+ noise 0.05": 0.71, "+ noise 0.1": 0.72}


def test_a_row_that_was_written_twice_counts_once_and_the_last_counts(tmp_path):
    folder = write_study(
        tmp_path / "twice", [("dcgan", "done", -1.0)], further=lambda _: [Row(10, "critic", -3.0, n=5, protocol=PROTOCOL)]
    )
    row = summary_of(folder).loc["dcgan"]
    assert (row.n, row["median"]) == (1, -3)


def test_what_was_not_measured_is_listed_with_its_reason(tmp_path):
    absent = {**OTHER, "not_available": "no <weights>"}
    folder = write_study(
        tmp_path / "absent", [("dcgan", "done", -1.0)], further=lambda _: [Row(10, "fid", None, protocol=absent)]
    )
    page = make_report(folder).read_text()
    assert "Fréchet Inception distance: no &lt;weights&gt;" in page
    assert not (folder / "report" / "figures" / "fid.png").exists()


def test_without_real_images_nothing_is_nearest_to_them():
    values = np.array([0.3, 0.1])
    assert np.isnan(best_first(values, MATCH, float("nan"))).all()
    rows = pd.DataFrame({"model": ["dcgan", "age"], "median": [0.3, 0.1], "n": [2, 2], "without_value": [0, 0]})
    assert sentence(rows, MATCH).startswith("No ranking")
