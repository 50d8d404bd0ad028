"""What a CUDA graph does, on the CPU: the operations of some work are recorded on fixed tensors, and replayed without its Python.

It is no faster than eager execution. It tells where there is no GPU whether something can be captured, and whether a graph of it
does the same: nothing on the host happens again, tensors stay where they are, nothing may wait for a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.lift_fresh.default}
"""Reading a value back, and sending one from the host: a stream that is being captured can do neither."""


class RecordedGraph(TorchDispatchMode):
    """A `Graph` of operations on the CPU. It keeps all tensors that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple, dict, list[Tensor]]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.made: set[int] = set()

    def record(self, work: Callable[[], None], streams: Sequence[torch.Generator]) -> None:
        """Record, and put back what was changed: as if nothing had been done."""
        with self:
            work()
        with torch.no_grad():
            for tensor, value in self.before.values():
                tensor.copy_(value)

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if operation in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {operation}")
        for tensor in _written(operation, args, kwargs):
            if tensor.untyped_storage().data_ptr() not in self.made and id(tensor) not in self.before:
                self.before[id(tensor)] = tensor, tensor.clone()
        found = operation(*args, **kwargs)
        if not _is_view(operation):
            # An operation that writes gives what it was given; others make tensors, into which each replay puts its values.
            made = [] if operation._schema.is_mutable else [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
            self.made |= {tensor.untyped_storage().data_ptr() for tensor in made}
            self.operations.append((operation, args, kwargs, made))
        return found

    @torch.no_grad()
    def replay(self) -> None:
        for operation, args, kwargs, made in self.operations:
            found = operation(*args, **kwargs)
            for tensor, value in zip(made, [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)], strict=bool(made)):
                tensor.copy_(value)


def _written(operation: Any, args: tuple, kwargs: dict) -> Iterator[Tensor]:
    if operation is torch.ops.aten.native_batch_norm.default:  # its schema does not tell that it moves the running statistics
        yield from args[3:5]
    for number, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) else kwargs.get(argument.name)
            yield from (leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor))


def _is_view(operation: Any) -> bool:
    """Whether it gives another view of the memory it was given, which replays need not do again."""
    returned = [value.alias_info for value in operation._schema.returns]
    return any(info is not None and not info.is_write for info in returned)
