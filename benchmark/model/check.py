"""Check whether a class keeps the contract of `GANModule`, and say in plain words what is wrong and where."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.model.build import build
from benchmark.model.gan_module import Autoencoder, GANModule
from benchmark.model.phase import Phase
from benchmark.model.recorded_graph import RecordedGraph
from benchmark.model.registry import constructor_arguments, hyperparameter_grid, plain_value
from benchmark.model.train import CheckpointKeeper, Watcher, train
from benchmark.model.training import Training
from benchmark.randomness import stream

BATCH = 8
ITERATIONS = 4
WIDTH = 0.125
SEED = 1


class ContractError(UserError):
    """A class breaks the contract; `problems` holds one line each."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = f" (and {len(problems) - 1} more: python -m benchmark check {name})" if len(problems) > 1 else ""
        super().__init__(f"{name} breaks the contract: {self.problems[0]}{more}")


class _Broken(Exception):
    """One check failed."""


def check_gan_module(model: type, image_shape: Sequence[int] = (3, 28, 28), say: Callable[[str], object] = str) -> list[str]:
    """Check a class against the contract by building it small and training it for a few iterations on noise.

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
    try:
        subject = _Subject(model, tuple(image_shape))
    except UserError as problem:
        say(f"BROKEN  {problem}")
        raise ContractError(name, [str(problem)]) from None
    problems = _problems(subject, say)
    cautions = _cautions(subject, trainable=not problems)
    for caution in cautions:
        say(f"warning {caution}")
    if problems:
        raise ContractError(name, problems)
    return cautions


def _problems(subject: _Subject, say: Callable[[str], object]) -> list[str]:
    """Make all checks; what follows from an earlier problem is left out, as it would only repeat it."""
    problems: list[str] = []
    for title, check, needs_all_before in CHECKS:
        if problems and needs_all_before:
            continue
        try:
            check(subject)
            say(f"ok      {title}")
        except _Broken as problem:
            problems.append(str(problem))
            say(f"BROKEN  {title}: {problem}")
        except Exception as error:
            problems.append(f"{title}: {type(error).__name__}: {error}")
            say(f"BROKEN  {title}: {type(error).__name__}: {error}")
    return problems


class _Subject:
    """The class under test, with small hyperparameters and images of noise.

    Raises:
        UserError: for a sweep that is none.
    """

    def __init__(self, model: type, image_shape: tuple[int, ...]) -> None:
        self.model, self.image_shape = model, image_shape
        arguments = constructor_arguments(model)
        values = {key: argument.default for key, argument in arguments.items() if argument.default is not argument.empty}
        values |= {key: grid[0] for key, grid in hyperparameter_grid(model).items() if key not in values}
        if "width" in arguments:
            values["width"] = WIDTH
        self.hyperparameters = values
        self.pixels = torch.randint(256, (64, *image_shape), generator=stream("check"), dtype=torch.uint8)

    def build(self) -> GANModule:
        return build(self.model, self.image_shape, self.hyperparameters, SEED)

    def train(self, module: GANModule, iterations: int = ITERATIONS) -> GANModule:
        train(module, self.pixels, iterations, BATCH)
        return module


def _check_hyperparameters(subject: _Subject) -> None:
    for key, value in subject.hyperparameters.items():
        plain_value(value, f"the default of {key!r}")


def _check_constructor(subject: _Subject) -> None:
    if subject.build().hparams.get("image_shape") is None:
        raise _Broken("the constructor must take image_shape and call super().__init__() first")


def _check_phases(subject: _Subject) -> None:
    module = subject.build()
    phases = module.phases()
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise _Broken("phases() must return a list of at least one Phase")
    names = [phase.name for phase in dict.fromkeys(phases)]
    if len(set(names)) < len(names):
        raise _Broken(f"two phases share a name among {', '.join(names)}; put one Phase object into the list twice instead")
    covered = {parameter for phase in phases for parameter in phase.parameters()}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and parameter not in covered:
            raise _Broken(
                f"parameter {name} belongs to no phase; list its network in one, or freeze it with requires_grad_(False)"
            )


def _check_updates(subject: _Subject) -> None:
    module = subject.build()
    training = module.begin_training(module.configure_optimizers(), subject.pixels, BATCH)
    training.begin_iteration()
    for number, phase in enumerate(training.schedule.updates):
        before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
        for name, value in _terms(training, number, phase).items():
            if not value.isfinite():
                raise _Broken(f"phase {phase.name!r}: loss term {name!r} is {value.item()}")
        _check_moved(module, phase, before)


def _terms(training: Training, number: int, phase: Phase) -> Mapping[str, Tensor]:
    """Make one update; the terms of its loss."""
    try:
        return training.update(number)
    except RuntimeError as error:
        if "appears to not have been used" in str(error) or "does not require grad" in str(error):
            raise _Broken(f"phase {phase.name!r}: its loss does not depend on all parameters of its networks") from None
        raise
    except TypeError as error:
        raise _Broken(str(error)) from None


def _check_moved(module: GANModule, phase: Phase, before: Mapping[str, Tensor]) -> None:
    """Check which parameters an update of a phase has moved."""
    own = {id(parameter) for parameter in phase.parameters()}
    moved = {name: parameter for name, parameter in module.named_parameters() if not torch.equal(before[name], parameter)}
    for name, parameter in moved.items():
        is_average = phase.after is not None and not parameter.requires_grad  # frozen networks that `after` moves
        if id(parameter) not in own and not is_average:
            raise _Broken(f"phase {phase.name!r} moves {name}, which is not among its networks")
    if not any(id(parameter) in own for parameter in moved.values()):
        raise _Broken(f"phase {phase.name!r} moves none of its parameters")


def _check_samples(subject: _Subject) -> None:
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


def _check_autoencoder(subject: _Subject) -> None:
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


def _check_same_weights(subject: _Subject) -> None:
    first = subject.train(subject.build())
    torch.rand(1)  # a draw from torch's global stream in between must not matter
    _compare(
        first,
        subject.train(subject.build()),
        "two trainings with the same seed differ at {}: a draw comes from elsewhere than prior(), sample() or randomness",
    )


def _check_resumed(subject: _Subject) -> None:
    resumed, half = subject.build(), ITERATIONS // 2
    resumed.seed = SEED + 1  # the checkpoint's is to be taken
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.ckpt"
        train(subject.build(), subject.pixels, half, BATCH, [CheckpointKeeper(path, half, Watcher())])
        train(resumed, subject.pixels, ITERATIONS, BATCH, checkpoint=path)
    whole = subject.train(subject.build())
    _compare(whole, resumed, "a training that was resumed differs at {}: some state is not in the checkpoint")


def _cautions(subject: _Subject, trainable: bool) -> list[str]:
    cautions = []
    if "width" not in constructor_arguments(subject.model):
        cautions.append("the constructor does not name `width`: the quick preset cannot make its networks narrower")
    if trainable and (reason := _why_eager(subject)):
        cautions.append(f"on a GPU it would be trained without a graph, which takes longer: {reason}")
    return cautions


def _why_eager(subject: _Subject) -> str:
    """Say why an iteration cannot be captured as a graph; empty if it can. Found out without a GPU."""
    module = subject.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the caller says it
        train(module, subject.pixels, ITERATIONS, BATCH, new_graph=RecordedGraph)
    return module.execution.partition(": ")[2]


def _compare(first: nn.Module, second: nn.Module, message: str) -> None:
    others = second.state_dict()
    for name, value in first.state_dict().items():
        if not torch.equal(value, others[name]):
            raise _Broken(message.format(name))


CHECKS: tuple[tuple[str, Callable[[_Subject], None], bool], ...] = (
    ("the sweep and the defaults can be written down", _check_hyperparameters, False),
    ("the class can be built", _check_constructor, False),
    ("the phases cover all trainable parameters", _check_phases, True),
    ("each phase moves its own networks and no other, with finite losses", _check_updates, True),
    ("samples have the right shape and range", _check_samples, True),
    ("encode and reconstruct fit each other", _check_autoencoder, True),
    ("the same seed gives the same weights", _check_same_weights, True),
    ("a checkpoint resumes exactly", _check_resumed, True),
)
"""Title, check, and whether it is skipped once something else is broken."""
