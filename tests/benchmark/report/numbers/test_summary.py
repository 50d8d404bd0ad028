"""One row a model, metric and setting; and the same for papers, in which a name is a name and no markup."""

import re

import numpy as np
import pandas as pd
import pytest

from benchmark.records.rows import Row
from benchmark.report.numbers.summary import COLUMNS, as_latex, as_markdown, by_median, paper_table, summarize
from metrics.catalogue import METRICS
from tests.benchmark.report.pretended import PROTOCOL, PretendedRun, at_end, results_of, summary_of, write_runs, write_study

HOSTILE = r"a|b_c*<script>alert(1)</script>&%$#{}~^\[x](y)`z`"


def test_quartiles_by_hand(study):
    row = summary_of(study).loc["dcgan"]
    assert (row.best, row.quartile_1, row["median"], row.quartile_3, row.iqr) == (-1, -4, -3, -2, 2)
    assert row.median_before_training == -9


def test_diverged_and_failed_runs_are_counted_and_rank_worst(study):
    row = summary_of(study).loc["age"]
    assert (row.runs, row.n, row.done, row.diverged, row.failed) == (5, 2, 2, 1, 1)
    # Ended runs in rank: -1, -2, none, none. The upper quartile lies at rank 0.75, the median between a value and none.
    assert row.quartile_3 == pytest.approx(-1.75)
    assert np.isnan(row["median"])
    assert np.isnan(row.quartile_1)
    assert row.best == -1


def test_a_failed_sanity_row_is_counted(tmp_path):
    results = results_of(write_study(tmp_path / "lost", [("real", "failed", None), ("dcgan", "done", -1.0)]))
    assert results.tables.runs.set_index("model").status["real"] == "failed"


def test_a_model_whose_runs_were_all_lost_stays_in_the_summary(tmp_path):
    """By metrics of every model, and by those of autoencoders that it has any row of."""
    early = [Row(0, "reconstruction_l1", 2.0, n=5, protocol=PROTOCOL)]
    runs = [
        PretendedRun("alphagan", rows=[at_end("critic", -1), at_end("reconstruction_l1", 0.5)]),
        *(PretendedRun("age", status, early, seed=seed) for seed, status in enumerate(("failed", "diverged"))),
        PretendedRun("dcgan", "failed"),
        PretendedRun("dcgan", "missing"),
    ]
    folder = write_runs(tmp_path / "lost", runs)
    rows = summary_of(folder).set_index("metric", append=True)
    assert rows.index.tolist() == [
        ("alphagan", "critic"), ("dcgan", "critic"), ("age", "critic"),
        ("alphagan", "reconstruction_l1"), ("age", "reconstruction_l1"),
    ]  # fmt: skip
    for key, runs_of, lost in ((("dcgan", "critic"), 2, 1), (("age", "critic"), 2, 2), (("age", "reconstruction_l1"), 2, 2)):
        row = rows.loc[key]
        assert (row.runs, row.n, row.without_value, row.not_measured) == (runs_of, 0, lost, 0)
        assert row[["best", "best_run", "quartile_1", "median", "quartile_3", "iqr"]].isna().all()
    assert rows.loc["age", "reconstruction_l1"].median_before_training == 2


def test_the_summary_of_nothing_has_every_column_too(tmp_path):
    results = results_of(write_study(tmp_path / "lost", [("dcgan", "diverged", None)]))
    empty = summarize(results.tables, [])
    assert tuple(empty.columns) == COLUMNS
    assert {"quartiles_of", "without_value", "not_measured", "configurations", "seeds"} <= set(COLUMNS)
    assert len(as_markdown(paper_table(empty, METRICS)).splitlines()) == 2


def test_counts_are_whole_numbers_also_beside_sanity_rows_which_have_none(study):
    results = results_of(study)
    text = summarize(results.tables, results.comparisons["critic"]).to_csv(index=False).splitlines()
    read = [dict(zip(COLUMNS, line.split(","), strict=False)) for line in text[1:]]
    assert [[row[name] for name in ("n", "without_value", "not_measured", "configurations", "seeds")] for row in read] == [
        ["1", "", "", "", ""],
        ["1", "", "", "", ""],
        ["5", "0", "0", "1", "5"],
        ["2", "2", "0", "1", "4"],
    ]
    assert [float(row["measurement_error"]) for row in read] == pytest.approx([0.1] * 4)


