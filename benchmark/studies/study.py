"""Resolve which runs a study has: a preset and a user's words become every value of every run, no default left unsaid."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import __version__
from benchmark.data.datasets import Dataset
from benchmark.errors import UserError, unknown
from benchmark.files import read_json
from benchmark.model.fingerprint import code_fingerprint
from benchmark.model.registry import (
    DEFAULT_MODELS,
    REFERENCES,
    constructor_arguments,
    dotted_path,
    hyperparameter_grid,
    import_model,
    plain_value,
    short_name,
)
from benchmark.randomness import derive_seed
from benchmark.settings import EVALUATION, EXTENT, STUDY, Evaluation, Settings, preset
from benchmark.studies.run import Run

Sweep = Mapping[str, Sequence[Any]]
"""Hyperparameters to their values."""

STUDY_NAME = r"\w[\w.+=-]*"
"""What a study may be called: it is a folder's name."""


def check_study_name(name: str | None) -> None:
    """Check that a study may be called so; None is a study without a name of its own.

    Raises:
        UserError: if no folder inside of the results folder can have this name.
    """
    if name is not None and not re.fullmatch(STUDY_NAME, name):
        raise UserError(f"STUDY is a folder's name inside RESULTS, of letters, digits and . + = - _, not {name!r}")


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
    sections: tuple[str, ...] = ()
    """Dotted paths of a user's own sections of the report."""

    def with_evaluation(self, evaluation: Evaluation) -> Study:
        """Return the study with the same runs, measured in this way."""
        settings = replace(self.settings, evaluation=evaluation)
        return replace(self, settings=settings, runs=tuple(replace(run, settings=settings) for run in self.runs))

    def as_json(self) -> dict[str, Any]:
        """Return everything, for study.json."""
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
            "sections": list(self.sections),
            "benchmark": __version__,
        }


def resolve(
    dataset: Dataset,
    preset_name: str = "quick",
    models: Collection[str] | Mapping[str, Sweep] = DEFAULT_MODELS,
    study: str | None = None,
    **values: Any,
) -> Study:
    """Resolve what a user asks for.

    Args:
        dataset: the images.
        preset_name: "quick" or "paper".
        models: short names or dotted paths; a mapping gives hyperparameters' values in place of those of a model's own sweep, in
            the paper's units: learning rates are divided by the width, as the model's own are.
        study: its name; by default data set, preset and the values that were given.
        values: of `Settings` or of its `Evaluation` in place of the preset's; None keeps the preset's.

    Raises:
        UserError: for anything that names nothing, or that no constructor takes; for sweeps without a study's name, which would
            be taken for the study without them.
    """
    given = {name: value for name, value in values.items() if value is not None}
    settings = _settings(dataset, preset_name, given)
    sweeps = _sweeps(models)
    if study is None and any(sweeps.values()):
        raise UserError("a study with sweeps of its own needs a name: STUDY=…")
    grids = {name: _grid(import_model(name), name, dataset, settings, sweep) for name, sweep in sweeps.items()}
    counts = {
        name: {"grid": len(cells), "configurations": min(len(cells), settings.budget or len(cells))}
        for name, cells in grids.items()
    }
    return Study(
        name=study or _default_name(dataset.name, preset_name, tuple(sweeps), given),
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        preset=preset_name,
        settings=settings,
        models=counts,
        runs=(*(_reference(dataset, name, settings) for name in REFERENCES), *_runs(dataset, grids, settings)),
    )


def _settings(dataset: Dataset, preset_name: str, given: Mapping[str, Any]) -> Settings:
    """The preset's values for these images, but for those that are given."""
    for name in given:
        if name not in {**STUDY, **EVALUATION}:
            raise unknown("setting", name, [*STUDY, *EVALUATION])
    settings = preset(preset_name, dataset.image_shape[1], dataset.paper_iterations)
    training = {name: value for name, value in given.items() if name in STUDY}
    return replace(settings, **training, evaluation=settings.evaluation.changed_by(given))


def _sweeps(models: Collection[str] | Mapping[str, Sweep]) -> dict[str, Sweep]:
    """The values that a user gives in place of those of each model's own sweep, by the model's short name or path."""
    named: Mapping[str, Sweep] = models if isinstance(models, Mapping) else {name: {} for name in models}
    sweeps = {short_name(dotted_path(name)): sweep for name, sweep in named.items()}
    if not sweeps:
        raise UserError("no model: give at least one, such as alphagan")
    return sweeps


def _runs(dataset: Dataset, grids: Mapping[str, list[dict[str, Any]]], settings: Settings) -> list[Run]:
    """The runs of all models, configuration by configuration: so an unfinished study already compares all models."""
    code = {name: code_fingerprint(import_model(name)) for name in grids}
    runs = [
        [_run(dataset, name, cell, seed, settings, code[name]) for cell in _draw(dotted_path(name), cells, settings.budget)]
        for seed in range(settings.seeds)
        for name, cells in grids.items()
    ]
    return [run for turn in itertools.zip_longest(*runs) for run in turn if run is not None]


def inherited_evaluation(study: Study, folder: Path, given: Mapping[str, Any]) -> Evaluation:
    """Read how a study was measured before, where it is there already, but for the values that are given now.

    Raises:
        UserError: if its folder holds no study that this version can read.
    """
    path = folder / "study.json"
    if not path.exists():
        return study.settings.evaluation
    try:
        before = Settings.from_json(read_json(path)["settings"]).evaluation
    except (KeyError, TypeError):
        raise UserError(f"{path} is no study of this version of the benchmark; name this one with STUDY=…") from None
    return before.changed_by(given)


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
    changes = {name: value for name, value in sorted(given.items()) if name in STUDY and name not in EXTENT}
    words += [f"{name}{value:g}" if isinstance(value, int | float) else f"{name}-{value}" for name, value in changes.items()]
    return "-".join(words)


def describe_study(study: Study, dataset: Dataset) -> list[str]:
    """Say what is about to run, in a few lines for a person."""
    settings = study.settings
    lines = [
        f"{study.name}: {study.dataset} ({dataset.summary})",
        f"  {settings.iterations} iterations of batch {settings.batch_size}, networks at {settings.width:g} of the paper's width"
        + ("" if settings.width == 1 else f", learning rates times {1 / settings.width:g}"),
    ]
    for name, counts in study.models.items():
        lines.append(f"  {name}: configurations: {_how_many(counts, settings.budget)}, seeds of each: {settings.seeds}")
    evaluation = settings.evaluation
    lines.append(
        f"  measured: critics of {evaluation.critic_steps} steps at {evaluation.critic_width:g} of the width, on "
        f"{evaluation.critic_images} images a side; {evaluation.diversity_groups} groups of 64 for diversity; batch-norm "
        f"statistics from {evaluation.batch_norm_draws} draws"
        + ("; twice, to choose the best by one evaluation and report them by the other" if evaluation.second_evaluation else "")
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
