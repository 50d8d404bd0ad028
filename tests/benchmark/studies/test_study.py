import itertools
from dataclasses import replace

import numpy as np
import pytest

from baselines import DCGAN
from benchmark.data.datasets import RECIPES, load_dataset
from benchmark.errors import UserError
from benchmark.model.fingerprint import code_fingerprint
from benchmark.model.registry import ALIASES, dotted_path, import_model, short_name
from benchmark.studies.run import Run
from benchmark.studies.study import describe_study, resolve
from tests.support import make_run


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("colormnist-mini")


def cells(study, model="dcgan"):
    return [run.hyperparameters for run in study.runs if run.model == model]


def test_the_quick_study_has_four_configurations_of_each_model_and_two_sanity_rows(dataset):
    study = resolve(dataset)
    counts = {model: sum(run.model == model for run in study.runs) for model in {run.model for run in study.runs}}
    assert counts == {"alphagan": 4, "dcgan": 4, "wgan_gp": 4, "age": 4, "real": 1, "noise": 1}
    assert len({run.id for run in study.runs}) == 18
    assert study.name == "colormnist-mini-quick"


def test_the_papers_grid_is_the_product_of_its_values(dataset):
    study = resolve(dataset, "paper", ["dcgan", "alphagan"])
    assert {model: counts["grid"] for model, counts in study.models.items()} == {"dcgan": 27, "alphagan": 1296}
    assert len(cells(study)) == 27
    assert {cell["learning_rate"] for cell in cells(study)} == {1e-4, 2e-4, 3e-4}
    assert {cell["latent_dim"] for cell in cells(study)} == {10, 50, 75}
    assert {cell["width"] for cell in cells(study)} == {1.0}
    assert study.settings.iterations == 100_000


RATES, HIGHER = [1e-4, 2e-4, 3e-4], [1e-4, 2e-4, 1e-3]
WEIGHTS = [1, 5, 10, 50]
PAPER = {
    "dcgan": {"learning_rate": RATES, "discriminator_learning_rate": RATES},
    "wgan_gp": {"learning_rate": RATES, "critic_learning_rate": RATES},
    "age": {"learning_rate": [1e-4, 2e-4, 5e-4], "code_weight": [0.78125, 3.90625, 7.8125, 15.625]},
    "alphagan": {
        "learning_rate": HIGHER, "discriminator_learning_rate": HIGHER, "code_discriminator_learning_rate": HIGHER,
        "encoder_reconstruction_weight": WEIGHTS, "generator_reconstruction_weight": WEIGHTS,
    },
}  # fmt: skip
"""docs/studies.md, by hand."""


@pytest.mark.parametrize(
    ("name", "iterations", "latent_dims", "cells_of"),
    [
        ("colormnist", 100_000, [10, 50, 75], {"dcgan": 27, "wgan_gp": 27, "age": 36, "alphagan": 1296}),
        ("cifar10", 200_000, [128], {"dcgan": 9, "wgan_gp": 9, "age": 12, "alphagan": 432}),
    ],
)
def test_the_papers_grids_cell_by_cell(dataset, name, iterations, latent_dims, cells_of):
    recipe, shape = RECIPES[name], (3, 28, 28) if name == "colormnist" else (3, 32, 32)
    images = replace(
        dataset, name=name, image_shape=shape, latent_dims=recipe.latent_dims, paper_iterations=recipe.paper_iterations
    )
    study = resolve(images, "paper")
    assert {model: counts["configurations"] for model, counts in study.models.items()} == cells_of
    assert study.settings.iterations == iterations
    assert study.settings.batch_size == 64
    for model, values in PAPER.items():
        product = itertools.product(*({**values, "latent_dim": latent_dims}.values()))
        swept = [*values, "latent_dim"]
        assert sorted(tuple(cell[key] for key in swept) for cell in cells(study, model)) == sorted(product)
        fixed = {key: {cell[key] for cell in cells(study, model)} for key in cells(study, model)[0] if key not in swept}
        assert fixed.pop("width") == {1.0}
        assert (
            fixed
            == {
                "dcgan": {},
                "wgan_gp": {"penalty_weight": {10.0}},
                "age": {"reconstruction_weight": {10.0}, "generator_updates": {None}},
                "alphagan": {"code_prior": {"discriminator"}},
            }[model]
        )


