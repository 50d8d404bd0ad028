"""Critic against diversity: which runs are in it, and their correlation."""

import pytest
from scipy import stats

from benchmark.report.sections.scatter import Scatter, paired
from tests import golden
from tests.benchmark.report.pretended import PretendedRun, at_end, results_of, shown, write_runs


def test_runs_with_both_values_are_points_and_their_costs_correlate(tmp_path, undrawn):
    results = results_of(golden.FOLDER / "digits")
    (section,) = shown(Scatter, results, tmp_path)
    (panel,) = section.plots[0].chart.panels
    points = {point.run: (point.x, point.value) for point in panel.points}
    assert points["alphagan-0-0"] == (0.5, -1)
    assert "mygan-1-0" not in points  # its diversity was not finite
    assert len(points) == 8 + 5 + 3 + 3
    real = 0.5  # nearness to it counts, and not diversity
    runs = paired(results.main["sample_diversity"][0], results.main["critic"][0])
    assert runs.x_cost.tolist() == pytest.approx((runs.x - real).abs().tolist())
    correlation = stats.spearmanr((runs.x - real).abs(), -runs.y).statistic
    assert (
        f"over 19 runs of all models nearness to the diversity of real images and the critic have a rank correlation of "
        f"{correlation:.2f}" in section.plots[0].sentence
    )


def test_nothing_is_drawn_of_settings_without_both_metrics(tmp_path, undrawn):
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -1)]), PretendedRun("age", rows=[at_end("sample_diversity", 0.5)])]
    assert not shown(Scatter, results_of(write_runs(tmp_path / "apart", runs)), tmp_path)
    few = [PretendedRun("dcgan", rows=[at_end("critic", -1), at_end("sample_diversity", 0.5)])]
    (section,) = shown(Scatter, results_of(write_runs(tmp_path / "few", few)), tmp_path)
    assert "too few runs" in section.plots[0].sentence
