"""Record work that a device repeats as a graph of its kernels, and replay that.

The networks here are small: launching their kernels one by one takes a GPU's host longer than the GPU needs to compute them. A
CUDA graph launches all of them at once. Eager execution stays the reference: it comes first, and a graph is used only if its
result is the same.
"""

from __future__ import annotations

import gc
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

EAGER_FIRST = 3
"""How often work is done eagerly before it is captured: optimizers make their state, libraries choose their kernels."""
TOLERANCE = 1e-5
"""Relative difference from the result of eager execution up to which a graph is used."""
EAGER = "EAGER"
"""A variable of the environment: with 1 everything is executed eagerly, to compare or to look for a mistake."""
DEEPEST = 6
"""Levels of lists in lists that are searched for what has changed."""


class CannotCapture(RuntimeError):
    """The work that is to be captured does something that a graph could not repeat."""


class Graph(Protocol):
    """A recording of a device's work, to be repeated."""

    def forbids_waiting(self) -> AbstractContextManager[None]:
        """Make it an error, inside a block, to wait for the device, which could not be recorded."""

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Record work without doing it. Draws come from streams, which are seeded anew for each replay."""

    def replay(self) -> None:
        """Do the work that was recorded, with the random streams as they are now."""


class CudaGraph:
    """A graph of CUDA kernels."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # Its own: in some versions of torch, graphs of one stream share workspaces, which end with the first of them.
        self._stream = torch.cuda.Stream()

    @contextmanager
    def forbids_waiting(self) -> Iterator[None]:
        """Let CUDA raise where the host would wait, before a capture: one that fails may break all random streams."""
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Capture the kernels of work; torch's own global stream of the device is registered by torch.

        Raises:
            RuntimeError: if work waits for the device, or does something else that cannot be captured.
        """
        if hasattr(self._graph, "register_generator_state"):  # newer versions of torch find the streams by themselves
            for source in streams:
                self._graph.register_generator_state(source)
        gc.collect()  # what ends during a capture would be a part of it
        current = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(self._graph, stream=self._stream):
                work()
        finally:
            torch.cuda.set_stream(current)  # a capture that fails may leave its own

    def replay(self) -> None:
        self._graph.replay()


def graphs_of(device: torch.device) -> Callable[[], Graph] | None:
    """Return what makes graphs on a device: None where there are none, or where the environment's EAGER=1 asks for none."""
    return CudaGraph if device.type == "cuda" and os.environ.get(EAGER, "0") in ("", "0") else None


@dataclass(frozen=True)
class Work:
    """Work that is to be repeated: the same calls on the same tensors each time."""

    begin: Callable[[], None]
    """Seeds the random streams, before each time."""
    do: Callable[[], None]
    weights: Sequence[Tensor]
    """In these eager execution and a graph are compared first."""
    streams: Sequence[torch.Generator]
    """Where draws come from."""
    state: Callable[[], Mapping[str, object]]
    """Names all that may change from one time to the next: values, tensors, lists and dictionaries of them."""
    recording: Callable[[], AbstractContextManager[None]] = nullcontext
    """A context around the recording."""


