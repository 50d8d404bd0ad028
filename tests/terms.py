"""Take the losses of a small model apart: its terms under known draws and known logits, and where a step down a term leads."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchmark.model.gan_module import GANModule
from tests.support import SHAPE

IMAGES = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
SEED = 1
REAL_LOGITS = torch.tensor([-2.0, -0.5, 0.25, 1.5])
FAKE_LOGITS = torch.tensor([1.75, 0.5, -1.5, -0.75])


class Judge(nn.Module):
    """Scores four real images and any fakes with the logits above."""

    def forward(self, images: Tensor) -> Tensor:
        return REAL_LOGITS if torch.equal(images, IMAGES[:4]) else FAKE_LOGITS


def build(model: type, **options) -> GANModule:
    torch.manual_seed(0)
    return model(SHAPE, latent_dim=6, width=0.125, **options)


def terms(module: GANModule, loss: str, images: Tensor = IMAGES, seed: int = SEED) -> Mapping[str, Tensor]:
    """The terms of a loss with the draws of a seed."""
    with module.drawing_from(torch.Generator().manual_seed(seed)):
        return getattr(module, loss)(images)


def samples(module: GANModule, n: int = len(IMAGES)) -> Tensor:
    """The samples of a loss that draws nothing before them."""
    return module.sample(n, torch.Generator().manual_seed(SEED))


def judged_terms(module: GANModule, loss: str, judge: str = "discriminator") -> dict[str, float]:
    """The terms of a loss where the network called `judge` gives known logits."""
    setattr(module, judge, Judge())
    return {name: value.item() for name, value in terms(module, loss, IMAGES[:4]).items()}


def pull(module: GANModule, network: str, loss: str, term: str, judged: Callable[[], Tensor], rate: float = 1e-3) -> float:
    """How a step of a network down one term of a loss changes the mean of what `judged` returns."""
    parameters = list(getattr(module, network).parameters())
    before = judged().mean().item()
    gradients = torch.autograd.grad(terms(module, loss)[term], parameters, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= rate * gradient
    return judged().mean().item() - before
