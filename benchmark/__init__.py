"""The suite: the contract of a model, the shared networks, the data sets, the runner and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.model.check import check_gan_module
    from benchmark.model.gan_module import GANModule
    from benchmark.model.phase import Phase
    from benchmark.trial.load import load

__version__ = "0.1.0"
__all__ = ["GANModule", "Phase", "check_gan_module", "load"]

_HOMES = {
    "GANModule": "benchmark.model.gan_module",
    "Phase": "benchmark.model.phase",
    "check_gan_module": "benchmark.model.check",
    "load": "benchmark.trial.load",
}


def __getattr__(name: str) -> Any:
    # Lazy, because torch and Lightning take seconds to import and `--help` needs neither.
    if name not in _HOMES:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
