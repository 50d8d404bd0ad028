"""Write pictures and codes as runs do, and read what a figure shows of them."""

import numpy as np
import torch

from benchmark.evaluation.pictures import save_grid
from benchmark.report.drawing.galleries import Shown
from benchmark.report.drawing.style import colours
from metrics.images import as_images

SIZE = 28
COLOURS = colours(["alphagan", "alphagan_kl", "dcgan"])


def write_run(folder, model="alphagan", label="critic −0.61", pixels=None, pairs=None, codes=None):
    folder.mkdir(parents=True)
    if pixels is not None:
        save_grid(as_images(pixels), folder / "samples.png")
    if pairs is not None:  # as save_reconstructions does
        rows = zip(*(half.split(10) for half in pairs), strict=True)
        save_grid(as_images(torch.cat([row for pair in rows for row in pair])), folder / "reconstructions.png")
    if codes is not None:
        mean, covariance = codes
        np.savez_compressed(folder / "codes.npz", mean=np.asarray(mean, float), covariance=np.asarray(covariance, float))
    return Shown(folder, model, label)


def shown(axes):
    """The image that the axes hold, (h, w, 3)."""
    (image,) = axes.images
    assert image.get_interpolation() == "none"
    return np.asarray(image.get_array())
