"""What an iteration of training costs: ours, as runs are trained, beside other ways to do the same, in turns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmark.model.gan_module import Chunk, GANModule, Phase
from benchmark.model.registry import DEFAULT_MODELS
from benchmark.perf import multiply_adds, plain
from benchmark.perf.bursts import Bursts, Elsewhere
from benchmark.perf.floor import FLOORS
from benchmark.perf.runs import BATCH, SIZES, make_run, model
from benchmark.perf.table import Goal, Row
from benchmark.randomness import stream
from benchmark.runner.probe import now
from benchmark.trial import trial

IMAGES = 5_000
THREADS = 2
"""Of the one run that two at once are compared with."""
BURST_SECONDS = 0.25
"""About how long a way of training is timed before it is the next one's turn."""
WITHOUT_A_MODEL = 1_000
"""Iterations of a burst in which nothing is computed."""
PAPERS_WIDTH = 1.0
SLOW_SIZE, SLOW_REPEATS = 64, 6
"""At which the paper's α-GAN takes seconds an iteration, and the least number of turns that gives an interval of 95 %."""

Rival = Callable[[int], float]
"""Another way of training: does so many iterations and gives the seconds that they took."""


@dataclass(frozen=True)
class Conditions:
    """How trainings are measured."""

    repeats: int
    width: float
    device: torch.device

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"


def rows(conditions: Conditions) -> Iterator[Row | str]:
    """All rows of this section."""
    with Elsewhere(conditions.device) as elsewhere:
        for name in DEFAULT_MODELS:
            for size in SIZES:
                yield from model_rows(name, size, conditions, elsewhere)
        yield from trainer_rows(conditions, elsewhere)
    yield from length_rows(conditions)
    if not conditions.is_gpu:
        yield from pair_rows(conditions)
        if conditions.width != PAPERS_WIDTH:
            yield from paper_rows(conditions)


def model_rows(name: str, size: int, conditions: Conditions, elsewhere: Elsewhere) -> Iterator[Row]:
    """A model at an image size: an iteration of ours against the floor, the plain LightningModule, and gradients everywhere."""
    floor = timed(
        FLOORS[name](size, conditions.width, 0, noise(size), BATCH, device=conditions.device).iterate, conditions.device
    )
    rivals = {"the floor": floor}
    if name == "alphagan":
        rivals["gradients everywhere"] = everywhere(size, conditions)
    iterations = burst_iterations(floor)
    people = functools.partial(plain.train, name, size, conditions.width, BATCH)
    with elsewhere.training(people, warm_up=2) as theirs:
        rivals["plain Lightning"] = then(theirs, floor)  # whose workers load on for a moment, while this process stood still
        seconds = interleave(name, size, conditions, rivals, iterations)
    if conditions.is_gpu:
        yield limit_row(name, size, conditions, seconds["ours"])
    yield from _rows_of(f"{name}, {size} px", conditions, seconds)


def paper_rows(conditions: Conditions) -> Iterator[Row]:
    """The α-GAN against gradients everywhere with the paper's networks, where multiply-adds are most of the time."""
    for size in SIZES:
        repeats = conditions.repeats if size < SLOW_SIZE else min(conditions.repeats, SLOW_REPEATS)
        wide = replace(conditions, repeats=repeats, width=PAPERS_WIDTH)
        rivals = {"gradients everywhere": everywhere(size, wide)}
        seconds = interleave("alphagan", size, wide, rivals, burst_iterations(rivals["gradients everywhere"]))
        yield from _rows_of(f"alphagan, {size} px, the paper's width", wide, seconds)


def _rows_of(title: str, conditions: Conditions, seconds: Mapping[str, list[float]]) -> Iterator[Row]:
    """Ours against each rival."""
    for rival, values in seconds.items():
        if rival != "ours":
            goal = _goal(rival, conditions)
            inverse = goal is None or goal.side == "at least"
            yield Row(title, seconds["ours"], "ms/iteration", goal, rival, values, inverse)


