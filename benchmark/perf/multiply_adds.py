"""Count the multiply-adds of an iteration: those that torch executes, and the fewest that the mathematics needs.

`python -m benchmark.perf.multiply_adds` prints both for every model and image size. The counts of our models are committed in
multiply_adds.csv: work that creeps in shows as a difference there.

A multiply-add is one of a matrix product or of a convolution, padding included; all else (activations, batch norm, optimizers) is
proportional to the numbers in the images and weights, and is not counted.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmark.cli.main import run_command
from benchmark.model.registry import DEFAULT_MODELS
from benchmark.model.train import train
from benchmark.perf.models import BATCH, SIZES, build_model

COMMITTED = Path(__file__).with_name("multiply_adds.csv")
WIDTHS = (0.25, 1.0)
LATENT_DIM = 128

Key = tuple[str, int, float]
"""Model, image size, width."""


class _Counter(TorchDispatchMode):
    """Count by torch's own formulas. Its FlopCounterMode also follows modules, and fails at a derivative of a derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=result)
        return result


def count(work: Callable[[], object]) -> int:
    """Count the multiply-adds that torch executes while a function runs, its backward passes included."""
    with _Counter() as counter:
        work()
    return counter.operations // 2  # torch counts the product and the sum


def count_ours(model: str, size: int, width: float, batch: int = 2) -> int:
    """Count the multiply-adds of one iteration of one of our models while it trains."""
    module, pixels = build_model(model, size, width), torch.zeros((batch, 3, size, size), dtype=torch.uint8)
    return count(lambda: train(module, pixels, 1, batch))


def committed() -> dict[Key, int]:
    """Read the committed counts of our models: multiply-adds of one iteration with minibatches of 64."""
    with COMMITTED.open(newline="") as file:
        return {(row["model"], int(row["size"]), float(row["width"])): int(row["multiply_adds"]) for row in csv.DictReader(file)}


# What the mathematics needs. A network is a list: for each of its layers, the multiply-adds of a forward pass of one image.

Network = list[int]


def minimum(model: str, size: int, width: float, batch: int) -> int:
    """Compute the multiply-adds that an iteration cannot do without, from the tables of the networks.

    They are proportional to the batch: a forward pass of a layer, the gradients to its weights and those to its inputs take as
    many each. A gradient goes no further than to the first layer of who moves: its weights need one, its inputs none.
    """
    return batch * _MINIMUM[model](size, width)


def forward(network: Network) -> int:
    """Add up a forward pass: every layer."""
    return sum(network)


def moves(network: Network) -> int:
    """Add up a forward pass, gradients to all weights, and to all inputs but those of the first layer."""
    return 3 * sum(network) - network[0]


def lets_through(network: Network) -> int:
    """Add up a forward pass, and gradients to all inputs, for a network in front of it."""
    return 2 * sum(network)


def penalty(critic: Network) -> int:
    """Add up the gradient penalty of WGAN-GP.

    A forward pass; gradients to all inputs, for that of the image; then the derivative of these by the weights, layer by layer
    upwards: for every layer that to its weights, and that to its outputs' gradients, but for the last, whose are constant.
    """
    return lets_through(critic) + sum(critic) + sum(critic[:-1])


def _alphagan(size: int, width: float) -> int:
    e, g, d = encoder(size, width), generator(size, width), discriminator(size, width)
    c = code_discriminator(width)
    # x -> codes, which move; codes -> reconstructions and codes -> logits, both let through
    encoder_update = moves(e) + lets_through(g) + lets_through(c)
    # x -> codes; codes -> reconstructions and z -> samples, which move; the logits of both let through
    generator_update = forward(e) + 2 * moves(g) + 2 * lets_through(d)
    # x -> codes -> reconstructions, z -> samples; logits of real images and of both fakes, which move
    discriminator_update = forward(e) + 2 * forward(g) + 3 * moves(d)
    # x -> codes; logits of latents and of codes, which move
    code_discriminator_update = forward(e) + 2 * moves(c)
    return 2 * encoder_update + 2 * generator_update + discriminator_update + code_discriminator_update