def test_a_users_values_replace_the_classs_key_by_key(dataset):
    sweeps = {"dcgan": {"learning_rate": [1e-3], "latent_dim": [4, 5]}, "baselines.AGE": {}}
    study = resolve(dataset, models=sweeps, study="mine", width=0.5, budget=99)
    assert {model: counts["grid"] for model, counts in study.models.items()} == {"dcgan": 1 * 3 * 2, "age": 36}
    assert {cell["learning_rate"] for cell in cells(study)} == {2e-3}
    assert {cell["latent_dim"] for cell in cells(study)} == {4, 5}
    assert {cell["discriminator_learning_rate"] for cell in cells(study)} == {2e-4, 4e-4, 6e-4}
    assert DCGAN.sweep["learning_rate"] == (1e-4, 2e-4, 3e-4)


def test_a_study_with_sweeps_of_its_own_is_not_taken_for_the_one_without(dataset):
    with pytest.raises(UserError, match="needs a name"):
        resolve(dataset, models={"dcgan": {"latent_dim": [4]}})
    assert resolve(dataset, models={"dcgan": {}}).name == resolve(dataset, models=["dcgan"]).name


def test_a_users_value_of_no_hyperparameter(dataset):
    with pytest.raises(UserError, match="unknown hyperparameter 'learning_rte': did you mean 'learning_rate'"):
        resolve(dataset, models={"dcgan": {"learning_rte": [1e-3]}}, study="mine")


def test_a_larger_budget_extends_a_smaller_one_and_a_small_grid_is_used_whole(dataset):
    few, more, whole_grid = (resolve(dataset, models=["dcgan"], budget=n) for n in (3, 7, 1000))
    assert cells(more)[:3] == cells(few)
    assert len(cells(whole_grid)) == 27
    assert whole_grid.models["dcgan"] == {"grid": 27, "configurations": 27}
    assert any("the whole grid of 27: fewer than BUDGET=1000" in line for line in describe_study(whole_grid, dataset))
    whole = describe_study(resolve(dataset, models=["dcgan"], budget=27), dataset)
    assert any("the whole grid of 27, seeds" in line for line in whole)
    assert not any("fewer" in line for line in whole)


def test_seeds_repeat_the_same_configurations(dataset):
    study = resolve(dataset, models=["age"], seeds=2, budget=2)
    runs = [run for run in study.runs if run.model == "age"]
    assert sorted(run.seed for run in runs) == [0, 0, 1, 1]
    assert len({str(run.hyperparameters) for run in runs}) == 2


def test_models_take_turns(dataset):
    models = [run.model for run in resolve(dataset).runs]
    assert models[:6] == ["real", "noise", "alphagan", "dcgan", "wgan_gp", "age"]


def test_learning_rates_are_divided_by_the_width(dataset):
    full, narrow = (resolve(dataset, models=["wgan_gp"], width=width, budget=27) for width in (1.0, 0.25))
    assert {cell["critic_learning_rate"] for cell in cells(full, "wgan_gp")} == {1e-4, 2e-4, 3e-4}
    assert {cell["critic_learning_rate"] for cell in cells(narrow, "wgan_gp")} == {4e-4, 8e-4, 1.2e-3}
    assert {cell["width"] for cell in cells(narrow, "wgan_gp")} == {0.25}


def test_every_hyperparameter_is_said_defaults_too(dataset):
    assert set(cells(resolve(dataset, models=["age"]), "age")[0]) == {
        "latent_dim", "learning_rate", "reconstruction_weight", "code_weight", "generator_updates", "width",
    }  # fmt: skip


def test_a_runs_identity_is_what_determines_its_weights():
    run = make_run()
    assert make_run().id == run.id
    for other in (
        replace(run, seed=1),
        replace(run, hyperparameters={**run.hyperparameters, "latent_dim": 5}),
        replace(run, fingerprint="other pixels"),
        replace(run, code="other code"),
        replace(run, settings=replace(run.settings, iterations=5)),
        replace(run, settings=replace(run.settings, threads=2)),
    ):
        assert other.id != run.id
    for same in (
        replace(run, settings=replace(run.settings, evaluation=replace(run.settings.evaluation, critic_steps=99))),
        replace(make_run("real"), settings=replace(run.settings, evaluation=replace(run.settings.evaluation, mode_samples=9))),
        replace(run, settings=replace(run.settings, budget=99, seeds=9)),
    ):
        assert same.id == replace(run, model=same.model, path=same.path).id


