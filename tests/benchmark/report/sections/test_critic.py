"""Does the critic overfit? Its gap and its curves by hand."""

from benchmark.records.rows import Row
from benchmark.report.sections.critic import Critic
from tests import golden
from tests.benchmark.report.pretended import (
    PROTOCOL,
    PretendedRun,
    results_of,
    shown,
    write_runs,
    write_study,
)


def test_a_critic_overfits_where_its_gap_is_more_than_chance_and_more_than_a_tenth():
    results = results_of(golden.FOLDER / "digits")
    rows = Critic().table(results).set_index("model").to_dict("index")
    # The gap of 0.25, from 0.125 on, is more than a tenth of 1, 2 and 2 of the α-GAN, and of 1.5 of DCGAN; of 2.5 it is a tenth.
    assert {model: (row["remembers"], row["n"]) for model, row in rows.items()} == {
        "alphagan": (3, 8), "dcgan": (1, 5), "age": (0, 3), golden.OWN: (0, 4),
    }  # fmt: skip
    assert rows["alphagan"]["distance"] == 3.5
    assert rows["alphagan"]["gap"] == 0.25


def test_a_gap_that_chance_explains_is_none(tmp_path):
    gap = [Row(10, "critic_gap", 0.5, -0.1, 1.1, 5, PROTOCOL)]
    results = results_of(write_study(tmp_path / "chance", [("dcgan", "done", -1.0)], further=lambda _: gap))
    assert Critic().table(results).remembers.tolist() == [0]


def test_the_critic_along_training_on_both_splits(tmp_path, undrawn):
    def curve(*splits):
        return [
            Row(step, f"critic_curve/{split}", value, protocol=PROTOCOL)
            for step, value in ((5, -3.0), (10, -2.0))
            for split in splits
        ]

    both = [PretendedRun("dcgan", rows=curve("validation", "test")), PretendedRun("age", rows=curve("test"))]
    for runs, words in (
        (both, "scores validation images as high as test images (median over 1 run, 0 to 0), where the distance is 2."),
        (both[1:], "no run has both lines."),
    ):
        results = results_of(write_runs(tmp_path / str(len(runs)), runs))
        (section,) = shown(Critic, results, tmp_path / "figures")
        assert words in section.plots[0].sentence


def test_the_gap_of_the_critics_curves_has_a_sign_and_is_told_of_each_setting(tmp_path, undrawn):
    def study(name, validation, **facts):
        runs = [
            PretendedRun(
                "dcgan",
                rows=[
                    Row(step, f"critic_curve/{split}", value - 3 * (step == 5), protocol=PROTOCOL)
                    for step in (5, 10)
                    for split, value in (("validation", one), ("test", -2.0))
                ],
                name=f"{name}-{number}",
            )
            for number, one in enumerate(validation)
        ]
        return write_runs(tmp_path / name, runs, **facts)

    # The curves are -distance, E[f(samples)] - E[f(images)]: test - validation is what validation images score more.
    folders = study("one", [-2.5, -3, -2.25]), study("other", [-1.5], settings={"width": 1})
    results = results_of(*folders)
    (section,) = shown(Critic, results, tmp_path / "figures")
    assert section.plots[0].sentence == (
        "colormnist-mini, width 0.25: At the last point the critic scores validation images 0.5 higher than test images "
        "(median over 3 runs, 0.25 to 1), where the distance is 2. "
        "colormnist-mini, width 1: At the last point the critic scores validation images 0.5 lower than test images "
        "(median over 1 run, -0.5 to -0.5), where the distance is 2."
    )
