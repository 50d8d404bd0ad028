"""Something that a device does again and again, recorded once as a graph of its kernels and replayed.

The networks here are small: launching their kernels one by one takes a GPU's host longer than the GPU needs to compute them. A
CUDA graph launches all of them at once. Eager execution stays the reference: it comes first, and a graph is believed only if it
gives the same.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

EAGER_FIRST = 3
"""Times that something is done eagerly: optimizers make their state, libraries choose their kernels."""
TOLERANCE = 1e-5
"""Relative difference to what eager execution gives, up to which a graph is believed."""


EAGER = "EAGER"
"""Of the environment: not empty, everything is executed eagerly, to compare or to look for a mistake."""


class CannotCapture(RuntimeError):
    """What is to be captured does something that a graph could not repeat."""


class Graph(Protocol):
    """What a device has been told to do, to be done again."""

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Record what work tells the device, without doing it. Draws come from streams, which are seeded anew for each replay."""

    def replay(self) -> None:
        """Do it, with the random streams as they are now."""


class CudaGraph:
    """A graph of CUDA kernels."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Capture the kernels of work; torch's own global stream of the device is registered by torch.

        Raises:
            RuntimeError: if work waits for the device, or does something else that cannot be captured.
        """
        for source in streams:
            self._graph.register_generator_state(source)
        with torch.cuda.graph(self._graph):
            work()

    def replay(self) -> None:
        self._graph.replay()


def graphs_of(device: torch.device) -> Callable[[], Graph] | None:
    """What makes graphs on a device: None where there are none, or where the environment's EAGER=1 asks for none."""
    return CudaGraph if device.type == "cuda" and not os.environ.get(EAGER) else None


class Repeated:
    """Work that is repeated: eagerly, or from a graph once it is known to give the same.

    Args:
        begin: seeds the random streams for the next time.
        work: the same calls on the same tensors each time, without waiting for the device.
        state: the weights, by which both ways are compared, and all else that work changes; asked when it was done a few times.
        streams: where its draws come from.
        new_graph: makes an empty graph; None for a device that has none.
        while_recording: a context around the recording.
    """

    def __init__(
        self,
        begin: Callable[[], None],
        work: Callable[[], None],
        state: Callable[[], tuple[Sequence[Tensor], Sequence[Tensor]]],
        streams: Sequence[torch.Generator],
        new_graph: Callable[[], Graph] | None,
        while_recording: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.begin, self.work, self.state, self.streams = begin, work, state, streams
        self.new_graph, self.while_recording = new_graph, while_recording
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
        if self.graph is None and self.new_graph is not None and not self._eager_left:
            self._capture(self.new_graph)
            return
        self.begin()
        if self.graph is not None:
            self.graph.replay()
        else:
            self.work()
            self._eager_left = max(0, self._eager_left - 1)

    def _capture(self, new_graph: Callable[[], Graph]) -> None:
        """Do it once more, both ways from the same state; what eager execution gives stands unless a graph gives the same."""
        weights, rest = self.state()
        tensors = [*weights, *rest]
        before = [value.clone() for value in tensors]
        self.begin()
        self.work()
        expected = [value.clone() for value in tensors]
        torch._foreach_copy_(tensors, before)
        graph = new_graph()
        try:
            with self.while_recording():
                graph.record(self.work, self.streams)
        except RuntimeError as error:
            torch._foreach_copy_(tensors, expected)
            self.stay_eager(f"it could not be captured as a graph: {_first_cause(error)}")
            return
        self.begin()
        graph.replay()
        difference = relative_difference(weights, expected[: len(weights)])
        if difference <= TOLERANCE:
            self.graph = graph
        else:
            torch._foreach_copy_(tensors, expected)
            self.stay_eager(f"a graph of it gave something else, by {difference:.1e} of the weights")


def _first_cause(error: BaseException) -> str:
    """What went wrong first: leaving a broken capture raises once more."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def relative_difference(values: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """The norm of what tensors differ by, relative to their norm, all taken together; infinite where not both are finite."""
    pairs = [(value.double(), other.double()) for value, other in zip(values, expected, strict=True)]
    if all(torch.equal(value, other) for value, other in pairs):
        return 0.0
    off = torch.stack([(value - other).square().sum() for value, other in pairs]).sum()
    norm = torch.stack([other.square().sum() for _, other in pairs]).sum()
    difference = (off / norm).sqrt().item()
    return difference if math.isfinite(difference) else math.inf
