"""The table of contents: all sections' numbers together, and sections of a user's own."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from benchmark.cli.main import cli
from benchmark.errors import UserError
from benchmark.report import sections
from benchmark.report.contents import CONTENTS
from benchmark.report.write import make_report
from benchmark.studies.study_file import read_study_file
from tests import golden
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    page_data,
    results_of,
    tables_of,
    write_runs,
    write_study,
)
from tests.studies import tiny_study


def test_another_study_moves_no_interval_of_the_first(tmp_path):
    """Though it gives the first study's setting another label."""
    digits = golden.FOLDER / "digits"
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -rate)], hyperparameters={"rate": rate}) for rate in (1, 2)]
    other = write_runs(tmp_path / "other", runs, settings={"width": 1}, fingerprint="d" * 64)
    alone, beside = results_of(digits), results_of(digits, other)
    (label,), labels = alone.tables.settings, beside.tables.settings
    assert labels == ["colormnist-mini, width 0.25", "colormnist-mini, width 1"]
    first, second = (tables_of(results) | {"summary": results.summary} for results in (alone, beside))
    for name, rows in first.items():
        of_both = second[name]
        assert set(of_both.setting) == {*labels} if name in ("summary", "best_of_k") else {*of_both.setting} <= {*labels}
        same = of_both[of_both.setting == labels[0]].assign(setting=label).reset_index(drop=True)
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), same, check_dtype=False)


def test_a_model_that_lost_every_run_loses_against_all(tmp_path):
    runs = [("dcgan", "done", -1.0), ("dcgan", "done", -2.0), ("age", "failed", None), ("age", "diverged", None)]
    results = results_of(write_study(tmp_path / "lost", [*runs, ("age", "missing", None)]))
    rows = tables_of(results)
    best = rows["best_of_k"].query("model == 'age'")
    assert best.k.tolist() == [1, 2]  # the one to come was not drawn
    assert best.value.isna().all()
    assert rows["improvement"].set_index("model").value.to_dict() == {"dcgan": 1, "age": 0}


def test_one_run_gives_no_interval_and_no_comparison(tmp_path):
    results = results_of(write_study(tmp_path / "one", [("dcgan", "done", -1.0)]))
    computed = tables_of(results)
    assert {name: len(rows) for name, rows in computed.items()} == {
        "best_of_k": 1, "equal_budget": 0, "improvement": 0, "agreement": 0, "hyperparameters": 0, "seeds": 0,
    }  # fmt: skip
    only = computed["best_of_k"].iloc[0]
    assert (only.k, only.value) == (1, -1)
    assert np.isnan([only.low, only.high]).all()


def test_sanity_rows_are_in_no_statistic(tmp_path):
    results = results_of(write_study(tmp_path / "sane", [("real", "done", -0.1), ("noise", "done", -8.0)]))
    assert all(rows.empty for rows in tables_of(results).values())


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_huge_and_tiny_values_are_told_apart_like_others(tmp_path, size):
    values = {"dcgan": (-1, -2, -4), "age": (-3, -5, -6)}
    runs = [
        PretendedRun(model, rows=[at_end("critic", value * size)], hyperparameters={"rate": number})
        for model, numbers in values.items()
        for number, value in enumerate(numbers)
    ]
    results = results_of(write_runs(tmp_path / "size", runs))
    computed = tables_of(results)
    assert computed["improvement"].value.tolist() == pytest.approx([8 / 9, 1 / 9])
    best = computed["best_of_k"].query("model == 'dcgan'").value / size
    assert best.tolist() == pytest.approx([-7 / 3, -4 / 3, -1])


# Sections of a user's own

DOCS = Path(__file__).parents[3] / "docs" / "report.md"
# The documentation's own example is the user's section, so that it cannot rot.
EXAMPLE = next(code for code in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "class Spread" in code)
BASE = "from benchmark.report.section import ReportSection, Section\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a user's module to a folder in which modules are found."""
    (tmp_path / "code").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    before = set(sys.modules)
    yield lambda code, name="mysections": (tmp_path / "code" / f"{name}.py").write_text(code)
    for name in set(sys.modules) - before:
        if name.startswith("mysections"):
            del sys.modules[name]


def report(*words):
    return CliRunner().invoke(cli, ["report", *map(str, words)])


