"""Time an iteration of training: ours, as runs are trained, beside other ways to do the same, in turns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmark.model.gan_module import GANModule
from benchmark.model.phase import Phase
from benchmark.model.registry import DEFAULT_MODELS
from benchmark.model.train import CHUNK, Stopped, train
from benchmark.model.training import Chunk
from benchmark.perf import multiply_adds, plain_lightning
from benchmark.perf.bursts import Bursts, TrainingProcess
from benchmark.perf.floor import FLOORS
from benchmark.perf.models import BATCH, SIZES, build_model
from benchmark.perf.table import Goal, Row
from benchmark.randomness import stream
from benchmark.runner.probe import now

IMAGES = 5_000
THREADS = 2
"""Of the one run that two at once are compared with."""
BURST_SECONDS = 0.25
"""About how long a way of training is timed before it is the next one's turn."""
WITHOUT_A_MODEL = 1_000
"""Iterations of a burst in which nothing is computed."""
PAPERS_WIDTH = 1.0
ENDLESS = 10**9
"""Iterations of a training that is ended when enough was timed."""
SLOW_SIZE, SLOW_REPEATS = 64, 6
"""At which the paper's α-GAN takes seconds an iteration, and the least number of turns that gives an interval of 95 %."""

Peer = Callable[[int], float]
"""Another way of training: does so many iterations and returns the seconds that they took."""


@dataclass(frozen=True)
class Conditions:
    """Say how trainings are measured."""

    repeats: int
    width: float
    device: torch.device

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"


def rows(conditions: Conditions) -> Iterator[Row | str]:
    """Measure all rows of this section."""
    with TrainingProcess(conditions.device) as process:
        for name in DEFAULT_MODELS:
            for size in SIZES:
                yield from model_rows(name, size, conditions, process)
        yield from trainer_rows(conditions, process)
    yield from length_rows(conditions)
    if not conditions.is_gpu:
        yield from pair_rows(conditions)
        if conditions.width != PAPERS_WIDTH:
            yield from paper_rows(conditions)


def model_rows(name: str, size: int, conditions: Conditions, process: TrainingProcess) -> Iterator[Row]:
    """Measure an iteration of ours against the floor, the plain LightningModule, and gradients everywhere."""
    floor = FLOORS[name](size, conditions.width, 0, noise(size), BATCH, device=conditions.device)
    by_hand = timed(floor.iterate, conditions.device)
    peers = {"the floor": by_hand}
    if name == "alphagan":
        peers["gradients everywhere"] = gradients_everywhere(size, conditions)
    iterations = burst_iterations(by_hand)
    train_peer = functools.partial(plain_lightning.train, name, size, conditions.width, BATCH)
    with process.training(train_peer, warm_up=2) as peer:
        # Its workers load on for a moment, while this process stood still: so an untimed burst follows.
        peers["plain Lightning"] = followed_by(peer, by_hand)
        milliseconds = interleave(name, size, conditions, peers, iterations)
    if conditions.is_gpu:
        yield limit_row(name, size, conditions, milliseconds["ours"])
    yield from _rows_of(f"{name}, {size} px", conditions, milliseconds)


def paper_rows(conditions: Conditions) -> Iterator[Row]:
    """Measure the α-GAN against gradients everywhere with the paper's networks, where multiply-adds are most of the time."""
    for size in SIZES:
        repeats = conditions.repeats if size < SLOW_SIZE else min(conditions.repeats, SLOW_REPEATS)
        wide = replace(conditions, repeats=repeats, width=PAPERS_WIDTH)
        peers = {"gradients everywhere": gradients_everywhere(size, wide)}
        milliseconds = interleave("alphagan", size, wide, peers, burst_iterations(peers["gradients everywhere"]))
        yield from _rows_of(f"alphagan, {size} px, the paper's width", wide, milliseconds)


def _rows_of(title: str, conditions: Conditions, milliseconds: Mapping[str, list[float]]) -> Iterator[Row]:
    """Set ours against each peer."""
    for peer, values in milliseconds.items():
        if peer != "ours":
            goal = _goal(peer, conditions)
            inverse = goal is None or goal.side == "at least"
            yield Row(title, milliseconds["ours"], "ms/iteration", goal, peer, values, inverse)


