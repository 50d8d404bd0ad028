"""Which runs? A preset and a user's words become a resolved study: every value, no default left unsaid."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmark import __version__
from benchmark.datasets import Dataset
from benchmark.errors import UserError, unknown
from benchmark.models import (
    DEFAULT_MODELS,
    code_fingerprint,
    constructor_arguments,
    dotted_path,
    hyperparameter_grid,
    import_model,
    plain_value,
    short_name,
)
from benchmark.randomness import derive_seed
from benchmark.records import read_json

REFERENCES = ("real", "noise")
"""The sanity rows: the train split plays the generator (the ceiling), uniform noise plays it (the floor)."""


Sweep = Mapping[str, Sequence[Any]]
"""Hyperparameters to their values."""


@dataclass(frozen=True)
class Evaluator:
    """A pretrained network that metrics are made of, as a study found it."""

    path: str = ""
    sha256: str = ""
    missing: str = "nobody looked for it"
    """Why there is none; empty where there is one."""


@dataclass(frozen=True)
class Evaluation:
    """How finished runs are measured. No part of what a run is: measured otherwise it gets more rows, and is not trained anew."""

    calibration: int
    """Draws from which the generator's batch-norm statistics are computed anew before an evaluation."""
    mode_samples: int
    """Images whose digits are counted."""
    diversity_groups: int
    """Groups of 64 images inside which all pairs are compared."""
    reconstructions: int
    """Test images that autoencoding models encode and give back."""
    critic_steps: int
    """Training steps of the post-hoc critic."""
    critic_images: int
    """Images on each side on which a critic is evaluated."""
    critic_width: float
    score_splits: int
    """Pieces of the samples, over which Inception scores are averaged."""
    inception_samples: int
    """Images that pass through the ImageNet network; 0 spares its scores and distances."""
    inception_width: int
    """Of the features that distances are measured on."""
    cifar10_samples: int
    """Images that pass through the CIFAR-10 classifier; 0 spares its score."""
    inception: Evaluator = Evaluator()
    cifar10: Evaluator = Evaluator()
    second_evaluation: bool = False
    """Whether finished runs are measured a second time, on other samples and by another critic."""

    def __post_init__(self) -> None:
        least = max(2 * self.score_splits, 4)  # as many as the nearest neighbours of precision and recall take
        for name in ("inception_samples", "cifar10_samples"):
            if 0 < getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}: {self.score_splits} splits need at least {least} samples")


@dataclass(frozen=True)
class Settings:
    """What a preset picks. Small and large studies differ in these values and in nothing else."""

    iterations: int
    width: float
    """Factor on every hidden number of feature maps. Learning rates are divided by it (see `_grid`)."""
    budget: int | None
    """Configurations of each model; None takes the whole grid."""
    seeds: int
    batch_size: int
    threads: int
    """Of each run. Sums differ between one thread and two, so this is part of a run's identity."""
    precision: Literal["float32"]
    """Of training: float32 without the shortcuts that some GPUs take in its products (TF32)."""
    evaluation: Evaluation

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """The settings that `asdict` wrote; a TypeError or KeyError for anything else."""
        content = {"precision": "float32", **content}  # studies of earlier versions had no other
        evaluation: dict[str, Any] = dict(content["evaluation"])
        evaluation |= {name: Evaluator(**evaluation[name]) for name in ("inception", "cifar10")}
        return cls(**{**content, "evaluation": Evaluation(**evaluation)})


# What determines the weights of a run; the rest is about its evaluation.
TRAINING_SETTINGS = ("iterations", "width", "batch_size", "threads", "precision")

# What determines how many runs a study has, and nothing about any of them.
EXTENT = ("budget", "seeds")

PRESETS = ("quick", "paper")

STUDY_NAME = r"\w[\w.+=-]*"
"""What a study may be called: it is a folder's name."""


