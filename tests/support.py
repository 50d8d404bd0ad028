"""Small models and runs that several tests use."""

import errno
import json
import os
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from benchmark.data.datasets import load_dataset
from benchmark.engines.local import ALLOCATOR
from benchmark.files import write_json
from benchmark.model.fingerprint import code_fingerprint
from benchmark.model.gan_module import GANModule
from benchmark.model.phase import Phase
from benchmark.model.registry import import_model
from benchmark.settings import Evaluation, Settings
from benchmark.studies.run import Run

SHAPE = (3, 28, 28)
PIXELS = torch.randint(256, (64, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)

SETTINGS = Settings(
    iterations=4,
    width=0.125,
    budget=1,
    seeds=1,
    batch_size=8,
    threads=1,
    precision="float32",
    evaluation=Evaluation(
        batch_norm_draws=16,
        mode_samples=16,
        diversity_groups=1,
        reconstructions=16,
        critic_steps=2,
        critic_images=16,
        critic_width=0.125,
        score_splits=1,
        inception_samples=0,
        inception_width=768,
        cifar10_samples=0,
    ),
)


def make_run(path: str = "baselines.DCGAN", iterations: int = 4, **hyperparameters) -> Run:
    settings = replace(SETTINGS, iterations=iterations)
    values = {"latent_dim": 4, "width": 0.125, **hyperparameters}
    return Run(path, path, "colormnist-mini", "", SHAPE, values, 0, "", settings)


def prepare(folder: Path, run: Run) -> Path:
    """Make a run's folder, in which an attempt can be made."""
    run = replace(run, fingerprint=load_dataset(run.dataset).fingerprint, code=code_fingerprint(import_model(run.path)))
    folder.mkdir()
    write_json(folder / "run.json", asdict(run))
    return folder


def iterate(module: GANModule, iterations: int = 1, pixels: torch.Tensor = PIXELS) -> list[torch.optim.Optimizer]:
    """Train without a trainer; returns the optimizers."""
    optimizers = module.configure_optimizers()
    module.begin_training(optimizers, pixels, 8).advance(iterations)
    return optimizers


class Tiny(GANModule):
    """Two linear players, in which everything can be followed by hand."""

    sweep = {"learning_rate": (1e-3, 1e-2)}

    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0):
        super().__init__()
        numbers = image_shape[0] * image_shape[1] * image_shape[2]
        self.generator = nn.Sequential(nn.Linear(latent_dim, numbers), nn.Tanh(), nn.Unflatten(1, image_shape))
        self.judge = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(numbers, 1), nn.Flatten(0))
        self.seen = []

    def phases(self):
        generator = Phase("generator", [self.generator], self.generator_loss, self.hparams.learning_rate)
        judge = Phase("judge", [self.judge], self.judge_loss, self.hparams.learning_rate)
        return [generator, judge, generator]

    def generator_loss(self, images):
        self.seen.append(images)
        return {"adversarial": -self.judge(self.sample(len(images))).mean()}

    def judge_loss(self, images):
        self.seen.append(images)
        return {"real": -self.judge(images).mean(), "sample": self.judge(self.sample(len(images))).mean()}


class Small(Tiny):
    """Keeps nothing that a graph cannot."""

    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0):
        super().__init__(image_shape, latent_dim, learning_rate, width)
        self.seen = None

    def generator_loss(self, images):
        return {"adversarial": -self.judge(self.sample(len(images))).mean()}

    def judge_loss(self, images):
        return {"real": -self.judge(images).mean(), "sample": self.judge(self.sample(len(images))).mean()}


class Raises(Tiny):
    """Fails in the middle of its training."""

    def judge_loss(self, images):
        if self.iteration == 3:
            raise RuntimeError("a bug in <the> model")
        return super().judge_loss(images)


class Diverges(Tiny):
    """Its losses stop being finite in the middle of its training."""

    def judge_loss(self, images):
        return {name: value / (self.iteration < 3) for name, value in super().judge_loss(images).items()}


class Dies(Tiny):
    """Takes its process with it."""

    def judge_loss(self, images):
        if self.iteration == 3:
            os._exit(9)
        return super().judge_loss(images)


class Hangs(Tiny):
    """Never ends."""

    def judge_loss(self, images):
        while self.iteration == 3:
            time.sleep(0.1)
        return super().judge_loss(images)


class Allocates(Tiny):
    """Takes memory without end, 16 MiB after 16 MiB."""

    def judge_loss(self, images):
        while self.iteration == 3:
            self.seen.append(torch.ones(2**22))
            time.sleep(0.005)
        return super().judge_loss(images)


class Lingers(Tiny):
    """Prints, and starts a thread that never ends."""

    def judge_loss(self, images):
        if self.iteration == 3:
            print("hello from a model")  # noqa: T201
            threading.Thread(target=time.sleep, args=(100_000,)).start()
        return super().judge_loss(images)


class ShowsItsEnvironment(Tiny):
    """Prints what its process was given."""

    def judge_loss(self, images):
        if self.iteration == 3:
            names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_MPS_PIPE_DIRECTORY", *ALLOCATOR)
            print(json.dumps({name: os.environ.get(name) for name in names} | {"torch": torch.get_num_threads()}))  # noqa: T201
        return super().judge_loss(images)


class FindsNoRoom(Tiny):
    """The disk is full in the middle of its training, as long as the file "no room" is among the tests' flags."""

    def judge_loss(self, images):
        if self.iteration == 13 and Path(os.environ["TEST_FLAGS"], "no room").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "records")
        return super().judge_loss(images)


def try_to_read(path: str) -> str:
    """What stands in a file, or why that cannot be said; and where this is asked."""
    try:
        return f"{len(open(path, 'rb').read())} bytes"  # noqa: PTH123 - as short as can be
    except OSError as error:
        return type(error).__name__