def limit_row(name: str, size: int, conditions: Conditions, milliseconds: list[float]) -> Row:
    """Compute which part of the device's highest rate of multiply-adds our training uses."""
    operations = 2 * multiply_adds.committed()[name, size, conditions.width]
    limit = peak_rate(conditions.device)
    shares = [100 * operations / (value / 1000) / limit for value in milliseconds]
    return Row(f"{name}, {size} px, of the {limit / 1e12:.1f} float32 TFLOP/s of a large matrix product", shares, "%")


@functools.cache
def peak_rate(device: torch.device, side: int = 8192) -> float:
    """Measure operations a second of a large product of float32 matrices, without shortcuts in its precision."""
    first, second = torch.ones(2, side, side, device=device)
    multiply = timed(lambda: torch.mm(first, second), device)
    multiply(2)
    return 2 * side**3 * 10 / multiply(10)


def _goal(peer: str, conditions: Conditions) -> Goal | None:
    if conditions.is_gpu:
        return Goal("at least", 5) if peer == "plain Lightning" else None
    if peer == "gradients everywhere":
        return Goal("at least", 1.4) if conditions.width == PAPERS_WIDTH else None
    return Goal("at most", 1.03) if peer == "the floor" else Goal("at least", 1)


def interleave(
    name: str, size: int, conditions: Conditions, peers: Mapping[str, Peer], iterations: int
) -> dict[str, list[float]]:
    """Time ours and its peers in turns of so many iterations; the first turn warms up.

    Returns:
        Milliseconds an iteration, one value a repeat, by the peer's name; ours, as runs are trained, by "ours".
    """
    milliseconds: dict[str, list[float]] = {key: [] for key in ("ours", *peers)}
    with tqdm(total=conditions.repeats + 1, desc=f"{name}, {size} px", disable=None, leave=False) as bar:

        def between(seconds: float) -> int:
            turn = {"ours": seconds, **{key: peer(iterations) for key, peer in peers.items()}}
            for key, value in turn.items():
                milliseconds[key].append(1000 * value / iterations)
            bar.update()
            return iterations if len(milliseconds["ours"]) <= conditions.repeats else 0

        bursts = Bursts(conditions.device, iterations, between)
        # A burst may be shorter than a chunk of a run: then what Lightning costs ours is paid more often.
        train_model(name, size, conditions.width, bursts, chunk=min(iterations, CHUNK))
    return {key: values[1:] for key, values in milliseconds.items()}


def train_model(name: str, size: int, width: float, bursts: Bursts, chunk: int = CHUNK) -> None:
    """Train a model of ours as its runs are trained, until the callback ends it."""
    train_in_bursts(build_model(name, size, width).to(bursts.device), noise(size), bursts, chunk)


def train_in_bursts(module: GANModule, pixels: Tensor, bursts: Bursts, chunk: int = CHUNK) -> None:
    """Train a module until the callback ends it."""
    with suppress(Stopped):
        train(module, pixels, ENDLESS, BATCH, [bursts], chunk=chunk)


def noise(size: int) -> Tensor:
    """Draw images to train on, (n, 3, size, size) uint8; what they show does not matter for the time."""
    return torch.randint(256, (IMAGES, 3, size, size), generator=stream("noise"), dtype=torch.uint8)


def timed(iterate: Callable[[], object], device: torch.device) -> Peer:
    """Make a peer of a function that does one iteration."""

    def seconds(iterations: int) -> float:
        start = now(device)
        for _ in range(iterations):
            iterate()
        return now(device) - start

    return seconds


def followed_by(peer: Peer, other: Peer) -> Peer:
    """Let another peer, untimed, do as many iterations after each turn of one."""

    def seconds(iterations: int) -> float:
        value = peer(iterations)
        other(iterations)
        return value

    return seconds


def gradients_everywhere(size: int, conditions: Conditions) -> Peer:
    """Time our α-GAN with gradients that flow to all parameters that a loss reaches."""
    module = build_model("alphagan", size, conditions.width).to(conditions.device)
    return timed(iteration_everywhere(module, noise(size)), conditions.device)