def limit_row(name: str, size: int, conditions: Conditions, milliseconds: list[float]) -> Row:
    """How much of what the device can multiply and add at most in that time our training does."""
    operations = 2 * multiply_adds.committed()[name, size, conditions.width]
    limit = peak_rate(conditions.device)
    shares = [100 * operations / (value / 1000) / limit for value in milliseconds]
    return Row(f"{name}, {size} px, of the {limit / 1e12:.1f} float32 TFLOP/s of a large matrix product", shares, "%")


@functools.cache
def peak_rate(device: torch.device, side: int = 8192) -> float:
    """Operations a second of a large product of float32 matrices, without shortcuts in its precision."""
    first, second = torch.ones(2, side, side, device=device)
    multiply = timed(lambda: torch.mm(first, second), device)
    multiply(2)
    return 2 * side**3 * 10 / multiply(10)


def _goal(rival: str, conditions: Conditions) -> Goal | None:
    if conditions.is_gpu:
        return Goal("at least", 5) if rival == "plain Lightning" else None
    if rival == "gradients everywhere":
        return Goal("at least", 1.4) if conditions.width == PAPERS_WIDTH else None
    return Goal("at most", 1.03) if rival == "the floor" else Goal("at least", 1)


def interleave(
    name: str, size: int, conditions: Conditions, rivals: Mapping[str, Rival], iterations: int
) -> dict[str, list[float]]:
    """Milliseconds an iteration of ours, trained by `trial.train`, and of its rivals, in turns; the first turn warms up."""
    found: dict[str, list[float]] = {key: [] for key in ("ours", *rivals)}
    with tqdm(total=conditions.repeats + 1, desc=f"{name}, {size} px", disable=None, leave=False) as bar:

        def between(seconds: float) -> int:
            turn = {"ours": seconds, **{key: rival(iterations) for key, rival in rivals.items()}}
            for key, value in turn.items():
                found[key].append(1000 * value / iterations)
            bar.update()
            return iterations if len(found["ours"]) <= conditions.repeats else 0

        with chunks_of(min(iterations, trial.CHUNK)):
            train_ours(name, size, conditions.width, Bursts(conditions.device, iterations, between))
    return {key: values[1:] for key, values in found.items()}


def train_ours(name: str, size: int, width: float, bursts: Bursts) -> None:
    """Train a model of ours as its runs are trained, until the callback ends it."""
    module = model(name, size, width).to(bursts.device)
    with suppress(trial.Stopped):
        trial.train(module, noise(size), make_run(name, size, width), [bursts], bursts.device)


@contextmanager
def chunks_of(iterations: int) -> Iterator[None]:
    """Shorter chunks for a while, where one is too long for turns: what Lightning costs ours is then paid more often."""
    before = trial.CHUNK
    trial.CHUNK = iterations
    try:
        yield
    finally:
        trial.CHUNK = before


def noise(size: int) -> Tensor:
    """Images to train on; what they show does not matter for the time."""
    return torch.randint(256, (IMAGES, 3, size, size), generator=stream("noise"), dtype=torch.uint8)


def timed(iterate: Callable[[], object], device: torch.device) -> Rival:
    """The seconds of so many calls."""

    def seconds(iterations: int) -> float:
        begin = now(device)
        for _ in range(iterations):
            iterate()
        return now(device) - begin

    return seconds


def then(rival: Rival, other: Rival) -> Rival:
    """The seconds of a rival, after which another one, untimed, wakes this process up."""

    def seconds(iterations: int) -> float:
        found = rival(iterations)
        other(iterations)
        return found

    return seconds


def everywhere(size: int, conditions: Conditions) -> Rival:
    """Our α-GAN with gradients that flow everywhere."""
    module = model("alphagan", size, conditions.width).to(conditions.device)
    return timed(iteration_everywhere(module, noise(size)), conditions.device)


def burst_iterations(rival: Rival) -> int:
    """How many iterations take about as long as a burst is to take: part of a chunk, or whole ones."""
    rival(1)
    iterations = max(1, round(BURST_SECONDS / (rival(2) / 2)))
    return iterations if iterations < trial.CHUNK else iterations - iterations % trial.CHUNK


