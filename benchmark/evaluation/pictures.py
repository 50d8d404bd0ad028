"""Save grids of samples, and of reconstructions beside their originals."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from benchmark.data.datasets import Dataset
from benchmark.data.source import SPLITS
from benchmark.evaluation.samplers import Sampler, draw
from benchmark.files import write_atomically
from benchmark.model.gan_module import Autoencoder
from benchmark.randomness import stream
from metrics.images import as_images, as_pixels

COLUMNS = 10


def save_samples(sampler: Sampler, path: Path, device: torch.device, n: int = 100) -> None:
    """Save a square of n samples as a PNG, from the same latents for every model of a latent size."""
    images = torch.cat(list(draw(sampler, n, stream("pictures", device=device))))
    save_grid(images, path)


def save_reconstructions(autoencoder: Autoencoder, pixels: Tensor, path: Path, device: torch.device, rows: int = 5) -> None:
    """Save images, uint8 (n, c, h, w), in the odd rows of a PNG, the model's reconstruction of each right below it."""
    originals = as_images(pixels[: rows * COLUMNS].to(device))
    with torch.no_grad():
        reconstructions = autoencoder.reconstruct(originals)
    pairs = zip(originals.split(COLUMNS), reconstructions.split(COLUMNS), strict=True)
    save_grid(torch.cat([row for pair in pairs for row in pair]), path)


def save_grid(images: Tensor, path: Path, columns: int = COLUMNS) -> None:
    """Save images (n, c, h, w) in [-1, 1], row by row, as a PNG."""
    grid = make_grid(as_pixels(images).cpu(), nrow=columns, padding=2, pad_value=255)
    buffer = io.BytesIO()
    Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy()).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


def save_preview(dataset: Dataset, path: Path) -> Path:
    """Save a contact sheet of a data set: three rows of ten images of each split, then the mean training image (of 10,000)."""
    sheet = [as_images(dataset[split][: 3 * COLUMNS]) for split in SPLITS]
    mean = as_images(dataset["train"][:10_000]).mean(0, keepdim=True)
    save_grid(torch.cat([*sheet, mean]), path)
    return path