def test_too_few_samples_for_the_splits_are_refused_at_once(dataset):
    with pytest.raises(UserError, match="10 splits need at least 20"):
        resolve(dataset, score_splits=10, cifar10_samples=19)


def test_a_run_survives_its_file(dataset):
    from dataclasses import asdict
    from json import dumps, loads

    for run in resolve(dataset, budget=1).runs:
        assert Run.from_json(loads(dumps(asdict(run)))).id == run.id


MINE = """from baselines import DCGAN
import torch_mine_helper

class Mine(DCGAN):
    "{}"
    rate = {}  # {}
"""


def test_the_code_fingerprint_follows_code_and_not_comments(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    model_file, helper_file = tmp_path / "torch_mine.py", tmp_path / "torch_mine_helper.py"
    helper_file.write_text("factor = 1\n")
    model_file.write_text(MINE.format("a", 1, "x"))
    model = import_model("torch_mine.Mine")
    first = code_fingerprint(model)
    assert first != code_fingerprint(DCGAN)
    model_file.write_text(MINE.format("other words", 1, "other comment"))
    assert code_fingerprint(model) == first
    model_file.write_text(MINE.format("a", 2, "x"))
    assert code_fingerprint(model) != first
    model_file.write_text(MINE.format("a", 1, "x"))
    helper_file.write_text("factor = 2\n")
    assert code_fingerprint(model) != first


def test_libraries_are_no_part_of_the_code_fingerprint(monkeypatch):
    import lightning_fabric.utilities.device_dtype_mixin as library

    before = code_fingerprint(DCGAN)
    monkeypatch.setattr(library, "__file__", __file__)
    assert code_fingerprint(DCGAN) == before


class Odd(DCGAN):
    """Values of numpy, a tuple, a rate that is None."""

    sweep = {"latent_dim": np.array([10, 50]), "betas": ((0.5, 0.9), (0.0, 0.9))}

    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-3, critic_learning_rate=None, betas=(0.5, 0.9), width=1.0):
        super().__init__(image_shape, latent_dim, learning_rate, width=width)


def test_values_are_as_json_holds_them(dataset):
    study = resolve(dataset, models=["tests.benchmark.studies.test_study.Odd"], budget=9)
    runs = [run.hyperparameters for run in study.runs if not run.is_reference]
    assert len(runs) == 4
    assert {cell["latent_dim"] for cell in runs} == {10, 50}
    assert [0.5, 0.9] in [cell["betas"] for cell in runs]
    assert runs[0]["critic_learning_rate"] is None
    assert runs[0]["learning_rate"] == 4e-3


def test_names(dataset):
    assert resolve(dataset, models=["dcgan"], iterations=7).name == "colormnist-mini-quick-dcgan-iterations7"
    assert resolve(dataset, budget=2, seeds=3).name == "colormnist-mini-quick"  # more runs of the same study
    assert resolve(dataset, study="mine", iterations=7).name == "mine"
    assert {short_name(dotted_path(name)) for name in ALIASES} == set(ALIASES)
    assert dotted_path("tests.support.Tiny") == "tests.support.Tiny"
    assert short_name("tests.support.Tiny") == "tests.support.Tiny"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["dcgn"], "did you mean 'dcgan'"),
        (["nopackage.Mine"], "no module 'nopackage'"),
        (["baselines.DCGN"], "did you mean 'DCGAN'"),
        (["benchmark.records.rows.Row"], "no subclass"),
        (["tests.benchmark.model.test_check.NoSweepKey"], "did you mean 'learning_rate'"),
        ([], "no model"),
    ],
)
def test_what_names_nothing(dataset, models, message):
    with pytest.raises(UserError, match=message):
        resolve(dataset, models=models)


def test_an_unknown_preset(dataset):
    with pytest.raises(UserError, match="did you mean 'quick'"):
        resolve(dataset, "qick")
