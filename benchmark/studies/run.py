"""Describe one training of one model, and name it by what determines its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.model.registry import REFERENCES
from benchmark.settings import TRAINING_SETTINGS, Settings


@dataclass(frozen=True)
class Run:
    """One training of one model, or one sanity row."""

    model: str
    """The alias where there is one, else the dotted path; or one of REFERENCES."""
    path: str
    dataset: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    hyperparameters: Mapping[str, Any]
    seed: int
    code: str
    settings: Settings

    @cached_property
    def id(self) -> str:
        """The hash of what determines the run's weights."""
        return f"{self.model.rpartition('.')[2].lower()}-{self._digest(TRAINING_SETTINGS)}"

    @cached_property
    def lineage(self) -> str:
        """The hash that it shares with runs that differ in their iterations alone: a longer one begins like a shorter one."""
        return self._digest([name for name in TRAINING_SETTINGS if name != "iterations"])

    def _digest(self, settings: Iterable[str]) -> str:
        identity = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("model", "settings")}
        chosen = {name: getattr(self.settings, name) for name in settings}
        # A setting that came later, at the value that runs had before it, renames none of them.
        before = {field.name: field.default for field in fields(Settings)}
        identity["training"] = {name: value for name, value in chosen.items() if value != before[name]}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def is_reference(self) -> bool:
        return self.model in REFERENCES

    @classmethod
    def from_json(cls, content: Mapping[str, Any], path: Path | None = None) -> Run:
        """Read the run that `asdict` wrote; keys of its surroundings are ignored.

        Raises:
            UserError: if something is missing; `path` is named.
        """
        try:
            values = {name: content[name] for name in cls.__dataclass_fields__}
            values["settings"] = Settings.from_json(content["settings"])
            values["image_shape"] = tuple(content["image_shape"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path or 'this'} is no run of this version of the benchmark: {error}") from None
        return cls(**values)
