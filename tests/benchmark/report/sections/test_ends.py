"""How the runs ended, counted."""

import pytest

from benchmark.report.sections.ends import Ends
from tests.benchmark.report.pretended import PretendedRun, at_end, results_of, shown, write_runs, write_study


def test_ends_are_counted_by_model_the_sanity_rows_first(study, tmp_path):
    (section,) = shown(Ends, results_of(study), tmp_path)
    (table,) = section.tables
    assert table.columns == ["model", "configurations", "seeds", "done", "diverged", "failed", "running", "missing"]
    assert table.rows == [
        ["real images", 1, 1, 1, 0, 0, 0, 0],
        ["noise", 1, 1, 1, 0, 0, 0, 0],
        ["DCGAN", 1, 1, 5, 0, 0, 0, 0],
        ["AGE", 1, 1, 2, 1, 1, 0, 1],  # nobody works on the run that has begun
    ]
    assert table.note.startswith("1 run is still to come")


def test_settings_stand_apart(tmp_path):
    one = write_study(tmp_path / "one", [("dcgan", "done", -1.0)])
    other = write_runs(tmp_path / "other", [PretendedRun("dcgan", "failed", name="b")], dataset="cifar10")
    (section,) = shown(Ends, results_of(one, other), tmp_path)
    assert [row[:2] for row in section.tables[0].rows] == [["colormnist-mini", "DCGAN"], ["cifar10", "DCGAN"]]


@pytest.mark.parametrize(("seeds", "notes"), [(1, 1), (2, 0)])
def test_it_is_said_where_every_configuration_has_one_seed(tmp_path, seeds, notes):
    runs = [PretendedRun("dcgan", rows=[at_end("critic", -1)], seed=seed) for seed in range(seeds)]
    folder = write_runs(tmp_path / "seeds", [PretendedRun("real"), PretendedRun("real"), *runs])
    (section,) = shown(Ends, results_of(folder), tmp_path)
    assert len(section.notes) == notes
