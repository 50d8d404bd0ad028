"""Find models by name: a dotted path to a class, or a short name. This package imports no model itself."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.errors import UserError, unknown
from benchmark.imports import import_class

ALIASES = {
    "alphagan": "alphagan.AlphaGAN",
    "dcgan": "baselines.DCGAN",
    "wgan_gp": "baselines.WGANGP",
    "age": "baselines.AGE",
    "alphagan_kl": "alphagan.EmpiricalKLAlphaGAN",
    "lsgan": "baselines.LSGAN",
    "wgan": "baselines.WGAN",
    "sngan": "baselines.SNGAN",
    "r1gan": "baselines.R1GAN",
    "r3gan": "baselines.R3GAN",
    "began": "baselines.BEGAN",
    "ebgan": "baselines.EBGAN",
    "vae": "baselines.VAE",
    "vaegan": "baselines.VAEGAN",
    "aae": "baselines.AAE",
    "avb": "baselines.AVB",
    "ali": "baselines.ALI",
    "bigan": "baselines.BiGAN",
    "mdgan": "baselines.MDGAN",
    "reggan": "baselines.RegGAN",
    "cycle_alphagan": "alphagan.CycleAlphaGAN",
    "deepsim": "baselines.DeePSiM",
    "dfm": "baselines.DenoisingFeatureMatching",
    "unrolled": "baselines.UnrolledGAN",
}
DEFAULT_MODELS = ("alphagan", "dcgan", "wgan_gp", "age")


def dotted_path(name: str) -> str:
    """Look up the dotted path of a model given by its short name or by its path.

    Raises:
        UserError: for a word that is neither.

    Example:
        >>> dotted_path("dcgan")
        'baselines.DCGAN'
        >>> dotted_path("mypackage.MyGAN")
        'mypackage.MyGAN'
    """
    if name in ALIASES:
        return ALIASES[name]
    if "." not in name:
        raise UserError(f"{unknown('model', name, ALIASES)}, or a dotted path such as mypackage.MyGAN")
    return name


def short_name(path: str) -> str:
    """Look up the alias of a dotted path where there is one, else return the path."""
    return {target: alias for alias, target in ALIASES.items()}.get(path, path)


def import_model(name: str) -> type:
    """Import the class of a model.

    Raises:
        UserError: if it cannot be found, fails to import, or is no GANModule.
    """
    from benchmark.model.gan_module import GANModule

    return import_class(dotted_path(name), GANModule, "model", "benchmark.GANModule")


def constructor_arguments(model: type) -> dict[str, inspect.Parameter]:
    """List the hyperparameters of a model: its constructor's arguments but `image_shape`."""
    arguments = dict(inspect.signature(model.__init__).parameters)  # type: ignore[misc]
    for fixed in ("self", "image_shape"):
        arguments.pop(fixed, None)
    return arguments


def hyperparameter_grid(model: type, own: Mapping[str, Iterable[Any]] | None = None) -> dict[str, list[Any]]:
    """Check the model's sweep: constructor argument to a list of different values that JSON can hold.

    Args:
        model: the class.
        own: a user's values, in place of the class's or beside them.

    Raises:
        UserError: for a sweep that is something else, and for values of a hyperparameter that the model does not have.
    """
    name, arguments = model.__qualname__, constructor_arguments(model)
    sweep = model.sweep  # type: ignore[attr-defined]
    if not isinstance(sweep, Mapping):
        raise UserError(f"the sweep of {name} must map hyperparameters to their values, not be {type(sweep).__name__}")
    for key in own or {}:
        if key not in arguments:
            raise unknown("hyperparameter", key, arguments)
    grid = {}
    for key, values in {**sweep, **(own or {})}.items():
        if key not in arguments:
            raise UserError(
                f"sweep key {key!r} is no constructor argument of {name}: {unknown('hyperparameter', str(key), arguments)}"
            )
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise UserError(f"the sweep of {name} gives {key!r} as {values!r}; a list of values was expected")
        grid[key] = [plain_value(value, f"in the sweep of {name}, {key!r}") for value in values]
        if not grid[key] or len({json.dumps(value) for value in grid[key]}) < len(grid[key]):
            raise UserError(f"the sweep of {name} gives {key!r} as {grid[key]}; different values were expected")
    return grid


def plain_value(value: Any, where: str) -> Any:
    """Write a hyperparameter's value as JSON holds it: numbers of numpy and torch become Python's, tuples lists.

    Raises:
        UserError: for a value that JSON cannot hold.
    """
    value = value.item() if hasattr(value, "item") else value
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise UserError(f"{where} is {value!r}; numbers, strings, booleans, None and lists of them can be written down") from None


TITLES = {
    "real": "real images",
    "noise": "noise",
    "alphagan": "α-GAN",
    "alphagan_kl": "α-GAN, empirical KL",
    "dcgan": "DCGAN",
    "wgan_gp": "WGAN-GP",
    "age": "AGE",
    "lsgan": "LSGAN",
    "wgan": "WGAN",
    "sngan": "SNGAN",
    "r1gan": "R1GAN",
    "r3gan": "R3GAN",
    "began": "BEGAN",
    "ebgan": "EBGAN",
    "vae": "VAE",
    "vaegan": "VAE-GAN",
    "aae": "AAE",
    "avb": "AVB",
    "ali": "ALI",
    "bigan": "BiGAN",
    "mdgan": "MDGAN",
    "reggan": "Reg-GAN",
    "cycle_alphagan": "α-GAN, cycle",
    "deepsim": "DeePSiM",
    "dfm": "denoising feature matching",
    "unrolled": "unrolled GAN",
}


def title(model: str) -> str:
    """Write a model's name as prose does; a user's class without its package."""
    return TITLES.get(model, model.rpartition(".")[2])


def in_order(models: Iterable[str]) -> list[str]:
    """Sort models as they are always shown: ours first, in the order of the aliases, then others by name."""
    known = {name: number for number, name in enumerate(ALIASES)}
    return sorted(set(models), key=lambda name: (known.get(name, len(known)), name))


REFERENCES = ("real", "noise")
"""The sanity rows: the train split plays the generator (the ceiling), uniform noise plays it (the floor)."""