def preset(name: str, dataset: Dataset) -> Settings:
    """The values of a preset for a data set.

    Raises:
        UserError: for a name that is none.
    """
    if name == "quick":
        small = dataset.image_shape[1] <= 32  # 64 pixels cost four times as much
        return Settings(
            iterations=180 if small else 120,
            width=0.25 if small else 0.125,
            budget=4,
            seeds=1,
            batch_size=64,
            threads=1,
            precision="float32",
            evaluation=Evaluation(
                calibration=1_000,
                mode_samples=2_000,
                diversity_groups=2,
                reconstructions=500,
                critic_steps=100,
                critic_images=2_000 if small else 1_000,
                critic_width=0.25 if small else 0.125,
                score_splits=1,
                inception_samples=0,
                inception_width=2048,
                cifar10_samples=1_000,
                second_evaluation=True,
            ),
        )
    if name == "paper":
        return Settings(
            iterations=dataset.paper_iterations,
            width=1.0,
            budget=None,
            seeds=1,
            batch_size=64,
            threads=1,
            precision="float32",
            evaluation=Evaluation(
                calibration=10_000,
                mode_samples=26_000,
                diversity_groups=5,
                reconstructions=10_000,
                critic_steps=10_000,
                critic_images=10_000,
                critic_width=1.0,
                score_splits=10,
                inception_samples=50_000,
                inception_width=2048,
                cifar10_samples=50_000,
                second_evaluation=True,
            ),
        )
    raise unknown("preset", name, PRESETS)


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
        identity["training"] = {name: getattr(self.settings, name) for name in settings}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def is_reference(self) -> bool:
        return self.model in REFERENCES

    @classmethod
    def from_json(cls, content: Mapping[str, Any], path: Path | None = None) -> Run:
        """The run that `asdict` wrote; keys of its surroundings are ignored.

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


@dataclass(frozen=True)
class Study:
    """A resolved study."""

    name: str
    dataset: str
    fingerprint: str
    preset: str
    settings: Settings
    models: Mapping[str, Mapping[str, int]]
    """By model: the size of its grid and how many configurations of it are run."""
    runs: tuple[Run, ...]

    def measured_by(self, evaluation: Evaluation) -> Study:
        """The same runs, measured in this way."""
        settings = replace(self.settings, evaluation=evaluation)
        return replace(self, settings=settings, runs=tuple(replace(run, settings=settings) for run in self.runs))

    def as_json(self) -> dict[str, Any]:
        """Everything, for study.json."""
        return {
            "study": self.name,
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "preset": self.preset,
            "settings": asdict(self.settings),
            "models": {name: dict(counts) for name, counts in self.models.items()},
            "runs": {
                run.id: {
                    "model": run.model,
                    "path": run.path,
                    "seed": run.seed,
                    "hyperparameters": dict(run.hyperparameters),
                }
                for run in self.runs
            },
            "code": {run.path: run.code for run in self.runs},
            "benchmark": __version__,
        }


def resolve(
    dataset: Dataset,
    preset_name: str = "quick",
    models: Sequence[str] | Mapping[str, Sweep] = DEFAULT_MODELS,
    study: str | None = None,
    **overrides: Any,
) -> Study:
    """Resolve what a user asked for.

    Args:
        dataset: the images.
        preset_name: "quick" or "paper".
        models: short names or dotted paths; a mapping gives hyperparameters' values in place of those of a model's own sweep, in
            the paper's units: learning rates are divided by the width, as the model's own are.
        study: its name; by default data set, preset and the values that were overridden.
        overrides: values of `Settings` or of its `Evaluation` in place of the preset's; None keeps the preset's.

    Raises:
        UserError: for anything that names nothing, or that no constructor takes; for sweeps without a study's name, which would
            be taken for the study without them.
    """
    settings = preset(preset_name, dataset)
    given = {name: value for name, value in overrides.items() if value is not None}
    measured = {name: given.pop(name) for name in list(given) if name in Evaluation.__dataclass_fields__}
    settings = replace(settings, **given, evaluation=replace(settings.evaluation, **measured))
    sweeps: Mapping[str, Sweep] = models if isinstance(models, Mapping) else {name: {} for name in models}
    chosen = {short_name(dotted_path(name)): sweep for name, sweep in sweeps.items()}
    if not chosen:
        raise UserError("no model: give at least one, such as alphagan")
    if study is None and any(chosen.values()):
        raise UserError("a study with sweeps of its own needs a name: STUDY=…")
    configurations = {name: _grid(import_model(name), name, dataset, settings, sweep) for name, sweep in chosen.items()}
    code = {name: code_fingerprint(import_model(name)) for name in chosen}
    runs = [
        [_run(dataset, name, cell, seed, settings, code[name]) for cell in _draw(dotted_path(name), cells, settings.budget)]
        for seed in range(settings.seeds)
        for name, cells in configurations.items()
    ]
    # Configuration by configuration, so that an unfinished study already compares all models.
    interleaved = [run for row in itertools.zip_longest(*runs) for run in row if run is not None]
    references = [_reference(dataset, name, settings) for name in REFERENCES]
    counts = {
        name: {"grid": len(cells), "configurations": min(len(cells), settings.budget or len(cells))}
        for name, cells in configurations.items()
    }
    return Study(
        name=study or _default_name(dataset.name, preset_name, tuple(chosen), given),
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        preset=preset_name,
        settings=settings,
        models=counts,
        runs=(*references, *interleaved),
    )


def inherited_evaluation(study: Study, folder: Path, given: Mapping[str, Any]) -> Evaluation:
    """How a study is to be measured: as it was before where it is there already, but for the values that are given now."""
    path = folder / "study.json"
    if not path.exists():
        return study.settings.evaluation
    try:
        before = Settings.from_json(read_json(path)["settings"]).evaluation
    except (KeyError, TypeError):
        raise UserError(f"{path} is no study of this version of the benchmark; name this one with STUDY=…") from None
    changed = {name: value for name, value in given.items() if value is not None and name in Evaluation.__dataclass_fields__}
    return replace(before, **changed)


def _grid(model: type, name: str, dataset: Dataset, settings: Settings, own: Sweep) -> list[dict[str, Any]]:
    """Every configuration of a model, in the order of its sweep, `own` values in place of the class's, with every default said.

    Learning rates are the sweep's divided by the width: with Adam the change that a step makes to a layer's output grows with the
    layer's inputs, so narrower networks need proportionally larger steps (Yang et al. 2022, arXiv 2203.03466).
    """
    arguments = constructor_arguments(model)
    sweep = hyperparameter_grid(model, own)
    if "latent_dim" in arguments:
        sweep.setdefault("latent_dim", list(dataset.latent_dims))
    required = [key for key, argument in arguments.items() if argument.default is argument.empty and key not in sweep]
    if required:
        raise UserError(f"model {name} has no default for {required[0]!r}, and its sweep does not set it")
    fixed = {
        key: plain_value(argument.default, f"the default of {name}'s {key!r}")
        for key, argument in arguments.items()
        if key not in sweep
    }
    if "width" in arguments:
        fixed["width"] = settings.width
    cells = [{**fixed, **dict(zip(sweep, values, strict=True))} for values in itertools.product(*sweep.values())]
    return [_scaled_rates(cell, settings.width) if "width" in arguments else cell for cell in cells]


def _scaled_rates(cell: dict[str, Any], width: float) -> dict[str, Any]:
    return {
        key: float(f"{value / width:.6g}") if key.endswith("learning_rate") and isinstance(value, int | float) else value
        for key, value in cell.items()
    }


def _draw(path: str, cells: list[dict[str, Any]], budget: int | None) -> list[dict[str, Any]]:
    """The first `budget` cells in a random order of the grid that depends on the model and the cell alone.

    So a larger budget extends a smaller one.
    """
    ranked = sorted(cells, key=lambda cell: derive_seed("budget", path, json.dumps(cell, sort_keys=True)))
    return ranked[:budget]


def _run(dataset: Dataset, name: str, cell: dict[str, Any], seed: int, settings: Settings, code: str) -> Run:
    return Run(
        model=name,
        path=dotted_path(name),
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        image_shape=dataset.image_shape,
        hyperparameters=cell,
        seed=seed,
        code=code,
        settings=settings,
    )


def _reference(dataset: Dataset, name: str, settings: Settings) -> Run:
    return Run(name, name, dataset.name, dataset.fingerprint, dataset.image_shape, {}, 0, "", settings)


def _default_name(dataset: str, preset_name: str, models: tuple[str, ...], given: Mapping[str, Any]) -> str:
    words = [dataset, preset_name]
    if models != DEFAULT_MODELS:
        words.append("-".join(name.rpartition(".")[2].lower() for name in models))
    # Budget and seeds only add runs to a study: asking for more of them extends it.
    words += [f"{name}{value:g}" for name, value in sorted(given.items()) if name not in EXTENT]
    return "-".join(words)


def describe_study(study: Study, dataset: Dataset) -> list[str]:
    """What is about to run, in a few lines for a person."""
    settings = study.settings
    lines = [
        f"{study.name}: {study.dataset} ({dataset.summary})",
        f"  {settings.iterations} iterations of batch {settings.batch_size}, networks at {settings.width:g} of the paper's width"
        + ("" if settings.width == 1 else f", learning rates times {1 / settings.width:g}"),
    ]
    for name, counts in study.models.items():
        lines.append(f"  {name}: configurations: {_how_many(counts, settings.budget)}, seeds of each: {settings.seeds}")
    how = settings.evaluation
    lines.append(
        f"  measured: critics of {how.critic_steps} steps at {how.critic_width:g} of the width, on {how.critic_images} images a "
        f"side; {how.diversity_groups} groups of 64 for diversity; batch-norm statistics from {how.calibration} draws"
        + ("; twice, to choose the best by one evaluation and report them by the other" if how.second_evaluation else "")
    )
    if settings.width < 1:
        lines.append("  Narrow networks and a short training: it shows who learns, not the paper's numbers (PRESET=paper does).")
    return lines


def _how_many(counts: Mapping[str, int], budget: int | None) -> str:
    """How many configurations of a grid are run, in words."""
    if counts["configurations"] < counts["grid"]:
        return f"{counts['configurations']} of {counts['grid']}"
    fewer = f": fewer than BUDGET={budget}" if budget is not None and budget > counts["grid"] else ""
    return f"the whole grid of {counts['grid']}{fewer}"
