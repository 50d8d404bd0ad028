"""Compute the Wasserstein objective and its gradient penalty: the independent critic reports them, WGAN-GP trains with them.

Arjovsky et al. 2017 (arXiv 1701.07875), Gulrajani et al. 2017 (arXiv 1704.00028).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Critic = Callable[[Tensor], Tensor]
"""Images (n, c, h, w) to one score each, (n,). Scores of one image must not depend on the others: no batch norm."""


def critic_loss(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Compute E[f(fake)] - E[f(real)], which a critic minimizes (Gulrajani et al. 2017, equation 3, first part).

    Minus its minimum over 1-Lipschitz f is the Wasserstein-1 distance, so the loss is at most 0 for a critic that works.

    Args:
        critic: scores images; see `Critic`.
        real: (n, c, h, w).
        fake: (m, c, h, w).

    Returns:
        A scalar in score units.
    """
    return critic(fake).mean() - critic(real).mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Compute the mean over samples of (||grad f(x)||_2 - 1)^2 at points x between real and fake; Gulrajani et al. 2017, eq. 3.

    One point per pair, uniform on the segment between them. Unweighted: multiply by the penalty weight (10 in both papers).
    Where the gradient is exactly 0 the penalty is 1 and its own gradient is 0, not NaN as a plain square root would give.

    Args:
        critic: scores images; see `Critic`.
        real: (n, c, h, w), on the device of `generator`.
        fake: (n, c, h, w).
        generator: the source of the n interpolation weights; None takes torch's global one.

    Returns:
        A non-negative scalar that can be differentiated by the critic's parameters.

    Raises:
        ValueError: if real and fake differ in shape.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real and fake images must pair up: {tuple(real.shape)} against {tuple(fake.shape)}")
    weight_shape = (len(real),) + (1,) * (real.ndim - 1)
    weight = torch.rand(weight_shape, generator=generator, device=real.device, dtype=real.dtype)
    between = torch.lerp(real.detach(), fake.detach(), weight)
    gradient = input_gradient(critic, between)
    squared = gradient.flatten(1).square().sum(1)
    flat = squared == 0
    norm = squared.masked_fill(flat, 1.0).sqrt().masked_fill(flat, 0.0)
    return (norm - 1).square().mean()


def input_gradient(critic: Critic, inputs: Tensor) -> Tensor:
    """Compute the gradient of the sum of a critic's scores by its inputs, which can be differentiated by the critic's parameters.

    For convolutions, linear layers and leaky ReLUs in a row it is written out. It depends on the values in such a network only by
    their signs, whose derivative is 0. Autograd does not know that and sends zeros back through all layers, and differentiates
    convolutions twice in slower ways: measured on a CPU, a penalty and its derivative take it 1.6 to 1.9 times as long.

    Args:
        critic: scores images; see `Critic`.
        inputs: (n, ...).

    Returns:
        The gradient, of the shape of inputs; 0 for a critic that ignores them.
    """
    if _is_written_out(critic):
        with torch.no_grad():
            scores, given = _forward(critic, inputs)
        return _gradient_layer_by_layer(critic, scores, given)
    return _scores_and_gradient_by_autograd(critic, inputs)[1]


def scores_and_input_gradient(critic: Critic, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Compute a critic's scores and the gradient of their sum by its inputs, in one forward pass.

    Args:
        critic: scores images; see `Critic`.
        inputs: (n, ...).

    Returns:
        Scores, (n,), and the gradient, of the shape of inputs: see `input_gradient`. Both can be differentiated by the critic's
        parameters.
    """
    if _is_written_out(critic):
        scores, given = _forward(critic, inputs)
        return scores, _gradient_layer_by_layer(critic, scores, given)
    return _scores_and_gradient_by_autograd(critic, inputs)


def _scores_and_gradient_by_autograd(critic: Critic, inputs: Tensor) -> tuple[Tensor, Tensor]:
    inputs = inputs.detach().requires_grad_(True)
    scores = critic(inputs)
    if not scores.requires_grad:
        return scores, torch.zeros_like(inputs)
    (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True, allow_unused=True, materialize_grads=True)
    return scores, gradient


def _is_written_out(critic: Critic) -> TypeGuard[nn.Sequential]:
    return isinstance(critic, nn.Sequential) and all(_is_linear_by_parts(layer) for layer in critic)


def _is_linear_by_parts(layer: nn.Module) -> bool:
    """Whether the gradient of a layer is known here; one with hooks may be anything."""
    if layer._forward_hooks or layer._forward_pre_hooks:
        return False
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) in (nn.Linear, nn.LeakyReLU, nn.Flatten)


def _forward(network: nn.Sequential, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What a network gives, and what each of its layers is given, as constants."""
    values, given = inputs, []
    for layer in network:
        given.append(values.detach())
        values = layer(values)
    return values, given


def _gradient_layer_by_layer(network: nn.Sequential, scores: Tensor, given: Sequence[Tensor]) -> Tensor:
    gradient = torch.ones_like(scores)
    for layer, before in zip(reversed(network), reversed(given), strict=True):
        if isinstance(layer, nn.Conv2d):
            gradient = _through_convolution(layer, gradient, before.shape)
        elif isinstance(layer, nn.Linear):
            gradient = gradient @ layer.weight
        elif isinstance(layer, nn.LeakyReLU):  # which may have worked in place: it leaves signs as they are
            gradient = torch.ops.aten.leaky_relu_backward(gradient, before, layer.negative_slope, False)
        else:
            gradient = gradient.reshape(before.shape)
    return gradient


def _through_convolution(layer: nn.Conv2d, gradient: Tensor, shape: torch.Size) -> Tensor:
    """The gradient by a convolution's inputs of this shape, as a transposed convolution."""
    padding = [int(pad) for pad in layer.padding]
    geometry = zip(shape[2:], gradient.shape[2:], layer.kernel_size, layer.stride, padding, layer.dilation, strict=True)
    rest = [side - ((out - 1) * stride - 2 * pad + gap * (kernel - 1) + 1) for side, out, kernel, stride, pad, gap in geometry]
    return F.conv_transpose2d(gradient, layer.weight, None, layer.stride, padding, rest, layer.groups, layer.dilation)