def _dcgan(size: int, width: float) -> int:
    g, d = generator(size, width), discriminator(size, width)
    # z -> samples, which move; their logits let through
    generator_update = moves(g) + lets_through(d)
    # z -> samples; logits of real images and of samples, which move
    discriminator_update = forward(g) + 2 * moves(d)
    return 2 * generator_update + discriminator_update


def _wgan_gp(size: int, width: float) -> int:
    g, critic = generator(size, width), discriminator(size, width)
    # z -> samples; scores of real images and of samples, which move; and the penalty between them
    critic_update = forward(g) + 2 * moves(critic) + penalty(critic)
    # z -> samples, which move; their scores let through
    generator_update = moves(g) + lets_through(critic)
    return 5 * critic_update + generator_update


def _age(size: int, width: float) -> int:
    g, e = generator(size, width), discriminator(size, width, outputs=LATENT_DIM)
    # x -> codes and z -> samples -> codes, both of which move; x's codes -> reconstructions, let through
    encoder_update = 2 * moves(e) + forward(g) + lets_through(g)
    # z -> samples, which move; their codes let through
    generator_update = moves(g) + lets_through(e)
    return encoder_update + (3 if size >= 64 else 2) * generator_update


_MINIMUM: dict[str, Callable[[int, float], int]] = {"alphagan": _alphagan, "dcgan": _dcgan, "wgan_gp": _wgan_gp, "age": _age}

# The networks' tables: (feature maps, side of the output) of each convolution, from the image inwards.
_KERNEL = {28: 5, 32: 4, 64: 4}
_HALVINGS = {32: ((64, 16), (128, 8), (256, 4)), 64: ((64, 32), (128, 16), (256, 8), (512, 4))}
_ENCODER = {28: ((32, 14), (64, 14), (64, 7)), **_HALVINGS}
_DISCRIMINATOR = {28: ((8, 14), (16, 14), (32, 7), (64, 7), (64, 4)), **_HALVINGS}


def encoder(size: int, width: float) -> Network:
    """List the layers from images to codes."""
    return _downwards(_ENCODER[size], _KERNEL[size], width, LATENT_DIM)


def generator(size: int, width: float) -> Network:
    """List the layers from latents to images: the encoder's mirror image, in which the same numbers of adjacent layers meet."""
    return encoder(size, width)[::-1]


def discriminator(size: int, width: float, outputs: int = 1) -> Network:
    """List the layers from images to logits or scores, or of AGE's encoder."""
    return _downwards(_DISCRIMINATOR[size], _KERNEL[size], width, outputs)


def code_discriminator(width: float) -> Network:
    """List the layers from codes to logits: three hidden ones of 750."""
    hidden = _maps(750, width)
    return [LATENT_DIM * hidden, hidden * hidden, hidden * hidden, hidden]


def _downwards(table: tuple[tuple[int, int], ...], kernel: int, width: float, outputs: int) -> Network:
    layers, inputs, side = [], 3, 0
    for count, side in table:
        layers.append(side**2 * kernel**2 * inputs * _maps(count, width))
        inputs = _maps(count, width)
    return [*layers, side**2 * inputs * outputs]


def _maps(count: int, width: float) -> int:
    return max(1, round(count * width))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--write", is_flag=True, help="Commit the counts: write multiply_adds.csv anew.")
def main(write: bool) -> None:
    """Count the multiply-adds of one iteration with minibatches of 64 for every model, image size and width."""
    click.echo(f"{'model':<10}{'size':>5}{'width':>7}{'millions':>12}{'minimum':>12}{'ratio':>8}")
    counts: dict[Key, int] = {}
    for model in DEFAULT_MODELS:
        for size in SIZES:
            for width in WIDTHS:
                # Proportional to the batch, which is held small; 2, because batch norm needs more than one number of a kind.
                counted = counts[model, size, width] = count_ours(model, size, width, batch=2) * BATCH // 2
                least = minimum(model, size, width, BATCH)
                click.echo(f"{model:<10}{size:>5}{width:>7g}{counted / 1e6:>12,.1f}{least / 1e6:>12,.1f}{counted / least:>8.3f}")
    if write:
        with COMMITTED.open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("model", "size", "width", "multiply_adds"))
            rows.writerows((*key, value) for key, value in counts.items())


if __name__ == "__main__":
    run_command(main)
