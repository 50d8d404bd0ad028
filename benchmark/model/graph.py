"""Something that a device does again and again, recorded once as a graph of its kernels and replayed.

The networks here are small: launching their kernels one by one takes a GPU's host longer than the GPU needs to compute them. A
CUDA graph launches all of them at once. Eager execution stays the reference: it comes first, and a graph is believed only if it
gives the same.
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
"""Times that something is done eagerly: optimizers make their state, libraries choose their kernels."""
TOLERANCE = 1e-5
"""Relative difference to what eager execution gives, up to which a graph is believed."""


EAGER = "EAGER"
"""Of the environment: 1 lets everything be executed eagerly, to compare or to look for a mistake."""
DEEPEST = 6
"""How far lists in lists are looked through."""


class CannotCapture(RuntimeError):
    """What is to be captured does something that a graph could not repeat."""


class Graph(Protocol):
    """What a device has been told to do, to be done again."""

    def forbids_waiting(self) -> AbstractContextManager[None]:
        """Inside, it is an error to wait for the device, which could not be recorded."""

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Record what work tells the device, without doing it. Draws come from streams, which are seeded anew for each replay."""

    def replay(self) -> None:
        """Do it, with the random streams as they are now."""


class CudaGraph:
    """A graph of CUDA kernels."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # Its own: in some versions of torch, graphs of one stream share workspaces, which end with the first of them.
        self._stream = torch.cuda.Stream()

    @contextmanager
    def forbids_waiting(self) -> Iterator[None]:
        """An error outside of a capture harms nothing; in some versions of torch, one inside lets no random stream draw again."""
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
    """What makes graphs on a device: None where there are none, or where the environment's EAGER=1 asks for none."""
    return CudaGraph if device.type == "cuda" and os.environ.get(EAGER, "0") in ("", "0") else None


@dataclass(frozen=True)
class Work:
    """What is to be repeated: the same calls on the same tensors each time."""

    begin: Callable[[], None]
    """Seeds the random streams for the next time."""
    do: Callable[[], None]
    weights: Sequence[Tensor]
    """By these eager execution and a graph are compared."""
    streams: Sequence[torch.Generator]
    """Where draws come from."""
    holds: Callable[[], Mapping[str, object]]
    """All that may change from one time to the next, by name: values, tensors, lists and dictionaries of them."""
    recording: Callable[[], AbstractContextManager[None]] = nullcontext
    """A context around the recording."""


class Repeated:
    """Work that is repeated: eagerly, or from a graph once it is known to give the same.

    Args:
        work: what is repeated.
        new_graph: makes an empty graph; None for a device that has none.
    """

    def __init__(self, work: Work, new_graph: Callable[[], Graph] | None) -> None:
        self.work, self.new_graph = work, new_graph
        self.graph: Graph | None = None
        self._why_eager = ""
        self._eager_left = EAGER_FIRST

    def stay_eager(self, why: str) -> None:
        """Do without a graph, for a reason that people are told where there could have been one."""
        if self.new_graph is not None:
            self._why_eager, self.new_graph = why, None
            warnings.warn(f"trained without a graph, which takes longer: {why}", stacklevel=2)

    @property
    def execution(self) -> str:
        """Either captured, or eager with the reason where a graph could have been had."""
        return "captured" if self.graph else f"eager: {self._why_eager}" if self._why_eager else "eager"

    def __call__(self) -> None:
        """Do it once more."""
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
        """Do it eagerly; no graph can do it if the last time before a capture changes something that is no tensor's content."""
        if self._eager_left:
            self._eagerly()
            return
        before = look(self.work.holds()).facts
        self._eagerly()
        after = look(self.work.holds()).facts
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if changed:
            self.stay_eager(f"it changes {changed[0]} on the host, which a graph would not")

    def _capture(self, graph: Graph) -> None:
        """Do it once more, both ways from the same state; what eager execution gives stands unless a graph gives the same."""
        weights, rest = self.work.weights, look(self.work.holds()).tensors
        tensors = [value.detach() for value in (*weights, *rest)]
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
        try:
            with self.work.recording():
                graph.record(self.work.do, self.work.streams)
            self.work.begin()
            graph.replay()
            n = len(weights)
            off = max(relative_difference(tensors[:n], expected[:n]), relative_difference(tensors[n:], expected[n:]))
            why = "" if off <= TOLERANCE else f"a graph of it gave something else, by {off:.1e} of its norm"
        except Exception as error:  # a graph that cannot be had is no reason to end a training
            why = f"it cannot be captured as a graph: {_first_cause(error)}"
        if why:
            torch._foreach_copy_(tensors, expected)
            self.stay_eager(why)
        else:
            self.graph = graph


@dataclass(frozen=True)
class Seen:
    """What is held in nested lists and dictionaries."""

    facts: dict[str, object]
    """By their place: plain values, lengths of lists, and where tensors lie."""
    tensors: list[Tensor]


def look(things: Mapping[str, object]) -> Seen:
    """Look through values, tensors, lists and dictionaries; other objects are not looked into."""
    seen = Seen({}, [])

    def visit(place: str, thing: object, depth: int) -> None:
        if isinstance(thing, Tensor):
            seen.facts[place] = thing.data_ptr(), tuple(thing.shape)
            if 0 not in thing.stride():  # one number that stands in many places cannot be written to each
                seen.tensors.append(thing)
        elif isinstance(thing, int | float | str | None):
            seen.facts[place] = thing
        elif isinstance(thing, Mapping | list | tuple) and depth < DEEPEST:
            seen.facts[place] = len(thing)
            for key, value in thing.items() if isinstance(thing, Mapping) else enumerate(thing):
                visit(f"{place}[{key!r}]" if isinstance(key, int | str) else f"{place}[{id(key)}]", value, depth + 1)

    for place, thing in things.items():
        visit(place, thing, 0)
    return seen


def _first_cause(error: BaseException) -> str:
    """What went wrong first: leaving a broken capture raises once more."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def relative_difference(values: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """The norm of what tensors differ by, relative to their norm, all taken together; infinite where not both are finite."""
    pairs = [(value.double(), other.double()) for value, other in zip(values, expected, strict=True)]
    if all(torch.equal(value, other) for value, other in pairs):
        return 0.0
    off = torch.stack([(value - other).square().sum() for value, other in pairs]).sum()
    norm = torch.stack([other.square().sum() for _, other in pairs]).sum()
    difference = (off / norm).sqrt().item()
    return difference if math.isfinite(difference) else math.inf
