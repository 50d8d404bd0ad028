"""The table of settings: presets pick its values, and what was written before is still read."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.settings import (
    EVALUATION,
    EXTENT,
    PRESETS,
    SETTINGS,
    STUDY,
    TRAINING_SETTINGS,
    WORK,
    Evaluation,
    Evaluator,
    Places,
    Settings,
    Working,
    preset,
)
from tests.support import make_run

ROOT = Path(__file__).parents[2]


def test_every_field_that_a_preset_or_a_user_can_set_is_a_row():
    assert [field.name for field in fields(Settings)] == [*STUDY, "evaluation"]
    assert {field.name for field in fields(Evaluation)} == {*EVALUATION, "inception", "cifar10"}
    assert {field.name for table in (Working, Places) for field in fields(table)} == set(WORK)
    assert len(SETTINGS) == len(STUDY) + len(EVALUATION) + len(WORK)  # no name stands twice: an option is a name alone


def test_every_row_says_what_it_is_and_has_a_value_in_every_preset_or_a_default():
    for name, row in SETTINGS.items():
        assert row.help.rstrip("]").rstrip(".")[-1].isalnum() or row.help.endswith(").")
        assert set(row.presets) == (set() if name in WORK else set(PRESETS))


def test_what_names_a_run_and_what_multiplies_runs():
    assert TRAINING_SETTINGS == ("iterations", "width", "batch_size", "threads", "precision")
    assert EXTENT == ("budget", "seeds")


@pytest.mark.parametrize(
    ("name", "size", "iterations", "width", "critic_images", "budget"),
    [
        ("quick", 28, 180, 0.25, 2_000, 4),
        ("quick", 32, 180, 0.25, 2_000, 4),
        ("quick", 64, 120, 0.125, 1_000, 4),
        ("paper", 64, 7, 1, 10_000, None),
    ],
)
def test_a_preset_picks_for_the_size_of_the_images_and_the_papers_length(name, size, iterations, width, critic_images, budget):
    settings = preset(name, size, paper_iterations=7)
    assert (settings.iterations, settings.width, settings.budget) == (iterations, width, budget)
    assert (settings.evaluation.critic_images, settings.evaluation.critic_width) == (critic_images, width)


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'quick'"):
        preset("qick", 28, 1)


def test_settings_survive_their_file_and_older_files_are_read():
    settings = preset("paper", 28, 1)
    settings = replace(
        settings, evaluation=replace(settings.evaluation, metrics=("mine.A",), cifar10=Evaluator("here", "abc", ""))
    )
    content = json.loads(json.dumps(asdict(settings)))
    assert Settings.from_json(content) == settings
    del content["precision"], content["evaluation"]["metrics"], content["evaluation"]["second_evaluation"]
    content["evaluation"]["calibration"] = content["evaluation"].pop("batch_norm_draws")
    older = replace(settings, evaluation=replace(settings.evaluation, metrics=(), second_evaluation=False))
    assert Settings.from_json(content) == older
    with pytest.raises(TypeError):
        Settings.from_json({**content, "precison": "float32"})


def test_values_that_are_not_given_and_those_of_other_tables_change_no_evaluation():
    evaluation = preset("quick", 28, 1).evaluation
    assert evaluation.changed_by({"critic_steps": None, "iterations": 3, "study": "x"}) == evaluation
    assert evaluation.changed_by({"critic_steps": 3, "metrics": ("a.B",)}) == replace(
        evaluation, critic_steps=3, metrics=("a.B",)
    )


PAPER_ITERATIONS = 987_654
"""Stands for the number of the data set."""


def documented_table() -> str:
    """The table of docs/studies.md, made from the table of settings."""
    columns = [preset(name, size, PAPER_ITERATIONS) for name, size in (("quick", 32), ("quick", 64), ("paper", 32))]
    lines = ["| setting | what | quick, up to 32 pixels | quick, larger | paper |", "| -- | -- | -- | -- | -- |"]
    for name, row in {**STUDY, **EVALUATION}.items():
        values = [getattr(settings if name in STUDY else settings.evaluation, name) for settings in columns]
        lines.append(f"| `{name}` | {row.help} | {' | '.join(map(in_words, values))} |")
    return "\n".join(lines)


def in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value != PAPER_ITERATIONS:
        return f"{value:,}"
    return {None: "all", (): "none", PAPER_ITERATIONS: "the data set's"}.get(value, str(value))


def test_the_table_of_the_documentation_is_the_table_of_the_settings():
    text = (ROOT / "docs" / "studies.md").read_text()
    assert documented_table() in text, documented_table()
    for name in WORK:
        assert f"`{name}`" in text


def test_a_setting_that_comes_later_leaves_studies_readable_and_runs_named(monkeypatch):
    """Its default is what there was before: records without it are read, and a run with that value keeps its name."""
    written = asdict(preset("quick", 28, 1))
    for name in ("precision", "second_evaluation", "metrics"):
        older = {key: value for key, value in written.items() if key != name}
        older["evaluation"] = {key: value for key, value in written["evaluation"].items() if key != name}
        assert Settings.from_json(older) is not None
    run = make_run()
    other = replace(run, settings=replace(run.settings, precision="bfloat16"))
    assert other.id != run.id
    monkeypatch.setattr("benchmark.studies.run.TRAINING_SETTINGS", tuple(n for n in TRAINING_SETTINGS if n != "precision"))
    assert replace(run).id == run.id
