"""Reports as a whole, from folders of records to files, through the command line as a user meets it."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmark.cli.main import cli
from benchmark.errors import UserError
from benchmark.records.rows import Row
from benchmark.records.run_folder import RunFolder
from benchmark.records.study_folder import report_folder, study_folders
from benchmark.report.numbers.summary import COLUMNS
from benchmark.report.write import make_report
from metrics.catalogue import METRICS
from tests import golden
from tests.benchmark.report.pretended import (
    AGAIN,
    PretendedRun,
    at_end,
    page_data,
    report_of,
    without_value,
    write_grid,
    write_runs,
    write_study,
)

ROOT = Path(__file__).parents[3]
ATTACK = "<script>alert(1)</script>"


class Elements(HTMLParser):
    """A page as a browser takes it: its elements with their attributes, and its text without scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found, self.text, self.code, self.inside = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        (self.code if self.inside in ("script", "style") else self.text).append(data)


def report(*words, results):
    return CliRunner().invoke(cli, ["report", *words, "--results", str(results)])


def page_of(*folders) -> str:
    return (report_of(*folders) / "index.html").read_text()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def small_study(folder):
    """Enough for every kind of figure but few of each."""
    runs = [PretendedRun("real", rows=[at_end("critic", -0.5), at_end("sample_diversity", 0.5)])]
    runs += [
        PretendedRun(
            model,
            rows=[at_end("critic", value - seed), at_end("sample_diversity", 1 / (seed + 2)), at_end("critic", value, AGAIN),
                  at_end("loss/generator", 1), at_end("critic_curve/test", 1), at_end("critic_curve/validation", 1)],
            hyperparameters={"rate": value, "name": "ä"},
            seed=seed,
        )
        for model, value, seed in [("dcgan", -1, 0), ("dcgan", -1, 1), ("dcgan", -4, 0), ("dcgan", -4, 1), ("mine.MyGAN", -2, 0)]
    ]  # fmt: skip
    return write_runs(folder, runs)