def test_sanity_rows_stand_before_the_models_and_the_models_in_their_order(study):
    assert summary_of(study).index.tolist() == ["real", "noise", "dcgan", "age"]


def test_what_a_run_scores_again_is_of_the_best_run(tmp_path):
    rows = [(-1, -4), (-2, -3), (-3, None)]
    runs = [
        PretendedRun(
            "dcgan",
            rows=[at_end("critic", one), *([at_end("critic", two, {"steps": 100, "evaluation": "second"})] if two else [])],
        )
        for one, two in rows
    ]
    row = summary_of(write_runs(tmp_path / "again", runs)).loc["dcgan"]
    assert (row.best, row.best_run, row.best_again, row.n) == (-1, "run-0", -4, 3)


def test_the_median_before_training_is_of_the_same_protocol(tmp_path):
    rows = [
        at_end("critic", -1),
        *(at_end("critic", value, {"steps": steps}, 0) for value, steps in ((-9, 100), (-50, 7), (-60, 8))),
    ]
    row = summary_of(write_runs(tmp_path / "start", [PretendedRun("dcgan", rows=rows)])).loc["dcgan"]
    assert row.median_before_training == -9


def test_of_equally_good_runs_the_first_is_the_best(tmp_path):
    row = summary_of(write_study(tmp_path / "equal", [("dcgan", "done", -1.0)] * 3)).loc["dcgan"]
    assert (row.best_run, row.iqr, row.median_low, row.median_high) == ("run-0", 0, *[pytest.approx(np.nan, nan_ok=True)] * 2)


def test_without_a_value_at_the_end_of_any_run_there_is_no_row(tmp_path):
    results = results_of(write_study(tmp_path / "lost", [("dcgan", "diverged", None), ("dcgan", "diverged", None)]))
    assert results.comparisons == {}
    assert summarize(results.tables, []).empty


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_huge_and_tiny_values_are_printed_whole(tmp_path, size):
    folder = write_study(tmp_path / "size", [("dcgan", "done", -size), ("dcgan", "done", -3 * size)])
    row = summary_of(folder).loc["dcgan"]
    assert (row["median"], row.best, row.iqr) == (-2 * size, -size, pytest.approx(size))
    results = results_of(folder)
    printed = paper_table(summarize(results.tables, results.comparisons["critic"]), METRICS).iloc[0]
    assert float(printed["median"]) == -2 * size


def test_models_are_ranked_by_their_medians(tmp_path):
    runs = [("age", "done", -3.0), ("dcgan", "done", -2.0), ("alphagan", "done", -2.0), ("wgan_gp", "diverged", None)]
    results = results_of(write_study(tmp_path / "ranked", runs))
    rows = summarize(
        results.tables, results.comparisons["critic"]
    )  # medians -2, -2, -3 and none, which is the last in either direction
    assert by_median(rows, METRICS["critic"]).model.tolist() == ["alphagan", "dcgan", "age", "wgan_gp"]
    assert by_median(rows, METRICS["mode_kl"]).model.tolist() == ["age", "alphagan", "dcgan", "wgan_gp"]


def test_of_a_metric_to_match_the_smallest_median_distance_is_best(tmp_path):
    values = {"real": [0.5], "dcgan": [0.25, 0.75], "age": [0.375, 0.5]}
    runs = [PretendedRun(model, rows=[at_end("sample_diversity", one)]) for model, numbers in values.items() for one in numbers]
    folder = write_runs(tmp_path / "match", runs)
    results = results_of(folder)
    rows = summarize(results.tables, results.comparisons["sample_diversity"])
    assert by_median(rows, METRICS["sample_diversity"]).model.tolist() == ["age", "dcgan"]
    row = rows.set_index("model").loc["dcgan"]  # both a quarter away, though their mean is that of real images
    assert (row.quartiles_of, row.quartile_1, row["median"], row.quartile_3, row.iqr) == (
        "distances to real images", 0.25, 0.25, 0.25, 0,
    )  # fmt: skip
    assert row.best == 0.25  # a value, and the first of two that are equally near
    row = rows.set_index("model").loc["age"]  # distances 0.125 and 0
    assert (row.quartile_1, row["median"], row.quartile_3, row.best) == (0.03125, 0.0625, 0.09375, 0.5)
    assert paper_table(rows, METRICS).metric.unique().tolist() == [f"{METRICS['sample_diversity'].title}, distance"]