def iteration_everywhere(module: GANModule, pixels: Tensor) -> Callable[[], None]:
    """An iteration of a model of ours in which every loss is differentiated by all parameters that it reaches."""
    plan = module.schedule()
    chunk = Chunk(pixels.to(module.device), BATCH, 1)
    optimizers = {
        phase: torch.optim.Adam(plan.parameters[phase], lr=phase.learning_rate, betas=(0.5, 0.9), fused=True)
        for phase in dict.fromkeys(plan.updates)
    }

    def iterate() -> None:
        for phase in plan.updates:
            terms = phase.loss(module._minibatch(chunk))
            torch.stack(list(terms.values())).sum().backward()
            optimizers[phase].step()
            module.zero_grad(set_to_none=True)

    return iterate


class Nothing(GANModule):
    """A model whose iterations compute nothing: what remains is what a chunk costs beside them."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.generator = nn.Linear(1, 1)

    def phases(self) -> list[Phase]:
        return [Phase("nothing", [self.generator], lambda images: {"nothing": images.sum()}, 0.0)]

    def training_step(self, chunk: Chunk) -> None:
        self.iteration += chunk.iterations


def trainer_rows(conditions: Conditions, elsewhere: Elsewhere) -> Iterator[Row]:
    """What the trainer itself costs an iteration: ours pays it once a chunk."""
    ours, theirs = list[float](), list[float]()
    with elsewhere.training(plain.train_nothing, warm_up=WITHOUT_A_MODEL) as other:

        def between(seconds: float) -> int:
            ours.append(1e6 * seconds / WITHOUT_A_MODEL)
            theirs.append(1e6 * other(WITHOUT_A_MODEL) / WITHOUT_A_MODEL)
            return WITHOUT_A_MODEL if len(ours) <= conditions.repeats else 0

        bursts = Bursts(conditions.device, WITHOUT_A_MODEL, between)
        module = Nothing((3, 28, 28)).to(conditions.device)
        with suppress(trial.Stopped):
            trial.train(module, noise(28), make_run("dcgan", 28, 1), [bursts], conditions.device)
    title = f"the trainer's own cost, chunks of {trial.CHUNK} iterations"
    yield Row(title, ours[1:], "µs/iteration", Goal("at least", trial.CHUNK), "a plain trainer", theirs[1:], inverse=True)


def length_rows(conditions: Conditions) -> Iterator[Row]:
    """Whether iterations take as long late in a training as early in it."""
    module = model("alphagan", 28, conditions.width).to(conditions.device)
    early, late = list[float](), list[float]()

    def between(seconds: float) -> int:
        (early if module.iteration < 100_000 else late).append(1000 * seconds / trial.CHUNK)
        module.iteration = 100_000 if len(late) < len(early) else 100
        return trial.CHUNK if len(late) <= conditions.repeats else 0

    bursts = Bursts(conditions.device, trial.CHUNK, between)
    with suppress(trial.Stopped):
        trial.train(module, noise(28), make_run("alphagan", 28, conditions.width), [bursts], conditions.device)
    title = "alphagan, 28 px, at iteration 100,000"
    yield Row(title, late[1:], "ms/iteration", Goal("at most", 1.03), "itself at iteration 100", early[1:])


def pair_rows(conditions: Conditions) -> Iterator[Row]:
    """Two runs of one thread at once on two cores, against one of two threads after the other."""
    train = functools.partial(train_ours, "alphagan", 28, conditions.width)
    alone, wide, pairs = list[float](), list[float](), list[float]()
    device = conditions.device
    with Elsewhere(device) as first, Elsewhere(device) as second, Elsewhere(device, threads=THREADS) as both_cores:
        n = trial.CHUNK
        with first.training(train, n), second.training(train, n), both_cores.training(train, n):
            for turn in tqdm(range(conditions.repeats), desc="two at once", disable=None, leave=False):
                alone.append((first, second)[turn % 2](n))
                wide.append(both_cores(n))
                first.start(n)
                second.start(n)
                pairs.append(max(first.wait(), second.wait()))
    one, two, half = ([1000 * value / n for value in values] for values in (alone, wide, [pair / 2 for pair in pairs]))
    yield Row("alphagan, 28 px, two runs at once", half, "ms/iteration", None, "one of two threads", two, inverse=True)
    limit = [value / 2 for value in one]
    title = "the same, of what two cores can do at most"
    yield Row(title, half, "ms/iteration", Goal("at least", 0.95), "half of one alone", limit, inverse=True)
