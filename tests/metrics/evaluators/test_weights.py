import os
import pickle

import pytest
import torch
from torch import nn

from metrics.evaluators.weights import WeightsError, load_into, read_weights, save_weights


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.pt"
    return path, save_weights(network(), path)


def test_weights_come_back_rounded_to_half_precision_under_their_hash(file):
    path, digest = file
    weights = read_weights(path, digest[:8])
    assert weights.sha256 == digest
    again = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    load_into(again, weights, path)
    for ours, theirs in zip(again.state_dict().values(), network().state_dict().values(), strict=True):
        assert torch.equal(ours, theirs.half().float() if theirs.is_floating_point() else theirs)
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_the_same_weights_make_the_same_file(file, tmp_path):
    assert save_weights(network(), tmp_path / "weights2.pt") == save_weights(network(), tmp_path / "weights3.pt")


def test_a_file_that_is_missing_cut_off_another_or_no_weights_is_refused(file, tmp_path):
    path, _ = file
    with pytest.raises(WeightsError, match="cannot read"):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(WeightsError, match="not the pinned file"):
        read_weights(path, "0" * 64)
    (tmp_path / "cut.pt").write_bytes(path.read_bytes()[:700])
    with pytest.raises(WeightsError, match="cut off"):
        read_weights(tmp_path / "cut.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(WeightsError, match="no file of weights"):
        read_weights(tmp_path / "text.pt")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    with pytest.raises(WeightsError, match="no tensors by name"):
        read_weights(tmp_path / "numbers.pt")
    with pytest.raises(WeightsError, match="another network than Linear"):
        load_into(nn.Linear(2, 2), read_weights(path), path)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_nothing_in_a_file_is_run(tmp_path):
    """A pickle that makes a folder when it is loaded, in torch's format and plain."""
    torch.save({"weight": Harm(tmp_path / "harm")}, tmp_path / "harmful.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Harm(tmp_path / "harm"), protocol=2))
    for name in ("harmful.pt", "plain.pt"):
        with pytest.raises(WeightsError):
            read_weights(tmp_path / name)
    assert not (tmp_path / "harm").exists()
