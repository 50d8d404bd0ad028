"""A run's model back from its folder."""

from dataclasses import asdict

import pytest
import torch

from benchmark import load
from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.model.train import Watcher
from benchmark.studies.run import Run
from benchmark.trial.load import build_model, restore
from benchmark.trial.trial import run_trial
from tests.support import make_run, prepare

ITERATIONS = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that is done."""
    folder = prepare(tmp_path_factory.mktemp("runs") / "age", make_run("baselines.AGE", ITERATIONS))
    assert run_trial(folder, "cpu", Watcher()) == "done", (folder / "status.json").read_text()
    return folder


def test_a_trained_model_comes_back_as_it_was_evaluated(trained):
    module = load(trained)
    assert module.iteration == ITERATIONS
    assert not any(part.training for part in module.modules())
    images = module.sample(5, torch.Generator().manual_seed(0))
    assert images.shape == (5, 3, 28, 28)
    assert torch.equal(images, load(trained).sample(5, torch.Generator().manual_seed(0)))
    assert module.reconstruct(images).shape == images.shape


def test_its_weights_are_those_of_the_checkpoint(trained):
    run, module = restore(trained)
    saved = torch.load(trained / "checkpoint.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in module.state_dict().items())
    initial = build_model(run).state_dict()
    assert not torch.equal(initial["generator.0.weight"], saved["generator.0.weight"])


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        load(tmp_path)
    write_json(tmp_path / "run.json", asdict(make_run("real")))
    with pytest.raises(UserError, match="sanity row 'real'"):
        load(tmp_path)
    folder = prepare(tmp_path / "new", make_run())
    with pytest.raises(UserError, match="no checkpoint"):
        load(folder)


def test_a_damaged_checkpoint_is_named(trained, tmp_path):
    (tmp_path / "run.json").write_bytes((trained / "run.json").read_bytes())
    (tmp_path / "checkpoint.ckpt").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"checkpoint\.ckpt cannot be loaded"):
        load(tmp_path)


def test_code_that_is_not_what_the_run_was_named_for_is_refused(trained):
    run = Run.from_json({**read_json(trained / "run.json"), "code": "older"})
    with pytest.raises(UserError, match=r"the code of baselines\.AGE is not what run"):
        build_model(run)
