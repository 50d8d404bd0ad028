"""Whose pictures are shown, and what is said of those that cannot be read."""

from benchmark.report.sections.pictures import Pictures, best_runs
from tests.benchmark.report.pretended import (
    results_of,
    shown,
    write_codes,
    write_grid,
    write_study,
)

REAL = ("real", "done", -0.1)


def test_pictures_are_of_the_best_run_by_the_critic(tmp_path, undrawn):
    folder = write_study(
        tmp_path / "shown", [REAL, *(("dcgan", "done", value) for value in (-3.0, -1.0, -2.0)), ("age", "diverged", None)]
    )
    for number in range(4):
        write_grid(folder / "runs" / f"run-{number}" / "samples.png", number)
    results = results_of(folder)
    sections = shown(Pictures, results, tmp_path / "figures")
    assert [section.anchor for section in sections] == ["samples", "best-by-metric"]
    best = best_runs(results.tables, results.by_setting("colormnist-mini"), "colormnist-mini")
    assert {model: run.folder.name for model, run in best.items()} == {"real": "run-0", "dcgan": "run-2"}
    assert best["dcgan"].label == "critic -1"


def test_what_cannot_be_read_is_said_also_where_nothing_is_left_to_be_shown(tmp_path, undrawn):
    folder = write_study(tmp_path / "torn", [("dcgan", "done", -1.0)])
    (folder / "runs" / "run-0" / "samples.png").write_bytes(b"\x89PNG torn")
    results = results_of(folder)
    (section,) = shown(Pictures, results, tmp_path / "figures")
    assert "run-0/samples.png cannot be read" in section.notes[0]
    write_codes(folder / "runs" / "run-0" / "codes.npz", [0, 1], [1, 1])
    assert [section.anchor for section in shown(Pictures, results, tmp_path / "figures")] == [
        "codes",
        "unreadable-pictures",
    ]