class Repeated:
    """Repeat work: eagerly, or from a graph once it is known to have the same result.

    Args:
        work: what is repeated.
        new_graph: makes an empty graph; None for a device that has none.
    """

    def __init__(self, work: Work, new_graph: Callable[[], Graph] | None) -> None:
        self.work, self.new_graph = work, new_graph
        self.graph: Graph | None = None
        self._why_eager = ""
        self._eager_left = EAGER_FIRST

    def stay_eager(self, reason: str) -> None:
        """Do without a graph from now on, and warn of the reason where there could have been one."""
        if self.new_graph is not None:
            self._why_eager, self.new_graph = reason, None
            warnings.warn(f"trained without a graph, which takes longer: {reason}", stacklevel=2)

    @property
    def execution(self) -> str:
        """How it is done: "captured", or "eager" with the reason where there could have been a graph."""
        return "captured" if self.graph else f"eager: {self._why_eager}" if self._why_eager else "eager"

    def __call__(self) -> None:
        """Do the work once more."""
        if self.graph is not None:
            self.work.begin()
            self.graph.replay()
        elif self.new_graph is None:
            self._eagerly()
        elif self._eager_left:
            self._eager_left -= 1
            self._watched()
        else:
            self._capture(self.new_graph())

    def _eagerly(self) -> None:
        self.work.begin()
        self.work.do()

    def _watched(self) -> None:
        """Do the work eagerly; the last time before a capture, see whether it changes anything but the content of tensors."""
        if self._eager_left:
            self._eagerly()
            return
        before = contents(self.work.state()).facts
        self._eagerly()
        after = contents(self.work.state()).facts
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if changed:
            self.stay_eager(f"it changes {changed[0]} on the host, which a graph would not")

    def _capture(self, graph: Graph) -> None:
        """Do the work once more, both ways from the same state; the eager result stands unless the graph's is the same."""
        tensors = [value.detach() for value in (*self.work.weights, *contents(self.work.state()).tensors)]
        before = [value.clone() for value in tensors]
        try:
            with graph.forbids_waiting():
                self._eagerly()
        except Exception as error:  # whatever it is: if it is not about waiting, it comes again
            torch._foreach_copy_(tensors, before)
            self.stay_eager(f"it cannot be captured as a graph: {_first_cause(error)}")
            self._eagerly()
            return
        expected = [value.clone() for value in tensors]
        torch._foreach_copy_(tensors, before)
        if problem := self._problem(graph, tensors, expected):
            torch._foreach_copy_(tensors, expected)
            self.stay_eager(problem)
        else:
            self.graph = graph

    def _problem(self, graph: Graph, tensors: Sequence[Tensor], expected: Sequence[Tensor]) -> str:
        """Record and replay the work; say what is wrong with the graph, or nothing."""
        try:
            with self.work.recording():
                graph.record(self.work.do, self.work.streams)
            self.work.begin()
            graph.replay()
            n = len(self.work.weights)
            weights = relative_difference(tensors[:n], expected[:n])
            difference = max(weights, relative_difference(tensors[n:], expected[n:]))
        except Exception as error:  # a graph that cannot be had is no reason to end a training
            return f"it cannot be captured as a graph: {_first_cause(error)}"
        return "" if difference <= TOLERANCE else f"a graph of it gave something else, by {difference:.1e} of its norm"


@dataclass(frozen=True)
class Contents:
    """What nested lists and dictionaries contain."""

    facts: dict[str, object]
    """By their place: plain values, lengths of lists, and where tensors lie."""
    tensors: list[Tensor]


def contents(state: Mapping[str, object]) -> Contents:
    """Collect values and tensors from lists and dictionaries; other objects are not opened."""
    collected = Contents({}, [])

    def visit(place: str, thing: object, depth: int) -> None:
        if isinstance(thing, Tensor):
            collected.facts[place] = thing.data_ptr(), tuple(thing.shape)
            if 0 not in thing.stride():  # one number that stands in many places cannot be written to each
                collected.tensors.append(thing)
        elif isinstance(thing, int | float | str | None):
            collected.facts[place] = thing
        elif isinstance(thing, Mapping | list | tuple) and depth < DEEPEST:
            collected.facts[place] = len(thing)
            for key, value in thing.items() if isinstance(thing, Mapping) else enumerate(thing):
                visit(f"{place}[{key!r}]" if isinstance(key, int | str) else f"{place}[{id(key)}]", value, depth + 1)

    for place, thing in state.items():
        visit(place, thing, 0)
    return collected


def _first_cause(error: BaseException) -> str:
    """Say what went wrong first: leaving a broken capture raises once more."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def relative_difference(values: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """Compute the norm of the difference of tensors over their norm, all taken together; infinite where either is not finite."""
    pairs = [(value.double(), other.double()) for value, other in zip(values, expected, strict=True)]
    if all(torch.equal(value, other) for value, other in pairs):
        return 0.0
    difference = torch.stack([(value - other).square().sum() for value, other in pairs]).sum()
    norm = torch.stack([other.square().sum() for _, other in pairs]).sum()
    ratio = (difference / norm).sqrt().item()
    return ratio if math.isfinite(ratio) else math.inf
