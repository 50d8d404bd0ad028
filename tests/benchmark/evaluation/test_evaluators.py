"""Pretrained networks: found and tried before a study starts, trained with a log, and never another one than was asked for."""

import json
from dataclasses import replace

import pytest
import torch

from benchmark.data.datasets import load_dataset
from benchmark.errors import UserError
from benchmark.evaluation import train_evaluators as evaluator_training
from benchmark.evaluation.evaluate import reference_subject
from benchmark.evaluation.evaluators import find_cifar10, find_evaluators, find_inception
from benchmark.evaluation.train_evaluators import train_cifar10
from metrics.evaluators import cifar, inception
from metrics.evaluators.cifar import Cifar10Classifier, load_cifar10_classifier
from metrics.evaluators.cifar_training import RECIPES, Cifar10Training
from metrics.evaluators.weights import save_weights
from tests.benchmark.evaluation.test_evaluate import CPU, measure, photographs, scope
from tests.inception import cut_to_trunk, write_random_inception
from tests.support import SETTINGS

RECIPE = replace(RECIPES["short"], steps=4, batch_size=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    whole = write_random_inception(folder / "inception.pth")
    torch.manual_seed(0)
    save_weights(Cifar10Classifier(), folder / "cifar10.pt")
    return {"whole": whole, "trunk": cut_to_trunk(whole, folder / "trunk.pth"), "cifar10": folder / "cifar10.pt"}


@pytest.mark.slow
def test_scores_of_a_users_weights_name_them(files, tmp_path, monkeypatch):
    monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path))
    here = scope(photographs(), inception_samples=8, inception_width=64, cifar10_samples=8)
    evaluation = find_evaluators(here.evaluation, here.dataset, files["trunk"], files["cifar10"])
    here = replace(here, settings=replace(here.settings, evaluation=evaluation))
    rows = {row.metric: row for row in measure(reference_subject("noise", here, CPU), 1)}
    assert rows["inception_score"].value is None
    assert "lacks" in rows["inception_score"].reason
    for metric in ("fid", "kid", "precision", "recall"):
        assert rows[metric].value is not None
        assert rows[metric].protocol["weights"] == evaluation.inception.sha256[:12]
    assert 1 <= rows["cifar10_inception_score"].value <= 10
    assert rows["cifar10_inception_score"].protocol["weights"] == evaluation.cifar10.sha256[:12]
    assert find_evaluators(evaluation, here.dataset) == evaluation  # what a study has found stays
    with pytest.raises(UserError, match="no finite features of width 2048"):
        find_evaluators(replace(evaluation, inception_width=2048), here.dataset)
    digits = load_dataset("colormnist-mini")  # nothing to photographs' networks: they are not even looked for
    assert find_evaluators(SETTINGS.evaluation, digits, files["cifar10"], files["whole"]) == SETTINGS.evaluation


@pytest.mark.slow
def test_files_that_are_not_the_network_are_refused_before_anything_runs(files, tmp_path):
    with pytest.raises(UserError, match="not the Inception"):
        find_inception(files["cifar10"], 2048, 100)
    with pytest.raises(UserError, match="no finite features of width 2048"):
        find_inception(files["trunk"], 2048, 100)
    with pytest.raises(UserError, match="another network than Cifar10Classifier"):
        find_cifar10(files["whole"])
    cut = tmp_path / "cut.pth"
    cut.write_bytes(files["whole"].read_bytes()[:100_000])
    with pytest.raises(UserError, match="cut off"):
        find_inception(cut, 2048, 100)


def test_without_weights_there_is_a_reason_and_no_other_network(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(inception, "URL", (tmp_path / "nowhere" / "weights.pth").as_uri())
    assert "cannot be downloaded" in find_inception(None, 2048, 100).missing
    assert find_inception(None, 2048, 0).missing
    monkeypatch.setattr(cifar, "SHA256", "")
    assert "train-evaluator cifar10" in find_cifar10(None).missing


@pytest.mark.slow
def test_the_download_is_checked_by_its_hash(monkeypatch, tmp_path, files):
    """A file server with another file than the published one, then with the one that is asked for."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(inception, "URL", files["whole"].as_uri())
    assert "hash" in find_inception(None, 64, 100).missing
    assert not list((tmp_path / "checkpoints").iterdir())
    digest = find_inception(files["whole"], 64, 100).sha256
    monkeypatch.setattr(inception, "PUBLISHED", digest[:8])
    evaluator = find_inception(None, 64, 100)
    assert (evaluator.sha256, evaluator.missing) == (digest, "")
    assert evaluator.path == str(tmp_path / "checkpoints" / "inception.pth")


@pytest.fixture
def few_images(monkeypatch):
    source = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20, 3, 32, 32), generator=source, dtype=torch.uint8).numpy()
    labels = (torch.arange(20) % 10).numpy()
    monkeypatch.setattr(evaluator_training, "labelled_cifar10", lambda _: {"train": (images, labels), "test": (images, labels)})


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_and_ends_with_the_same_weights_and_log(few_images, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    said = list(train_cifar10(tmp_path, tmp_path / "whole" / "w.pt", RECIPE, CPU))
    assert "test error" in said[0]
    log = json.loads((tmp_path / "whole" / "w.json").read_text())
    assert [point["step"] for point in log["curve"]] == [1, 2, 3, 4]
    assert log["sha256"] == load_cifar10_classifier(tmp_path / "whole" / "w.pt")[1]
    assert 0 <= log["test_error"] <= 1
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {"w.pt", "w.json"}

    advance = Cifar10Training.advance

    def killed_at_two(self, steps):
        if self.step == 2:
            raise KeyboardInterrupt
        return advance(self, steps)

    monkeypatch.setattr(Cifar10Training, "advance", killed_at_two)
    with pytest.raises(KeyboardInterrupt):
        list(train_cifar10(tmp_path, tmp_path / "w.pt", RECIPE, CPU))
    monkeypatch.setattr(Cifar10Training, "advance", advance)
    with pytest.raises(UserError, match="another recipe"):
        list(train_cifar10(tmp_path, tmp_path / "w.pt", replace(RECIPE, steps=5), CPU))
    with pytest.raises(UserError, match="another --output"):
        list(train_cifar10(tmp_path, tmp_path / "w.json", RECIPE, CPU))
    said = list(train_cifar10(tmp_path, tmp_path / "w.pt", RECIPE, CPU))
    assert "from step 2 of 4" in said[0]
    again = json.loads((tmp_path / "w.json").read_text())
    assert {**again, "seconds": 0} == {**log, "seconds": 0}
    assert (tmp_path / "w.pt").read_bytes() == (tmp_path / "whole" / "w.pt").read_bytes()
