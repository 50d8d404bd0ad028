"""Record the operations of some work on fixed tensors, and replay them without its Python: what a CUDA graph does, on the CPU.

It is no faster than eager execution. It tells where there is no GPU whether work can be captured, and whether a graph of it does
the same: nothing on the host happens again, tensors stay where they are, nothing may wait for a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.model.graph import CannotCapture

aten = torch.ops.aten
WAITS = {
    aten._local_scalar_dense.default: "it asks for the value of a tensor",
    aten.lift_fresh.default: "it makes a tensor of a number each time; one that is made in the constructor can be captured",
    aten.nonzero.default: "the shape of what nonzero gives depends on values",
    aten.masked_select.default: "the shape of what masked_select gives depends on values",
    aten._unique2.default: "the shape of what unique gives depends on values",
    aten.repeat_interleave.Tensor: "the shape of what repeat_interleave gives depends on values",
}
"""Operations for which a GPU's host waits for values, and why."""
TO_THE_HOST = (Tensor.cpu, Tensor.numpy, Tensor.tolist, Tensor.__array__)
"""What brings values to a GPU's host, and is no operation on a CPU."""
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)


class _OnTheDevice(TorchFunctionMode):
    """Refuse what brings values to the host."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function in TO_THE_HOST:
            raise CannotCapture(f"it brings a tensor to the host with {function.__name__}()")
        return function(*args, **(kwargs or {}))


class RecordedGraph(TorchDispatchMode):
    """A `Graph` of operations on the CPU. It keeps all tensors that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple, dict, list[Tensor]]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.made: set[int] = set()

    def forbids_waiting(self) -> AbstractContextManager[None]:
        """Forbid nothing: recording does."""
        return nullcontext()

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Record the work, and undo what it changed.

        Raises:
            CannotCapture: for work that a GPU's host would wait in.
        """
        with self, _OnTheDevice():
            work()
        with torch.no_grad():
            for tensor, value in self.before.values():
                tensor.copy_(value)

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if operation in WAITS:
            raise CannotCapture(WAITS[operation])
        if operation in INDEXING and any(index is not None and index.dtype == torch.bool for index in args[1]):
            raise CannotCapture("the shape of what a mask selects depends on values")
        for tensor in _written(operation, args, kwargs):
            if tensor.untyped_storage().data_ptr() not in self.made and id(tensor) not in self.before:
                self.before[id(tensor)] = tensor, tensor.clone()
        result = operation(*args, **kwargs)
        if not _is_view(operation):
            # An operation that writes gives what it was given; others make tensors, into which each replay puts its values.
            made = [] if operation._schema.is_mutable else _tensors(result)
            self.made |= {tensor.untyped_storage().data_ptr() for tensor in made}
            self.operations.append((operation, args, kwargs, made))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for operation, args, kwargs, made in self.operations:
            result = operation(*args, **kwargs)
            if made:
                for tensor, value in zip(made, _tensors(result), strict=True):
                    tensor.copy_(value)


def _tensors(values: Any) -> list[Tensor]:
    """List the tensors in nested tuples, lists and dictionaries."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _written(operation: Any, args: tuple, kwargs: dict) -> Iterator[Tensor]:
    """Find the tensors that an operation writes to."""
    if operation is torch.ops.aten.native_batch_norm.default:  # its schema does not tell that it moves the running statistics
        yield from args[3:5]
    for number, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from _tensors(args[number] if number < len(args) else kwargs.get(argument.name))


def _is_view(operation: Any) -> bool:
    """Say whether an operation returns another view of the memory it was given, which replays need not do again."""
    returned = [value.alias_info for value in operation._schema.returns]
    return any(info is not None and not info.is_write for info in returned)
