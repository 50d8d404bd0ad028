"""Run the Inception network of 2015-12-05, which published scores come from: one pass gives logits and features for all metrics.

Salimans et al. 2016 (arXiv 1606.03498), Heusel et al. 2017 (arXiv 1706.08500). The network is torch-fidelity's port, equal to the
original to rounding, with the original's bilinear resize to 299 pixels. Other ports and torchvision's network give other numbers.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import filelock
import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from metrics.checks import check_images
from metrics.evaluators.weights import Weights, WeightsError, read_weights
from metrics.images import as_pixels
from metrics.rounding import full_precision

PUBLISHED = "6726825d"
"""The first digits of the published file's sha256, as its name tells them."""
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-{PUBLISHED}.pth"
AT_ONCE = 50
"""Images in a pass of the network: 500 take 8 GB and twice the time of each."""
WIDTHS = (64, 192, 768, 2048)
"""Features that can be had. Published distances are of 2048; the others are of earlier layers, and other numbers."""


@dataclass(frozen=True)
class InceptionOutput:
    """Hold what the network says of images, on the CPU."""

    features: Tensor
    """(n, width)."""
    logits: Tensor | None
    """(n, 1008), without the biases, as published scores have them; None for a network without its last layers."""


class InceptionNetwork:
    """Run the network with its weights.

    Args:
        weights: of the whole network, or of its trunk with NaN in place of the rest.
        width: of the features: 2048 for distances that compare with published ones.
        device: where it runs.

    Raises:
        WeightsError: if the weights are another network's, or give no finite features of this width.
    """

    def __init__(self, weights: Weights, width: int = 2048, device: torch.device | str = "cpu") -> None:
        if width not in WIDTHS:
            raise ValueError(f"the network has features of {', '.join(map(str, WIDTHS))}, not of {width}")
        self.sha256, self.width, self.device = weights.sha256, width, torch.device(device)
        self._network = _network(weights, width).to(self.device, memory_format=torch.channels_last)
        probe = torch.linspace(0, 255, 3 * 32 * 32).reshape(1, 3, 32, 32).byte().to(self.device)
        features, logits = self._network(probe)
        if not features.isfinite().all():
            raise WeightsError(
                f"the Inception weights {self.sha256[:12]} give no finite features of width {width}; a file of the trunk has 768"
            )
        self.has_logits = bool(logits.isfinite().all())
        if not self.has_logits:
            self._network.features_list = [str(width)]  # the pass then ends at the features

    @classmethod
    def load(
        cls, path: Path, sha256: str | None = None, width: int = 2048, device: torch.device | str = "cpu"
    ) -> InceptionNetwork:
        """Read the weights from a file, and check its hash if one is given.

        Raises:
            WeightsError: if the file is missing, damaged or another one.
        """
        return cls(read_weights(path, sha256), width, device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> InceptionOutput:
        """Pass images (n, 3, h, w) in [-1, 1], which are rounded to 8 bits as if they were written to a file.

        Raises:
            ValueError: for images of another range, type or number of channels.
        """
        check_images(images, channels=3)
        with full_precision():
            parts = [self._network(as_pixels(part).to(self.device)) for part in images.split(AT_ONCE)]
        features, *logits = (torch.cat([part.cpu() for part in output]) for output in zip(*parts, strict=True))
        return InceptionOutput(features, logits[0] if logits else None)

    def over(self, batches: Iterable[Tensor]) -> InceptionOutput:
        """Pass batches of images through the network, one after the other."""
        outputs = [self(images) for images in batches]
        logits = [output.logits for output in outputs if output.logits is not None]
        return InceptionOutput(torch.cat([output.features for output in outputs]), torch.cat(logits) if logits else None)


def _network(weights: Weights, width: int) -> FeatureExtractorInceptionV3:
    """torch-fidelity's network. It unpickles what it is given: here tensors that were read safely and written anew."""
    buffer = io.BytesIO()
    torch.save(dict(weights.state), buffer)
    buffer.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception", [str(width), "logits_unbiased"], buffer)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:160]
        raise WeightsError(f"the weights {weights.sha256[:12]} are not the Inception network's: {detail}") from None


def cached_output(folder: Path, network: InceptionNetwork, content: str, batches: Iterable[Tensor]) -> InceptionOutput:
    """Compute the network's output for images that are measured again and again once, and keep it.

    Args:
        folder: where outputs are kept.
        network: whose output it is.
        content: what tells these images from all others: a hash of their pixels.
        batches: the images; not looked at when the output is there.
    """
    versions = f"{torch.__version__} {version('torch-fidelity')} {network.device.type}"
    name = hashlib.sha256(f"{content} {network.sha256} {network.width} {versions}".encode()).hexdigest()[:24]
    path = folder / f"inception-{name}.pt"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_suffix(".lock")):  # of two processes one computes, the other waits for it
        if (kept := _kept(path)) is not None:
            return kept
        output = network.over(batches)
        part = path.with_suffix(".part")
        torch.save({"features": output.features, "logits": output.logits}, part)
        part.replace(path)
        return output


def _kept(path: Path) -> InceptionOutput | None:
    """The output in a file; None if there is none, or none that can be read: it is then computed anew."""
    try:
        content = torch.load(path, weights_only=True)
        return InceptionOutput(content["features"], content["logits"])
    except Exception:  # damaged files break the reader in many ways
        return None