# Names are names


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A report, drawn, of a study in which every word that a user chooses is an attack."""
    cells = [{f"{ATTACK}": f"{ATTACK} {number}", "note": "a & b | c_d $x % \\ <!--"} for number in range(2)]
    runs = [PretendedRun(ATTACK, rows=[at_end("critic", -number)], hyperparameters=cell) for number, cell in enumerate(cells)]
    runs += [
        PretendedRun(ATTACK, "failed", hyperparameters=cells[0], reason=f"ValueError: {ATTACK} </td> \u2028 ]]>"),
        PretendedRun("my_package.My_GAN", rows=[at_end("critic", -3), at_end(f"{ATTACK}", 1)]),
        PretendedRun("a&b|c.$d", rows=[at_end("critic", -3), without_value("fid", "unavailable", ATTACK)]),
    ]
    folder = tmp_path_factory.mktemp("attacked") / "study"
    return report_of(write_runs(folder, runs, study=ATTACK, preset=ATTACK, environment={"torch": ATTACK}))


def test_what_a_user_writes_is_never_markup_of_the_page(attacked):
    page = (attacked / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    elements = Elements(page)
    assert "alert(1)" in "".join(elements.text)
    known = {"", "module", "application/json"}
    assert {attributes.get("type", "") for tag, attributes in elements.found if tag == "script"} <= known
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    data = page_data(page)
    assert data["runs"]["model"]["levels"] == [ATTACK, "my_package.My_GAN", "a&b|c.$d"]
    assert data["runs"]["reason"]["levels"][1].startswith(f"ValueError: {ATTACK}")
    assert data["hyperparameters"][ATTACK]["levels"] == [f"{ATTACK} 0", f"{ATTACK} 1"]
    scripts = [text for text in elements.code if text.strip().startswith("{")]
    assert scripts
    assert not any(ATTACK in text for text in scripts)  # neither in JSON as it stands in the page


def test_figures_of_hostile_names_are_drawn(attacked):
    drawn = sorted(path.stem for path in (attacked / "figures").glob("*.svg"))
    assert {"critic", "best_of_k", "probability_of_improvement"} <= set(drawn)
    assert any(name.startswith("hyperparameters_1_") for name in drawn)
    for name in drawn:
        assert re.fullmatch(r"[\w-]+", name), name  # no name of a model is a path
        ElementTree.parse(attacked / "figures" / f"{name}.svg")
        with Image.open(attacked / "figures" / f"{name}.png") as picture:
            assert picture.width > 200


def test_papers_tables_of_hostile_names_are_valid(attacked):
    markdown = (attacked / "summary.md").read_text()
    assert r"\<script\>alert(1)\</script\>" in markdown
    assert not re.search(r"(?<!\\)<", markdown)
    rows = [line for line in markdown.splitlines() if line]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1
    latex = (attacked / "summary.tex").read_text()
    assert r"My\_GAN" in latex
    assert r"\$d" in latex
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body.strip().splitlines()}) == 1


def test_csv_files_hold_the_names_as_they_are(attacked):
    summary = pd.read_csv(attacked / "summary.csv")
    assert set(summary.model) == {ATTACK, "my_package.My_GAN", "a&b|c.$d"}
    assert ATTACK in json.loads(pd.read_csv(attacked / "records.csv").hyperparameters[0])


def test_the_page_is_self_contained_and_escapes(tmp_path):
    folder = write_study(tmp_path / "x", [(ATTACK, "done", -1.0), ("dcgan", "failed", None)])
    page = page_of(folder)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "\\u003cb\\u003e" in page  # the hyperparameter "<b>", which stands in the page's data
    assert 'src="data:image/png;base64,' in page
    for _, attributes in Elements(page).found:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert not re.match(r"\s*(https?:)?//", attributes.get(name) or "")
    assert "default-src 'none'" in page


# The same every time


@pytest.mark.processes
def test_a_report_of_the_same_records_is_the_same_to_the_byte(tmp_path):
    """Also in a process that hashes words otherwise, in another place and time zone."""
    first = contents(report_of(small_study(tmp_path / "study")))
    assert {Path(name).suffix for name in first} == {"", ".html", ".csv", ".md", ".tex", ".png", ".svg"}
    line = [sys.executable, "-m", "benchmark", "report", "study", "--results", str(tmp_path), "--output", str(tmp_path / "again")]
    subprocess.run(line, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "1", "COLUMNS": "40", "TZ": "Asia/Tokyo"})
    assert contents(tmp_path / "again") == first


def test_a_second_report_is_like_the_first_and_nothing_of_an_earlier_one_stays(tmp_path, undrawn):
    folder = write_study(tmp_path / "study", [("dcgan", "done", -1.0), ("dcgan", "done", -2.0), ("age", "done", -3.0)])
    first = contents(report_of(folder))
    (folder / "report" / "figures" / "of_an_earlier_report.png").write_bytes(b"")
    assert contents(report_of(folder)) == first


@pytest.mark.processes
def test_the_report_imports_no_torch():
    subprocess.run(
        [sys.executable, "-c", "import benchmark.report.write, sys; assert 'torch' not in sys.modules"], check=True, cwd=ROOT
    )


# The golden records


@pytest.fixture(scope="module")
def golden_page(golden_report):
    return (golden_report / "index.html").read_text()


def test_the_golden_page_has_every_section(golden_page):
    anchors = [attributes["id"] for tag, attributes in Elements(golden_page).found if tag == "section"]
    assert anchors == [
        "how-runs-ended",
        "critic", "sample_diversity", "inception_score", "mode_kl", "reconstruction_l1",
        "critic-against-diversity",
        "samples", "best-by-metric", "reconstructions", "codes",
        "best-again", "best-of-k", "equal-budget", "improvement", "agreement", "hyperparameters", "seeds",
        "critic-curves", "cost",
        "not-measured",
        "all-runs",
    ]  # fmt: skip
    text = "".join(Elements(golden_page).text)
    assert "digits + pictures" in text
    assert f"{METRICS['fid'].title}: no weights" in text
    assert "warning: 3 of 8" in text


def test_the_golden_page_says_what_its_numbers_say(golden_page):
    text = " ".join("".join(Elements(golden_page).text).split())
    for words in (
        "colormnist-mini: By the median of its runs α-GAN is best here (-3.5, with an interval that overlaps that of DCGAN) and "
        "MyGAN is last (-10); real images score -0.5; noise scores -20. Each box holds 3 to 8 runs: a sweep over up to 4 "
        "configurations, with up to 2 seeds of each.",
        "cifar10: By the median of its runs α-GAN is best here (-2.5, with an interval that overlaps that of DCGAN); real "
        "images score -0.25; AGE has no median: 1 of its 2 runs have no value. Each box holds 2 to 4 runs: a sweep over "
        "hyperparameters, not repeated seeds.",
        "By the median distance to real images of its runs MyGAN is best here (0.0625, with an interval that overlaps that of "
        "α-GAN) and DCGAN and AGE are last (0.375)",
        "1 run is still to come",
        "0 of 6 pairs of models can be told apart (p < 0.05 after Holm's correction).",
        "α-GAN: most goes with the learning rate, 100% of the variance of the ranks (chance 33%, p = 0.17 after Holm's "
        "correction), which chance may have made.",
        "scores validation images as high as test images",
    ):
        assert words in text, words


def test_the_golden_report_lies_as_files(golden_report):
    assert {path.name for path in golden_report.iterdir()} == {
        ".alphagan-report", "index.html", "figures", "records.csv", "summary.csv", "summary.md", "summary.tex", "best_of_k.csv",
        "equal_budget.csv", "improvement.csv", "agreement.csv", "hyperparameters.csv", "seeds.csv",
    }  # fmt: skip
    figures = {path.stem for path in (golden_report / "figures").iterdir()}
    assert {f"hyperparameters_{number}" for number in range(1, 9)} == {
        name.rpartition("_")[0] for name in figures if "hyper" in name
    }
    assert {"samples_1", "reconstructions_1", "code_means_1"} <= figures
    assert not {"samples_2", "fid"} & figures


def test_the_page_counts_how_runs_ended(golden_page):
    table = re.search(r'id="how-runs-ended".*?</table>', golden_page, re.DOTALL)[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
    assert rows[0] == ["setting", "model", "configurations", "seeds", "done", "diverged", "failed", "running", "missing"]
    assert ["colormnist-mini", "AGE", "3", "2", "3", "1", "1", "0", "1"] in rows
    assert ["cifar10", "AGE", "2", "1", "1", "0", "1", "0", "0"] in rows
    assert ["colormnist-mini", "MyGAN", "2", "2", "4", "0", "0", "0", "0"] in rows
    assert len(rows) == 1 + 6 + 5


def test_the_page_holds_every_run_and_what_is_missing_is_missing(golden_page):
    data = page_data(golden_page)
    values = {metric: dict(zip(data["keys"], columns["value"], strict=True)) for metric, columns in data["values"].items()}
    assert len(data["keys"]) == 26 + 12
    assert list(data["metrics"]) == ["critic", "sample_diversity", "inception_score", "mode_kl", "reconstruction_l1"]
    assert values["critic"]["alphagan-0-0"] == -1
    assert values["critic"]["age-1-0"] is None  # failed
    assert values["reconstruction_l1"]["alphagan-1-1"] is None  # not measured
    assert values["reconstruction_l1"]["dcgan-0-0"] is None  # of no meaning there
    assert 0 not in {value for numbers in values.values() for value in numbers.values()}
    critic = data["values"]["critic"]
    run = data["keys"].index("alphagan-0-0")
    assert [critic[name][run] for name in ("value", "low", "high", "second")] == [-1, -1.25, -0.75, -2.5]
    status = data["runs"]["status"]
    assert status["levels"][status["codes"][data["keys"].index("age-1-1")]] == "diverged"
    reason = data["runs"]["reason"]
    assert reason["levels"][reason["codes"][data["keys"].index("age-1-0")]] == "RuntimeError: a bug in the model"


def test_the_best_runs_show_their_curves_and_pictures_first(golden_page):
    scripts = re.findall(r'<script type="application/json" data-run="([^"]*)">(.*?)</script>', golden_page)
    details = {key: json.loads(text) for key, text in scripts}
    assert len(details) == 26 + 12
    assert scripts[0][0] == "alphagan-0-0"  # the best by the critic
    assert details["alphagan-0-0"]["curves"][0] == ["loss/generator/total", [5, 10], [0.8, 0.4]]
    assert set(details["alphagan-0-0"]["pictures"]) == {"samples", "reconstructions"}
    assert details["age-2-0"]["pictures"] == {}  # missing


# The command line


def test_the_command_names_the_page(tmp_path, undrawn):
    folder = write_study(tmp_path / "one", [("dcgan", "done", -1.0)])
    answer = report("one", results=tmp_path)
    assert (answer.exit_code, answer.output) == (0, f"report: {folder / 'report' / 'index.html'}\n")
    assert not (folder / "report" / "figures" / "seeds.png").exists()


def test_several_studies_share_a_page_and_each_has_its_own_if_none_is_named(tmp_path, undrawn):
    write_study(tmp_path / "one", [("dcgan", "done", -1.0)])
    write_runs(tmp_path / "other", [PretendedRun("dcgan", rows=[at_end("critic", -2)], name="b")], dataset="cifar10")
    answer = report("one", "other", results=tmp_path)
    assert answer.output == f"report: {tmp_path / 'one+other' / 'report' / 'index.html'}\n"
    page = (tmp_path / "one+other" / "report" / "index.html").read_text()
    panels = [panel for panels in page_data(page)["charts"].values() for panel in panels]
    assert [panel["title"] for panel in panels] == ["colormnist-mini", "cifar10"]
    assert [panel["runs"] for panel in panels] == [[0], [1]]  # never in one
    summary = pd.read_csv(tmp_path / "one+other" / "report" / "summary.csv")
    assert summary[["study", "setting", "runs", "median"]].to_numpy().tolist() == [
        ["one", "colormnist-mini", 1, -1],
        ["other", "cifar10", 1, -2],
    ]
    assert "setting" in (tmp_path / "one+other" / "report" / "summary.md").read_text().splitlines()[0]
    answer = report(results=tmp_path)
    assert answer.output.splitlines() == [f"report: {tmp_path / name / 'report' / 'index.html'}" for name in ("one", "other")]


def test_mistakes_are_said_in_a_line(tmp_path):
    write_runs(tmp_path / "planned", [PretendedRun("dcgan", "missing")])
    for words, said in (
        (["planned"], "no records yet"),
        (["plannd"], "did you mean 'planned'"),
        (["--output", str(tmp_path / "x")], "--output is for the page of studies that are named"),
    ):
        answer = report(*words, results=tmp_path)
        assert isinstance(answer.exception, UserError)
        assert said in str(answer.exception)
        assert "\n" not in str(answer.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["planned"]


# Whatever there is


def test_one_run_and_a_users_model_make_a_report(tmp_path):
    page = page_of(write_study(tmp_path / "one", [("mypackage.MyGAN", "done", -1.0)]))
    assert "mypackage.MyGAN" in page
    assert "The median of the runs of MyGAN is -1. Each box holds 1 run." in page


def test_a_study_of_sanity_rows_alone_has_a_page(tmp_path, undrawn):
    page = page_of(write_study(tmp_path / "sane", [("real", "done", -0.1), ("noise", "done", -8.0)]))
    assert "No model has a median here" in page
    assert (tmp_path / "sane" / "report" / "summary.md").exists()


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_where_every_run_was_lost_the_page_says_how(tmp_path, status, undrawn):
    page = page_of(write_study(tmp_path / "lost", [("dcgan", status, None), ("dcgan", status, None)]))
    data = page_data(page)
    assert data["runs"]["status"]["levels"] == [status]
    assert data["runs"]["reason"]["levels"] == ["because"]
    assert data["values"] == {}
    assert (tmp_path / "lost" / "report" / "summary.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_a_study_that_is_still_running_has_a_page(tmp_path, undrawn):
    folder = write_study(tmp_path / "running", [("dcgan", "done", -1.0), ("dcgan", "running", None), ("age", "running", None)])
    with RunFolder(folder / "runs" / "run-1").claimed():
        page = page_of(folder)
    assert page_data(page)["runs"]["status"] == {"levels": ["done", "running", "missing"], "codes": [0, 1, 2]}
    assert page_data(page)["values"]["critic"]["value"] == [-1, None, None]
    assert "2 runs are still to come: what follows is of those that have ended, and will move." in page
    page = page_of(write_study(tmp_path / "late", [("dcgan", "done", -1.0), ("dcgan", "missing", None)]))
    assert "1 run is still to come" in page
    page = page_of(write_study(tmp_path / "ended", [("dcgan", "done", -1.0), ("dcgan", "failed", None)]))
    assert "still to come" not in page


def test_what_was_not_measured_is_listed_with_its_reason(tmp_path, undrawn):
    absent = without_value("fid", "unavailable", "no <weights>", {"steps": 200})
    folder = write_study(tmp_path / "absent", [("dcgan", "done", -1.0)], further=lambda _: [absent])
    page = page_of(folder)
    assert "Fréchet Inception distance: no &lt;weights&gt;" in page
    assert not (folder / "report" / "figures" / "fid.png").exists()


def test_a_metric_of_another_version_is_named_and_kept(tmp_path, undrawn):
    rows = [at_end("<beauty>", 1), Row(0, "<beauty>", 2)]
    folder = write_study(tmp_path / "newer", [("dcgan", "done", -1.0), ("dcgan", "done", -2.0)], further=lambda _: rows)
    assert "&lt;beauty&gt;: 4 rows of a metric that this version does not know" in page_of(folder)
    assert (pd.read_csv(folder / "report" / "records.csv").metric == "<beauty>").sum() == 4


def test_without_real_images_nobody_is_nearest_to_them(tmp_path, undrawn):
    runs = [PretendedRun("dcgan", rows=[at_end("sample_diversity", value), at_end("critic", -1)]) for value in (0.25, 0.5)]
    folder = write_runs(tmp_path / "blind", runs)
    page = page_of(folder)
    assert "No ranking: the nearest to real images is best here, and they have no value." in page
    row = pd.read_csv(folder / "report" / "summary.csv").set_index("metric").loc["sample_diversity"]
    assert row[["best", "quartile_1", "median", "quartile_3", "iqr"]].isna().all()
    charts = [panel for panels in page_data(page)["charts"].values() for panel in panels]
    assert charts[1]["best"] == []


@pytest.mark.slow
@pytest.mark.parametrize("values", [(-1, -1, -1), (1e30, -1e30, 1e-30)], ids=str)
def test_constant_huge_and_tiny_values_make_a_page(tmp_path, values, undrawn):
    runs = [
        PretendedRun(model, rows=[at_end(metric, value, half=abs(value) / 2) for metric in ("fid", "sample_diversity")],
                     hyperparameters={"rate": value, "number": number}, seed=number)
        for model in ("real", "dcgan", "age")
        for number, value in enumerate(values)
    ]  # fmt: skip
    folder = write_runs(tmp_path / "size", runs)
    assert page_data(page_of(folder))["values"]["fid"]["value"] == [*values] * 3
    summary = pd.read_csv(folder / "report" / "summary.csv").set_index(["metric", "model"])
    assert summary.loc[("fid", "dcgan"), "best"] == min(values)


def test_one_configuration_with_many_seeds_makes_a_page(tmp_path, undrawn):
    runs = [PretendedRun(model, rows=[at_end("critic", -seed)], seed=seed) for model in ("dcgan", "age") for seed in range(1, 8)]
    page = page_of(write_runs(tmp_path / "seeds", runs))
    assert "a single configuration of a model says nothing about others, so no pair was tested." in page
    assert "Every configuration has one seed" not in page


def test_a_damaged_picture_costs_its_run_the_picture_and_nothing_else(tmp_path, undrawn):
    folder = write_study(tmp_path / "torn", [("dcgan", "done", -1.0), ("dcgan", "done", -2.0)])
    write_grid(folder / "runs" / "run-1" / "samples.png", 1)
    (folder / "runs" / "run-0" / "samples.png").write_bytes((folder / "runs" / "run-1" / "samples.png").read_bytes()[:60])
    page = page_of(folder)
    assert "run-0/samples.png cannot be read" in page
    details = dict(re.findall(r'data-run="([^"]*)">(.*?)</script>', page))
    assert json.loads(details["run-0"])["pictures"] == {}
    assert set(json.loads(details["run-1"])["pictures"]) == {"samples"}


def test_a_report_lies_where_it_is_wanted(tmp_path, undrawn):
    folder = write_study(tmp_path / "one", [("dcgan", "done", -1.0)])
    assert make_report([folder], tmp_path / "a" / "b") == tmp_path / "a" / "b" / "index.html"
    assert not (folder / "report").exists()


def test_the_golden_records_stay_as_they_are(golden_report):
    """A report writes into its own folder only."""
    assert {path.name for path in golden.FOLDER.iterdir()} == {*golden.STUDIES, golden.SUMMARY}
    assert {path.name for path in (golden.FOLDER / "digits").iterdir()} == {"study.json", "runs"}


def test_nothing_of_anybody_elses_is_touched(tmp_path):
    study = write_runs(tmp_path / "study", [PretendedRun("dcgan", rows=[at_end("critic", -1.0)])])
    paper = tmp_path / "paper"
    (paper / "figures").mkdir(parents=True)
    (paper / "figures" / "mine.png").write_text("a picture")
    for place in (paper, study, study / "runs", study / "runs" / "run-0"):
        with pytest.raises(UserError, match="holds other things than a report"):
            make_report([study], place)
    assert (paper / "figures" / "mine.png").read_text() == "a picture"
    assert not (paper / "index.html").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "holiday.png").write_text("a picture")
    report = study / "report"
    report.mkdir()
    (report / "figures").symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link to another place"):
        make_report([study], report)
    assert [path.name for path in elsewhere.iterdir()] == ["holiday.png"]


@pytest.mark.slow
def test_figures_that_an_earlier_report_had_go_and_folders_stay(tmp_path):
    study = write_runs(tmp_path / "study", [PretendedRun("dcgan", rows=[at_end("critic", -1.0)])])
    figures = make_report([study], tmp_path / "again").parent / "figures"
    (figures / "fid.png").write_text("of another time")
    (figures / "folder.png").mkdir()
    make_report([study], tmp_path / "again")
    assert not (figures / "fid.png").exists()
    assert (figures / "folder.png").is_dir()


def test_the_folder_of_several_studies_is_nobody_elses(tmp_path):
    folders = [write_runs(tmp_path / name, [PretendedRun("dcgan")]) for name in ("p", "q", "p+q", "other/p")]
    with pytest.raises(UserError, match="name one with --output"):
        report_folder(tmp_path, folders[:2])
    with pytest.raises(UserError, match="name one with --output"):
        report_folder(tmp_path, [folders[0], folders[3]])
    assert report_folder(tmp_path, [folders[1], folders[3]]) == tmp_path / "q+p" / "report"
    (tmp_path / "link").symlink_to(folders[0])
    assert study_folders(tmp_path, ["p", "link", str(folders[0])]) == [folders[0]]


def test_a_formula_in_a_name_is_a_name(tmp_path):
    odd = {"$\\frac{$": 1, "rate": "$\\bad$1"}
    runs = [PretendedRun("a.$x^{$", rows=[at_end("critic", value)], hyperparameters=odd | {"n": value}) for value in (-1.0, -2.0)]
    assert make_report([write_runs(tmp_path / "odd", runs)], tmp_path / "odd" / "report").exists()
