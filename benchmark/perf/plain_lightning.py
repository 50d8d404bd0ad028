"""Train the four models as tutorials do: plain LightningModules behind a DataLoader, with a trainer's automatic settings.

Written after the GAN examples of Lightning's and PyTorch's tutorials, and typical in this:

* manual optimization with `toggle_optimizer`, `manual_backward`, `step`, `zero_grad`, `untoggle_optimizer` for each update;
* fakes are detached where a discriminator learns; Adam as torch gives it; each loss is logged, and shown in the progress bar;
* one minibatch an iteration, of which all updates see the same images (ours draws one for each update, so it loads more);
* a data set of uint8 arrays, each image on its way through PIL, `ToTensor` and `Normalize`, in two worker processes;
* the trainer's progress bar, logger, checkpoints and summary are on.

Networks, losses and the order of the updates are those of our models: the mathematics are the same, the rest is the difference.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmark import losses, networks
from benchmark.model.train import Stopped
from benchmark.perf.bursts import Bursts

EPOCH = 50_000
"""Images of an epoch, as in CIFAR-10: none ends while it is timed."""
STORED = 2_000
"""Different images, of which an epoch is made."""
WORKERS = 2


class Plain(pl.LightningModule):
    """Base class of the four."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 128, width: float = 1.0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.image_shape, self.latent_dim = image_shape, latent_dim
        self.generator = networks.generator(image_shape, latent_dim, width)

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.latent_dim, device=self.device)

    def update(self, name: str, optimizer: Any, loss: Callable[[Tensor], Tensor], images: Tensor) -> None:
        """Update one player."""
        self.toggle_optimizer(optimizer)
        value = loss(images)
        self.log(name, value, prog_bar=True)
        self.manual_backward(value)
        optimizer.step()
        optimizer.zero_grad()
        self.untoggle_optimizer(optimizer)


def adam(*players: torch.nn.Module, learning_rate: float = 2e-4) -> torch.optim.Adam:
    """Make Adam with torch's defaults: neither fused nor told how to loop."""
    return torch.optim.Adam([p for player in players for p in player.parameters()], lr=learning_rate, betas=(0.5, 0.9))


class PlainAlphaGAN(Plain):
    """Encoder, generator, encoder, generator, discriminator, code discriminator."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 128, width: float = 1.0) -> None:
        super().__init__(image_shape, latent_dim, width)
        self.encoder = networks.encoder(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width)
        self.code_discriminator = networks.code_discriminator(latent_dim, width)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [adam(self.encoder), adam(self.generator), adam(self.discriminator), adam(self.code_discriminator)]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        images, _ = batch
        encoder, generator, discriminator, code_discriminator = self.optimizers()  # type: ignore[attr-defined]
        for _ in range(2):
            self.update("encoder", encoder, self.encoder_loss, images)
            self.update("generator", generator, self.generator_loss, images)
        self.update("discriminator", discriminator, self.discriminator_loss, images)
        self.update("code_discriminator", code_discriminator, self.code_discriminator_loss, images)

    def encoder_loss(self, images: Tensor) -> Tensor:
        codes = self.encoder(images)
        return 10 * F.l1_loss(self.generator(codes), images) + losses.reverse_kl(self.code_discriminator(codes))

    def generator_loss(self, images: Tensor) -> Tensor:
        reconstructions = self.generator(self.encoder(images))
        samples = self.generator(self.prior(len(images)))
        fooling = losses.reverse_kl(self.discriminator(reconstructions)) + losses.reverse_kl(self.discriminator(samples))
        return 10 * F.l1_loss(reconstructions, images) + fooling

    def discriminator_loss(self, images: Tensor) -> Tensor:
        reconstructions = self.generator(self.encoder(images)).detach()
        samples = self.generator(self.prior(len(images))).detach()
        fakes = losses.fake_loss(self.discriminator(reconstructions)) + losses.fake_loss(self.discriminator(samples))
        return losses.real_loss(self.discriminator(images)) + 0.5 * fakes

    def code_discriminator_loss(self, images: Tensor) -> Tensor:
        codes, latents = self.encoder(images).detach(), self.prior(len(images))
        return losses.real_loss(self.code_discriminator(latents)) + losses.fake_loss(self.code_discriminator(codes))


class PlainDCGAN(Plain):
    """Generator twice, discriminator."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 128, width: float = 1.0) -> None:
        super().__init__(image_shape, latent_dim, width)
        self.discriminator = networks.discriminator(image_shape, width)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [adam(self.generator), adam(self.discriminator)]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        images, _ = batch
        generator, discriminator = self.optimizers()  # type: ignore[attr-defined]
        for _ in range(2):
            self.update("generator", generator, self.generator_loss, images)
        self.update("discriminator", discriminator, self.discriminator_loss, images)

    def generator_loss(self, images: Tensor) -> Tensor:
        return losses.non_saturating(self.discriminator(self.generator(self.prior(len(images)))))

    def discriminator_loss(self, images: Tensor) -> Tensor:
        samples = self.generator(self.prior(len(images))).detach()
        return losses.real_loss(self.discriminator(images)) + losses.fake_loss(self.discriminator(samples))


