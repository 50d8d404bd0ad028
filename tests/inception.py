"""The Inception network with random weights: what torch-fidelity computes with it, ours must, too."""

from pathlib import Path

import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


class _Blank(FeatureExtractorInceptionV3):
    """The network before any weights are loaded."""

    def load_state_dict(self, state_dict, **how):
        pass


def write_random_inception(path: Path) -> Path:
    """Weights by He, so that features neither vanish nor grow."""
    torch.save({}, path)
    network = _Blank("inception", ["2048", "logits_unbiased"], str(path))
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), path)
    return path


def cut_to_trunk(path: Path, target: Path) -> Path:
    """The same with NaN in the last blocks and the classifier, as files go about that hold the trunk only."""
    state = torch.load(path, weights_only=True)
    last = ("Mixed_7b", "Mixed_7c", "fc")
    torch.save({key: value * float("nan") if key.startswith(last) else value for key, value in state.items()}, target)
    return target