def test_the_papers_table_says_what_is_missing_and_never_0(study):
    results = results_of(study)
    printed = paper_table(summarize(results.tables, results.comparisons["critic"]), METRICS).set_index("model")
    assert printed.index.tolist() == ["DCGAN", "AGE"]
    assert printed.loc["AGE"].to_dict() == {
        "metric": METRICS["critic"].title,
        "better": "higher",
        "runs": "2 of 5",
        "diverged": 1,
        "failed": 1,
        "lower quartile": "–",
        "median": "–",
        "95 %": "–",
        "upper quartile": "-1.75",
        "IQR": "–",
        "best": "-1",
        "best, measured again": "–",
    }
    assert "setting" not in printed


def test_the_papers_table_names_the_setting_where_there_are_several(tmp_path):
    one = write_study(tmp_path / "one", [("dcgan", "done", -1.0)])
    other = write_runs(tmp_path / "other", [PretendedRun("dcgan", rows=[at_end("critic", -2)], name="b")], dataset="cifar10")
    results = results_of(one, other)
    assert paper_table(summarize(results.tables, results.comparisons["critic"]), METRICS).setting.tolist() == [
        "colormnist-mini",
        "cifar10",
    ]


def test_the_papers_table_has_intervals_and_spreads_and_names_protocols_where_there_are_several(tmp_path):
    runs = [
        PretendedRun("dcgan", rows=[at_end("critic", -value)], hyperparameters={"rate": value}) for value in (1, 1, 1, 2, 4, 5)
    ]
    results = results_of(write_runs(tmp_path / "one", runs))
    rows = summarize(results.tables, results.comparisons["critic"])
    printed = paper_table(rows, METRICS).iloc[0]
    # -1 -1 -1 -2 -4 -5, at the ranks 1.25, 2.5 and 3.75
    assert (printed["lower quartile"], printed["median"], printed["upper quartile"]) == ("-3.5", "-1.5", "-1")
    assert printed["IQR"] == "2.5"
    low, high = (float(end) for end in printed["95 %"].split(" to "))
    assert (low, high) == pytest.approx((rows.median_low[0], rows.median_high[0]))
    assert low < -1.5 < high
    assert "protocol" not in printed
    runs.append(PretendedRun("dcgan", rows=[at_end("critic", -7, {"steps": 200}), at_end("fid", 3)]))
    results = results_of(write_runs(tmp_path / "two", runs))
    table = paper_table(results.summary, METRICS)
    assert table.protocol.tolist() == [
        *(comparison.protocol_id for comparison in results.comparisons["critic"]),
        results.comparisons["fid"][0].protocol_id,
    ]
    assert table.protocol.nunique() == 2
    assert as_markdown(table).splitlines()[0].startswith("| metric | protocol | better | model |")
    assert "IQR" in as_latex(table)
    assert r"95 \%" in as_latex(table)


def cells(line):
    """Of a row of a pipe table, as a reader of Markdown takes it."""
    return [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]]


def test_markdown_keeps_names_and_rows_whole():
    table = pd.DataFrame({"model": [HOSTILE, "DCGAN"], "a|b": [1, "–"]})
    lines = as_markdown(table).splitlines()
    assert [cells(line) for line in lines] == [["model", "a|b"], ["---", "---"], [HOSTILE, "1"], ["DCGAN", "–"]]
    assert not re.search(r"(?<!\\)[<>*_`\[\]]", lines[2])


def test_latex_keeps_names_and_rows_whole():
    table = pd.DataFrame({"model": [HOSTILE], "100 %_": ["–"]})
    text = as_latex(table)
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip()
    assert text.count(r"\begin{tabular}{ll}") == text.count(r"\end{tabular}") == text.count(r"\toprule") == 1
    assert r"100 \%\_" in text
    assert len(re.findall(r"(?<!\\)&", body)) == 1
    assert not re.search(r"(?<!\\)[%$#_]", body)
    plain = (
        body.replace(r"\textasciitilde", "")
        .replace(r"\textasciicircum", "")
        .replace(r"\textbackslash", "")
        .replace(r"\space", "")
    )
    assert "~" not in plain
    assert "^" not in plain.replace(r"\^", "")
    assert re.sub(r"\\[{}]", "", plain).count("{") == re.sub(r"\\[{}]", "", plain).count("}")
    assert body.endswith(r"\\")