def burst_iterations(peer: Peer) -> int:
    """Find how many iterations take about as long as a burst is to take: part of a chunk, or whole ones."""
    peer(1)
    iterations = max(1, round(BURST_SECONDS / (peer(2) / 2)))
    return iterations if iterations < CHUNK else iterations - iterations % CHUNK


def iteration_everywhere(module: GANModule, pixels: Tensor) -> Callable[[], None]:
    """Make an iteration of a model of ours in which every loss is differentiated by all parameters that it reaches."""
    schedule = module.schedule()
    optimizers = {
        phase: torch.optim.Adam(schedule.parameters[phase], lr=phase.learning_rate, betas=(0.5, 0.9), fused=True)
        for phase in schedule.phases
    }
    training = module.begin_training(list(optimizers.values()), pixels.to(module.device), BATCH)

    def iterate() -> None:
        for phase in schedule.updates:
            terms = phase.loss(training.minibatch(module.randomness))
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


def trainer_rows(conditions: Conditions, process: TrainingProcess) -> Iterator[Row]:
    """Measure what the trainer itself costs an iteration: ours pays it once a chunk."""
    microseconds, peer_microseconds = list[float](), list[float]()
    with process.training(plain_lightning.train_nothing, warm_up=WITHOUT_A_MODEL) as peer:

        def between(seconds: float) -> int:
            microseconds.append(1e6 * seconds / WITHOUT_A_MODEL)
            peer_microseconds.append(1e6 * peer(WITHOUT_A_MODEL) / WITHOUT_A_MODEL)
            return WITHOUT_A_MODEL if len(microseconds) <= conditions.repeats else 0

        module = Nothing((3, 28, 28)).to(conditions.device)
        train_in_bursts(module, noise(28), Bursts(conditions.device, WITHOUT_A_MODEL, between))
    title, goal = f"the trainer's own cost, chunks of {CHUNK} iterations", Goal("at least", CHUNK)
    yield Row(title, microseconds[1:], "µs/iteration", goal, "a plain trainer", peer_microseconds[1:], inverse=True)


def length_rows(conditions: Conditions) -> Iterator[Row]:
    """Measure whether iterations take as long late in a training as early in it."""
    module = build_model("alphagan", 28, conditions.width).to(conditions.device)
    early, late = list[float](), list[float]()

    def between(seconds: float) -> int:
        (early if module.iteration < 100_000 else late).append(1000 * seconds / CHUNK)
        module.iteration = 100_000 if len(late) < len(early) else 100
        return CHUNK if len(late) <= conditions.repeats else 0

    train_in_bursts(module, noise(28), Bursts(conditions.device, CHUNK, between))
    title = "alphagan, 28 px, at iteration 100,000"
    yield Row(title, late[1:], "ms/iteration", Goal("at most", 1.03), "itself at iteration 100", early[1:])


def pair_rows(conditions: Conditions) -> Iterator[Row]:
    """Measure two runs of one thread at once on two cores, against one of two threads after the other."""
    training = functools.partial(train_model, "alphagan", 28, conditions.width)
    alone, wide, pairs = list[float](), list[float](), list[float]()
    device, n = conditions.device, CHUNK
    with (
        TrainingProcess(device) as first,
        TrainingProcess(device) as second,
        TrainingProcess(device, THREADS) as both_cores,
        first.training(training, n),
        second.training(training, n),
        both_cores.training(training, n),
    ):
        for turn in tqdm(range(conditions.repeats), desc="two at once", disable=None, leave=False):
            alone.append((first, second)[turn % 2](n))
            wide.append(both_cores(n))
            first.start(n)
            second.start(n)
            pairs.append(max(first.wait(), second.wait()))
    one_alone, one_wide, half_a_pair = (
        [1000 * value / n for value in values] for values in (alone, wide, [pair / 2 for pair in pairs])
    )
    title, peer = "alphagan, 28 px, two runs at once", "one of two threads"
    yield Row(title, half_a_pair, "ms/iteration", None, peer, one_wide, inverse=True)
    title, limit = "the same, of what two cores can do at most", [value / 2 for value in one_alone]
    yield Row(title, half_a_pair, "ms/iteration", Goal("at least", 0.95), "half of one alone", limit, inverse=True)
