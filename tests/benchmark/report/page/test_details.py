"""What the page shows of single runs."""

from benchmark.report.page.details import Details, entries, shown_first
from tests import golden
from tests.benchmark.report.pretended import PretendedRun, at_end, results_of, write_grid, write_runs


def test_runs_have_their_values_by_the_main_protocol_and_lost_runs_have_none():
    runs = {run.key: run for run in entries(results_of(golden.FOLDER / "digits"))}
    best = runs["alphagan-0-0"].values["critic"]
    assert (best.value, best.low, best.high, best.second) == (-1, -1.25, -0.75, -2.5)
    assert (runs["age-1-0"].status, runs["age-1-0"].reason) == ("failed", "RuntimeError: a bug in the model")
    assert runs["age-1-0"].values == {}
    assert "reconstruction_l1" not in runs["alphagan-1-1"].values  # it was not finite


def test_the_best_by_each_metric_in_turn_come_first_and_every_run_comes_once(tmp_path):
    critic, modes = {"a": -1, "b": -2, "c": -3}, {"a": 3, "b": 2, "c": 1}
    runs = [
        PretendedRun("dcgan", rows=[at_end("critic", critic[name]), at_end("mode_kl", modes[name])], name=name) for name in critic
    ]
    lost = PretendedRun("dcgan", "failed", name="lost")
    assert shown_first(results_of(write_runs(tmp_path / "study", [lost, *runs]))) == ["a", "c", "b", "lost"]


def test_curves_and_pictures_are_read_and_a_damaged_picture_is_none(tmp_path):
    curve = [at_end("loss/generator", value, iteration=step) for step, value in ((5, 2.0), (10, 1.0))]
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -1), *curve], name=name) for name in ("whole", "torn")]
    folder = write_runs(tmp_path / "study", runs)
    for name in ("whole", "torn"):
        write_grid(folder / "runs" / name / "samples.png", 1)
    torn = folder / "runs" / "torn" / "samples.png"
    torn.write_bytes(torn.read_bytes()[:60])
    details = Details(results_of(folder))
    assert details["whole"].curves == {"loss/generator": [(5, 2.0), (10, 1.0)]}
    assert set(details["whole"].pictures) == {"samples"}
    assert details["torn"].pictures == {}