class PlainWGANGP(Plain):
    """Critic five times, generator."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 128, width: float = 1.0) -> None:
        super().__init__(image_shape, latent_dim, width)
        self.critic = networks.discriminator(image_shape, width, batch_norm=False)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [adam(self.critic, learning_rate=1e-4), adam(self.generator, learning_rate=1e-4)]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        images, _ = batch
        critic, generator = self.optimizers()  # type: ignore[attr-defined]
        for _ in range(5):
            self.update("critic", critic, self.critic_loss, images)
        self.update("generator", generator, self.generator_loss, images)

    def critic_loss(self, images: Tensor) -> Tensor:
        samples = self.generator(self.prior(len(images))).detach()
        distance = self.critic(samples).mean() - self.critic(images).mean()
        return distance + 10 * self.gradient_penalty(images, samples)

    def gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), 1, 1, 1, device=self.device)
        between = (share * fake + (1 - share) * real).requires_grad_(True)
        scores = self.critic(between)
        gradients = torch.autograd.grad(
            outputs=scores, inputs=between, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
        )[0]
        return ((gradients.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()

    def generator_loss(self, images: Tensor) -> Tensor:
        return -self.critic(self.generator(self.prior(len(images)))).mean()


class PlainAGE(Plain):
    """Encoder, generator twice, from 64 pixels on three times."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 128, width: float = 1.0) -> None:
        super().__init__(image_shape, latent_dim, width)
        self.encoder = networks.discriminator(image_shape, width, outputs=latent_dim)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [adam(self.encoder), adam(self.generator)]

    def training_step(self, batch: Any, batch_idx: int) -> None:
        images, _ = batch
        encoder, generator = self.optimizers()  # type: ignore[attr-defined]
        self.update("encoder", encoder, self.encoder_loss, images)
        for _ in range(3 if self.image_shape[1] >= 64 else 2):
            self.update("generator", generator, self.generator_loss, images)

    def prior(self, n: int) -> Tensor:
        return F.normalize(super().prior(n))

    def encode(self, images: Tensor) -> Tensor:
        return F.normalize(self.encoder(images))

    def divergence(self, codes: Tensor) -> Tensor:
        return losses.empirical_kl(codes) / self.latent_dim

    def encoder_loss(self, images: Tensor) -> Tensor:
        codes = self.encode(images)
        samples = self.generator(self.prior(len(images))).detach()
        reconstruction = F.l1_loss(self.generator(codes), images)
        return self.divergence(codes) - self.divergence(self.encode(samples)) + 10 * reconstruction

    def generator_loss(self, images: Tensor) -> Tensor:
        latents = self.prior(len(images))
        codes = self.encode(self.generator(latents))
        return self.divergence(codes) + 1000 / 128 * (1 - F.cosine_similarity(codes, latents)).mean()


class PlainNothing(pl.LightningModule):
    """A training step that computes nothing: what remains is the trainer's own cost."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.player = torch.nn.Linear(1, 1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adam(self.player)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.log("loss", 0.0, prog_bar=True)


MODELS: dict[str, type[Plain]] = {"alphagan": PlainAlphaGAN, "dcgan": PlainDCGAN, "wgan_gp": PlainWGANGP, "age": PlainAGE}


class Images(Dataset):
    """Hold pixels in memory, each a PIL image on its way through the transforms, as torchvision's CIFAR10 does."""

    def __init__(self, pixels: np.ndarray, transform: Callable[[Image.Image], Tensor]) -> None:
        self.pixels, self.transform = pixels, transform

    def __len__(self) -> int:
        return EPOCH

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index % len(self.pixels)])), 0


def train(name: str, size: int, width: float, batch_size: int, bursts: Bursts) -> None:
    """Train a model on images of noise until the callback ends it."""
    pixels = np.random.default_rng(0).integers(256, size=(STORED, size, size, 3), dtype=np.uint8)
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
    loader = DataLoader(Images(pixels, steps), batch_size=batch_size, shuffle=True, num_workers=WORKERS)
    _fit(MODELS[name]((3, size, size), width=width), loader, bursts)


def train_nothing(bursts: Bursts) -> None:
    """Let the trainer loop over nothing until the callback ends it."""
    _fit(PlainNothing(), range(10**9), bursts)


def _fit(module: pl.LightningModule, batches: Any, bursts: Bursts) -> None:
    with tempfile.TemporaryDirectory() as folder, _without_advice(), suppress(Stopped):
        accelerator = "cpu" if bursts.device.type == "cpu" else "auto"
        pl.Trainer(accelerator=accelerator, devices=1, max_epochs=-1, default_root_dir=folder, callbacks=[bursts]).fit(
            module, batches
        )


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence Lightning's remarks on the machine and on the number of workers."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