@pytest.mark.slow
def test_a_section_of_a_users_own_stands_after_ours_with_its_figure_and_its_file(own, tmp_path, undrawn):
    own(EXAMPLE)
    asked = report(golden.FOLDER / "digits", "--output", tmp_path / "report", "--sections", "mysections.Spread")
    assert asked.exit_code == 0, asked.output
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.index('id="spread"') > page.index('id="critic-curves"')
    assert (tmp_path / "report" / "figures" / "spread.svg").exists()
    rows = pd.read_csv(tmp_path / "report" / "spread.csv").set_index(["metric", "model"]).range
    assert rows["critic", "alphagan"] == -1 - -8
    assert rows["critic", golden.OWN] == 0
    assert page_data(page)["metrics"]  # the rest is as it was
    again = report(golden.FOLDER / "digits", "--output", tmp_path / "report")
    assert again.exit_code == 0
    assert 'id="spread"' not in (tmp_path / "report" / "index.html").read_text()
    assert not (tmp_path / "report" / "figures" / "spread.svg").exists()


@pytest.mark.parametrize(
    ("code", "path", "said"),
    [
        ("", "Spread", "a dotted path was expected"),
        ("", "mysections_not_there.Spread", "there is no module 'mysections_not_there'"),
        (EXAMPLE, "mysections.Sprad", "did you mean 'Spread'?"),
        ("class Spread: ...", "mysections.Spread", "is no subclass of benchmark.report.section.ReportSection"),
        ("1 / 0", "mysections.Spread", "importing mysections failed: ZeroDivisionError"),
        (f"{BASE}class Own(ReportSection):\n    file = 'summary'", "mysections.Own", "its file is named 'summary'"),
        (f"{BASE}class Own(ReportSection):\n    file = '../own'", "mysections.Own", "its file is named '../own'"),
        (f"{BASE}class Own(ReportSection):\n    ...", "mysections.Own", "section 'mysections.Own' failed: NotImplementedError"),
        (
            f"{BASE}class Own(ReportSection):\n    def show(self, results, table, figures):\n        return results.nothing",
            "mysections.Own",
            "section 'mysections.Own' failed: AttributeError: 'Results' object has no attribute 'nothing'",
        ),
    ],
)
def test_what_is_wrong_with_a_users_section_is_said_in_a_line(own, tmp_path, undrawn, code, path, said):
    own(code)
    folder = write_study(tmp_path / "study", [("dcgan", "done", -1.0)])
    with pytest.raises(UserError) as caught:
        make_report([folder], tmp_path / "report", [path])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_names_its_own_sections_and_is_read_where_they_are_not(own, tmp_path, undrawn):
    own(f"{BASE}class Own(ReportSection):\n    def show(self, results, table, figures):\n        yield Section('own', 'Mine')")
    named = ["mysections.Own", "mysections_elsewhere.Other"]
    folder = write_study(tmp_path / "study", [("dcgan", "done", -1.0)], sections=named)
    page = make_report([folder], tmp_path / "report", ["mysections.Own"]).read_text()
    assert page.count('id="own"') == 1
    assert "mysections_elsewhere.Other" in page  # why it is not shown


def test_every_section_of_ours_has_a_file_of_its_name():
    """And the other way round: a file in sections/ that nobody lists would never be shown."""
    listed = {section.__module__.rpartition(".")[2] for section in CONTENTS}
    files = {path.stem for path in Path(sections.__file__).parent.glob("*.py")}
    assert files - {"__init__", "prose"} == listed


def test_a_file_of_a_study_names_sections_for_the_report_at_its_end(tmp_path):
    (tmp_path / "mine.yaml").write_text("budget: 1\nmodels: [dcgan]\nsections: [mysections.Spread]\n")
    asked = read_study_file(tmp_path / "mine.yaml")
    study = replace(tiny_study(["dcgan"]), sections=tuple(asked["sections"]))
    assert study.as_json()["sections"] == ["mysections.Spread"]


def test_a_section_that_is_not_there_is_found_out_before_anything_is_trained(tmp_path):
    words = ["run", "--budget", "1", "--models", "dcgan", "--results", str(tmp_path), "--sections", "mysections_not_there.Spread"]
    with pytest.raises(UserError, match="there is no module 'mysections_not_there'"):
        cli.main(words, standalone_mode=False)
    assert not list(tmp_path.iterdir())
