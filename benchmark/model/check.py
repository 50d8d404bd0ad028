"""Does a class keep the contract of `GANModule`? Each check says in plain words what is wrong and where."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from benchmark.errors import UserError
from benchmark.model.build import build_from
from benchmark.model.gan_module import Autoencoder, Chunk, GANModule, Phase
from benchmark.model.recorded_graph import RecordedGraph
from benchmark.model.registry import constructor_arguments, hyperparameter_grid, plain_value
from benchmark.model.train import CheckpointKeeper, Watcher, train
from benchmark.randomness import stream
from benchmark.settings import Evaluation, Settings
from benchmark.studies.run import Run

BATCH = 8
ITERATIONS = 4


class ContractError(UserError):
    """A class breaks the contract; `problems` holds one line each."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = f" (and {len(problems) - 1} more: python -m benchmark check {name})" if len(problems) > 1 else ""
        super().__init__(f"{name} breaks the contract: {self.problems[0]}{more}")


class _Broken(Exception):
    """One check failed."""


def check_gan_module(model: type, image_shape: Sequence[int] = (3, 28, 28), say: Callable[[str], object] = str) -> list[str]:
    """Hold a class against the contract by building it small and training it for a few iterations on noise.

    Args:
        model: a subclass of `GANModule`.
        image_shape: (channels, height, width) of the images to try it on.
        say: is told each check as it passes or fails.

    Returns:
        Warnings: what works, but not as well as it could.

    Raises:
        ContractError: if it breaks the contract; `problems` lists how.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for such small networks; with a sweep on all cores beside it more take many times as long
    try:
        return _check(model, image_shape, say)
    finally:
        torch.set_num_threads(threads)


def _check(model: type, image_shape: Sequence[int], say: Callable[[str], object]) -> list[str]:
    name = f"{model.__module__}.{model.__qualname__}"
    if not (isinstance(model, type) and issubclass(model, GANModule)):
        raise ContractError(name, ["it is no subclass of benchmark.GANModule"])
    problems: list[str] = []
    try:
        subject = _Subject(model, tuple(image_shape))
    except UserError as problem:
        say(f"BROKEN  {problem}")
        raise ContractError(name, [str(problem)]) from None
    for title, check, needed in CHECKS:
        if problems and needed:
            continue  # what follows would only repeat the first problem
        try:
            check(subject)
            say(f"ok      {title}")
        except _Broken as problem:
            problems.append(str(problem))
            say(f"BROKEN  {title}: {problem}")
        except Exception as error:
            problems.append(f"{title}: {type(error).__name__}: {error}")
            say(f"BROKEN  {title}: {type(error).__name__}: {error}")
    cautions = _cautions(subject, trainable=not problems)
    for caution in cautions:
        say(f"warning {caution}")
    if problems:
        raise ContractError(name, problems)
    return cautions


NOT_MEASURED = Evaluation(
    batch_norm_draws=BATCH,
    mode_samples=0,
    diversity_groups=0,
    reconstructions=0,
    critic_steps=0,
    critic_images=0,
    critic_width=0.125,
    score_splits=1,
    inception_samples=0,
    inception_width=2048,
    cifar10_samples=0,
)


class _Subject:
    """The class under test and how to build it."""

    def __init__(self, model: type, image_shape: tuple[int, ...]) -> None:
        self.model, self.image_shape = model, image_shape
        arguments = constructor_arguments(model)
        given = {key: argument.default for key, argument in arguments.items() if argument.default is not argument.empty}
        given |= {key: values[0] for key, values in hyperparameter_grid(model).items() if key not in given}
        if "width" in arguments:
            given["width"] = 0.125
        settings = Settings(ITERATIONS, 0.125, None, 1, BATCH, torch.get_num_threads(), "float32", NOT_MEASURED)
        self.path = f"{model.__module__}.{model.__qualname__}"
        self.run = Run(self.path, self.path, "noise", "", self.image_shape, given, 1, "", settings)  # type: ignore[arg-type]
        self.pixels = torch.randint(256, (64, *image_shape), generator=stream("check"), dtype=torch.uint8)

    def build(self, seed: int = 1) -> GANModule:
        module = build_from(self.model, self.run)
        module.seed = seed
        return module

    def chunk(self, iterations: int) -> Chunk:
        return Chunk(self.pixels, BATCH, iterations)


def _sweep(subject: _Subject) -> None:
    for key, value in subject.run.hyperparameters.items():
        plain_value(value, f"the default of {key!r}")


def _builds(subject: _Subject) -> None:
    if subject.build().hparams.get("image_shape") is None:
        raise _Broken("the constructor must take image_shape and call super().__init__() first")


def _phases(subject: _Subject) -> None:
    module = subject.build()
    listed = module.phases()
    if not listed or not all(isinstance(phase, Phase) for phase in listed):
        raise _Broken("phases() must return a list of at least one Phase")
    names = [phase.name for phase in dict.fromkeys(listed)]
    if len(set(names)) < len(names):
        raise _Broken(f"two phases share a name among {', '.join(names)}; put one Phase object into the list twice instead")
    covered = {parameter for phase in listed for parameter in phase.parameters()}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and parameter not in covered:
            raise _Broken(
                f"parameter {name} belongs to no phase; list its network in one, or freeze it with requires_grad_(False)"
            )


def _updates(subject: _Subject) -> None:
    module = subject.build()
    optimizers = dict(zip(module.schedule().phases, module.configure_optimizers(), strict=True))
    module.begin_iteration()
    for number, phase in enumerate(module.schedule().updates):
        before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
        try:
            terms = module.update(number, subject.chunk(1), optimizers[phase])
        except RuntimeError as error:
            if "appears to not have been used" in str(error) or "does not require grad" in str(error):
                raise _Broken(f"phase {phase.name!r}: its loss does not depend on all parameters of its networks") from None
            raise
        except TypeError as error:
            raise _Broken(str(error)) from None
        for name, value in terms.items():
            if not value.isfinite():
                raise _Broken(f"phase {phase.name!r}: loss term {name!r} is {value.item()}")
        mine = {id(parameter) for parameter in phase.parameters()}
        for name, parameter in module.named_parameters():
            moved = not torch.equal(before[name], parameter)
            averaged = phase.after is not None and not parameter.requires_grad  # frozen networks that `after` moves
            if moved and id(parameter) not in mine and not averaged:
                raise _Broken(f"phase {phase.name!r} moves {name}, which is not among its networks")
        if not any(not torch.equal(before[n], p) for n, p in module.named_parameters() if id(p) in mine):
            raise _Broken(f"phase {phase.name!r} moves none of its parameters")


def _samples(subject: _Subject) -> None:
    module = subject.build().eval()
    with torch.no_grad():
        images = module.sample(BATCH, stream("check", 1))
        again = module.sample(BATCH, stream("check", 1))
    expected = (BATCH, *subject.image_shape)
    if tuple(images.shape) != expected:
        raise _Broken(f"sample({BATCH}) has shape {tuple(images.shape)}, not {expected}")
    if not images.isfinite().all() or images.abs().max() > 1:
        raise _Broken(f"sample() leaves [-1, 1]: from {images.min():.3g} to {images.max():.3g}")
    if not torch.equal(images, again):
        raise _Broken("sample() does not take its randomness from the generator it is given")


def _autoencoder(subject: _Subject) -> None:
    module = subject.build().eval()
    if hasattr(module, "encode") != hasattr(module, "reconstruct"):
        raise _Broken("an autoencoding model has both encode() and reconstruct(), others have neither")
    if isinstance(module, Autoencoder):
        images = subject.pixels[:BATCH].float() / 127.5 - 1
        with torch.no_grad():
            codes, shape = module.encode(images), module.reconstruct(images).shape
        if codes.ndim != 2 or len(codes) != BATCH:
            raise _Broken(f"encode() gives {tuple(codes.shape)}, not ({BATCH}, latent_dim)")
        if shape != images.shape:
            raise _Broken(f"reconstruct() gives {tuple(shape)}, not {tuple(images.shape)}")


def _repeats(subject: _Subject) -> None:
    first, second = subject.build(), subject.build()
    for module in (first, second):
        train(module, subject.pixels, subject.run, [], torch.device("cpu"))
        torch.rand(1)  # somebody else's draw in between must not matter
    _compare(
        first,
        second,
        "two trainings with the same seed differ at {}: a draw comes from elsewhere than prior(), sample() or randomness",
    )


def _resumes(subject: _Subject) -> None:
    whole, half, resumed = subject.build(), subject.build(), subject.build(seed=99)
    half_way = replace(subject.run, settings=replace(subject.run.settings, iterations=ITERATIONS // 2))
    train(whole, subject.pixels, subject.run, [], torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.ckpt"
        train(half, subject.pixels, half_way, [CheckpointKeeper(path, ITERATIONS // 2, Watcher())], torch.device("cpu"))
        train(resumed, subject.pixels, subject.run, [], torch.device("cpu"), path)
    _compare(whole, resumed, "a training that was resumed differs at {}: some state is not in the checkpoint")


def _cautions(subject: _Subject, trainable: bool) -> list[str]:
    cautions = []
    if "width" not in constructor_arguments(subject.model):
        cautions.append("the constructor does not name `width`: the quick preset cannot make its networks narrower")
    if trainable and (why := _why_eager(subject)):
        cautions.append(f"on a GPU it would be trained without a graph, which takes longer: {why}")
    return cautions


def _why_eager(subject: _Subject) -> str:
    """Why an iteration cannot be captured as a graph; empty if it can. Found out without a GPU."""
    module = subject.build()
    module.new_graph = RecordedGraph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the caller says it
        train(module, subject.pixels, subject.run, [], torch.device("cpu"))
    return module.execution.partition(": ")[2]


def _compare(first: nn.Module, second: nn.Module, message: str) -> None:
    theirs = second.state_dict()
    for name, value in first.state_dict().items():
        if not torch.equal(value, theirs[name]):
            raise _Broken(message.format(name))


CHECKS: tuple[tuple[str, Callable[[_Subject], None], bool], ...] = (
    ("the sweep and the defaults can be written down", _sweep, False),
    ("the class can be built", _builds, False),
    ("the phases cover all trainable parameters", _phases, True),
    ("each phase moves its own networks and no other, with finite losses", _updates, True),
    ("samples have the right shape and range", _samples, True),
    ("encode and reconstruct fit each other", _autoencoder, True),
    ("the same seed gives the same weights", _repeats, True),
    ("a checkpoint resumes exactly", _resumes, True),
)
"""Title, check, and whether it is skipped once something else is broken."""
