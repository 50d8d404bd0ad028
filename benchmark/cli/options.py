"""Make the options of the command line from the table of settings. Nothing heavy is imported: `--help` answers at once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from benchmark.settings import (
    EVALUATION,
    SETTINGS,
    STUDY,
    DottedPaths,
    FilePath,
    FolderPath,
    Kind,
    OneOf,
    Real,
    Setting,
    Switch,
    Whole,
    Working,
)

Command = Callable[..., Any]


class _WholeOrAuto(click.IntRange):
    """A whole number, or "auto": None."""

    name = "number or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value == "auto" else super().convert(value, param, ctx)


class _FiniteRange(click.FloatRange):
    """A number in bounds: neither nan, which is in all of them, nor inf."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class ByComma(click.ParamType):
    """Names that are separated by commas; what a study's file gave is already a collection of them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return tuple(value) if isinstance(value, list) else value


def click_type(kind: Kind) -> click.ParamType | None:
    """Return what click reads and checks values of a kind by; None for text."""
    match kind:
        case Whole(least, auto):
            return _WholeOrAuto(least) if auto else click.IntRange(least)
        case Real(most):
            return _FiniteRange(0, most, min_open=True)
        case OneOf(values):
            return click.Choice(values)
        case Switch():
            return click.BOOL
        case DottedPaths():
            return ByComma()
        case FilePath():
            return click.Path(path_type=Path, dir_okay=False)
        case FolderPath():
            return click.Path(path_type=Path, file_okay=False)
    return None


def option_of(name: str, setting: Setting) -> Callable[[Command], Command]:
    """Make the option of a setting: a switch has two words, everything else takes a value."""
    word = name.replace("_", "-")
    return click.option(
        f"--{word}/--no-{word}" if isinstance(setting.kind, Switch) else f"--{word}",
        type=click_type(setting.kind),
        default=setting.default,
        show_default=setting.default is not None,
        envvar=name.upper() if setting.from_environment else None,
        help=setting.help,
    )


def setting_options(names: Iterable[str]) -> Callable[[Command], Command]:
    """Give a command the options of these settings, in this order."""

    def decorate(command: Command) -> Command:
        for name in reversed([*names]):
            command = option_of(name, SETTINGS[name])(command)
        return command

    return decorate


study_options = setting_options(STUDY)
"""What is trained and how often, for the command that plans a study."""
evaluation_options = setting_options([*EVALUATION, "inception_weights", "cifar10_weights"])
"""How runs are measured, for the commands that measure."""
results_option = setting_options(["results"])
"""--results, for the commands that read or write there."""
data_dir_option = setting_options(["data_dir"])
"""--data-dir, for the commands that look for data sets."""
device_option = setting_options(["device"])
"""--device, for the commands that compute."""


def working_options(command: Command) -> Command:
    """Give a command the options of how runs are done; it gets them as one `working`."""
    names = list(Working.__dataclass_fields__)

    @functools.wraps(command)
    def collected(**values: Any) -> Any:
        return command(working=Working(**{name: values.pop(name) for name in names}), **values)

    return setting_options(names)(collected)


def dataset_option(command: Command) -> Command:
    """Give a command --dataset."""
    return click.option(
        "--dataset",
        default="colormnist-mini",
        show_default=True,
        help="Data set (see `datasets`), a folder of images, or the dotted path of a recipe of your own.",
    )(command)


def sections_option(command: Command) -> Command:
    """Give a command that writes reports --sections."""
    return click.option("--sections", type=ByComma(), default="", help="Sections of your own: dotted paths, by comma.")(command)


def output_option(name: str) -> Callable[[Command], Command]:
    """Give a command that writes one file --output."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(name),
        show_default=True,
        help="The file to write.",
    )


def file_option(command: Command) -> Command:
    """Give a command --file: what a study's file says is the default of the options, so that those that are given win."""

    def take_over(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
        if path is not None:
            from benchmark.studies.study_file import read_study_file

            defaults: Mapping[str, Any] = read_study_file(path)
            context.default_map = {**(context.default_map or {}), **defaults}
        return path

    return click.option(
        "--file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=take_over,
        help="A study of your own in YAML, see docs/studies.md; options that are given beside it win.",
    )(command)
